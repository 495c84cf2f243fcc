"""Where a dialog comes, and which window it stands for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QDialog, QWidget
from pytestqt.qtbot import QtBot

from desktop.windows.coming import come_apart, come_within
from tests.support.imports import ROOT

TWO_SCREENS = """
import json, sys
from PySide6.QtGui import QCursor, QGuiApplication
from PySide6.QtWidgets import QApplication, QDialog, QWidget
from desktop.windows.coming import come_apart, come_within
app = QApplication([])
around = QWidget()
around.setGeometry(100, 100, 400, 300)
around.show()
dialog = QDialog(around)
dialog.resize(300, 200)
found = []
for screen in QGuiApplication.screens():
    QCursor.setPos(screen.geometry().center())
    come_apart(dialog)
    found.append([screen.geometry().contains(dialog.geometry()), dialog.width()])
    dialog.reject()
come_within(dialog, around)
app.processEvents()
found.append([around.geometry().contains(dialog.geometry().center()), dialog.width()])
print(json.dumps(found))
"""


def test_apart_it_is_on_the_screen_with_the_pointer(tmp_path: Path) -> None:
    screens = [
        {"name": name, "x": x, "y": 0, "width": 1280, "height": 800, "dpi": 96, "dpr": 1}
        for name, x in (("left", 0), ("right", 1280))
    ]
    (tmp_path / "screens.json").write_text(json.dumps({"screens": screens}), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", TWO_SCREENS],
        cwd=ROOT, env=os.environ | {"QT_QPA_PLATFORM": f"offscreen:configfile={tmp_path / 'screens.json'}"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [[True, 300], [True, 300], [True, 300]], done.stderr


@pytest.fixture
def around(qtbot: QtBot) -> QWidget:
    made = QWidget()
    qtbot.addWidget(made)
    made.show()
    return made


def test_apart_it_stands_for_no_window(around: QWidget) -> None:
    """A window manager would raise that one with it, or hide it with that one."""
    dialog = QDialog(around)
    for _ in range(2):
        come_apart(dialog)
        assert dialog.isVisible()
        assert dialog.windowHandle().transientParent() is None
        dialog.reject()
        come_within(dialog, around)
        assert dialog.windowHandle().transientParent() is around.windowHandle()
        dialog.reject()


def test_what_is_there_stays_where_it_was_put(around: QWidget) -> None:
    dialog = QDialog(around)
    come_apart(dialog)
    dialog.move(7, 9)
    come_apart(dialog)
    assert (dialog.x(), dialog.y()) == (7, 9)
    come_within(dialog, around)
    assert (dialog.x(), dialog.y()) == (7, 9)
    assert dialog.windowHandle().transientParent() is None
