"""Real sandboxes for tests."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from worker_core.sandbox import landlock_sandbox
from worker_core.sandbox.landlock_sandbox import LandlockSandbox
from worker_core.sandbox.linux import Bubblewrap, find_program, probe
from worker_core.sandbox.walls import Walls


@functools.cache
def missing_bubblewrap() -> str:
    """Why bubblewrap cannot be used here; empty: it can."""
    program = find_program()
    if program is None:
        return "bubblewrap is not installed"
    folder = Path(tempfile.mkdtemp(prefix="kb-"))
    try:
        return probe(program, Walls(runtime=folder))
    finally:
        shutil.rmtree(folder)


needs_bubblewrap = pytest.mark.skipif(
    bool(missing_bubblewrap()), reason=missing_bubblewrap() or "bubblewrap works here"
)


@functools.cache
def missing_landlock() -> str:
    """Why Landlock cannot be used here; empty: it can."""
    folder = Path(tempfile.mkdtemp(prefix="kb-"))
    try:
        return landlock_sandbox.probe(Walls(runtime=folder))
    finally:
        shutil.rmtree(folder)


needs_landlock = pytest.mark.skipif(bool(missing_landlock()), reason=missing_landlock() or "Landlock works here")


MADE: list[Bubblewrap | LandlockSandbox] = []
"""To be closed when all tests are over."""


def bubblewrap(folder: Path, **walls: Any) -> Bubblewrap:
    program = find_program()
    assert program is not None
    folder.mkdir(parents=True, exist_ok=True)
    made = Bubblewrap(program=program, walls=Walls(runtime=folder, **walls))
    MADE.append(made)
    return made


def without_namespaces(folder: Path, *, version: int | None = None, **walls: Any) -> LandlockSandbox:
    """Landlock, with the rights of a version or of the kernel's."""
    folder.mkdir(parents=True, exist_ok=True)
    made = LandlockSandbox(walls=Walls(runtime=folder, **walls), version=version)
    MADE.append(made)
    return made
