"""Real sandboxes for tests."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

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


MADE: list[Bubblewrap] = []
"""To be closed when all tests are over."""


def bubblewrap(folder: Path, **walls: Any) -> Bubblewrap:
    program = find_program()
    assert program is not None
    folder.mkdir(parents=True, exist_ok=True)
    made = Bubblewrap(program=program, walls=Walls(runtime=folder, **walls))
    MADE.append(made)
    return made
