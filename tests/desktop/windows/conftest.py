"""The window with nothing in it, and on a normal day."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from tests.desktop.windows.commanded import Bench
from tests.desktop.windows.stand_ins import Scene, busy
from worker_core.snapshot import EngineSnapshot


@pytest.fixture
def empty(qtbot: QtBot, tmp_path: Path) -> Scene:
    return Scene(qtbot, tmp_path, EngineSnapshot())


@pytest.fixture
def scene(qtbot: QtBot, tmp_path: Path) -> Scene:
    made = Scene(qtbot, tmp_path, busy())
    made.arrive()
    return made


@pytest.fixture
def bench(qtbot: QtBot, tmp_path: Path) -> Bench:
    return Bench(qtbot, tmp_path)
