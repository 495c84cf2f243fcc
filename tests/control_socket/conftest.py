from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose sockets stay in it: their paths are short enough."""
    with tempfile.TemporaryDirectory(prefix="kb-") as folder:
        yield Path(folder)
