"""Python's collector of cyclic garbage, while much is imported."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """No collection meanwhile: a tenth of a start was looking for garbage among modules, functions and classes."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def let_stand() -> None:
    """From now on, what is there is looked through no more: it lives as long as the process."""
    gc.freeze()
