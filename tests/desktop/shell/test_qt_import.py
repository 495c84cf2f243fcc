"""What PySide6 does to imports, and that nobody pays for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.imports import ROOT, loaded_by

LATE = {
    "PySide6.QtNetwork",
    "httpcore2",
    "httpx2",
    "psutil",
    "temporalio",
    "worker_core.engine.engine",
    "worker_core.machine.load",
    "worker_core.playground.server",
}
"""What a tray needs once a worker runs in it, or somebody looks."""


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_no_source_is_read_behind_an_import() -> None:
    program = (
        "{first}\nimport linecache, desktop.shell.app\nprint(sum(len(entry[2]) for entry in linecache.cache.values()))"
    )
    lines = [
        int(printed(program.format(first=first)))
        for first in ("", "from desktop.shell.qt_import import import_qt; import_qt()")
    ]
    assert lines[1] < lines[0] / 10


@pytest.mark.parametrize("first", ["", "import PySide6.QtCore; "])
def test_qt_is_all_there(first: str) -> None:
    """`import *` is what Qt's own hook is for: it fills in the classes that are made when they are asked for."""
    program = (
        f"{first}from desktop.shell.qt_import import import_qt; import_qt(); import_qt()\n"
        "from PySide6.QtCore import *\nfrom PySide6.QtWidgets import *\nimport builtins\n"
        "print(QTimer.__name__, QLabel.__name__, Qt.Key.Key_A.name, builtins.__import__ is __feature_import__)"
    )
    assert printed(program) == "QTimer QLabel Key_A False\n"


def test_the_tray_loads_nothing_for_a_worker_before_its_icon_is_there() -> None:
    assert loaded_by("import desktop.shell.app") & LATE == set()


def test_what_was_imported_is_not_looked_through_for_garbage_while_the_tray_starts() -> None:
    program = (
        "import gc, os; os.environ['QT_QPA_PLATFORM'] = 'offscreen'\n"
        "from desktop import __main__ as started\nfrom desktop.shell import app\n"
        "app.run = lambda options: print(gc.isenabled(), gc.get_freeze_count() > len(gc.get_objects()))\n"
        "started._run(started.parser().parse_args([]))"
    )
    assert printed(program).split() == ["True", "True"]
