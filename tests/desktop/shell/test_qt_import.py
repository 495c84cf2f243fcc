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


COMPILED = """
import sys
compiled = []
def hear(event, args):
    if event == "compile" and str(args[1]).startswith(("shiboken", "signature")):
        compiled.append(args[1])
sys.addaudithook(hear)
from desktop.shell.qt_import import import_qt
before = list(sys.meta_path)
import_qt()
assert type(sys.meta_path) is list and sys.meta_path == before
"""


def test_what_knows_signatures_is_not_compiled_before_somebody_asks() -> None:
    program = (
        f"{COMPILED}import desktop.shell.app\nfrom PySide6.QtCore import QObject\n"
        "from PySide6.support.signature import get_signature\nbefore = len(compiled)\n"
        "print(before, len(compiled) > before, get_signature(QObject.parent), len(compiled) > before)"
    )
    before, *asked = printed(program).split(maxsplit=2)
    assert int(before) <= 8, "sources of Shiboken's: three packages and five others, instead of fourteen"
    assert asked == ["False", "(self, /) -> PySide6.QtCore.QObject | None True\n"]


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("QObject().setObjectName(3)", "setObjectName' called with wrong argument types:"),
        ("QObject(nothing=1)", "'nothing' is not a Qt property or a signal"),
        ("QTimer(interval='x')", "setInterval' called with wrong argument types:"),
        ("QObject.parent.__doc__.nothing", "has no attribute 'nothing'"),
    ],
)
def test_the_first_mistake_of_a_program_is_named(does: str, says: str) -> None:
    """Shiboken ends the process where it finds no words for it."""
    program = (
        f"{COMPILED}from PySide6.QtCore import QObject, QTimer\n"
        f"try:\n    {does}\nexcept (AttributeError, TypeError) as error:\n    print(error)"
    )
    assert says in printed(program)


def test_who_asks_for_signatures_at_the_same_time_gets_them_whole() -> None:
    program = (
        f"{COMPILED}import threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "from PySide6.support.signature import errorhandler, layout, parser\n"
        "together = threading.Barrier(8, timeout=60)\n"
        "def ask(module, name):\n    together.wait()\n    return getattr(module, name).__module__\n"
        "wanted = [(errorhandler, 'make_helptext'), (layout, 'create_signature'),"
        " (parser, 'pyside_type_init'), (parser, 'calculate_props')] * 2\n"
        "with ThreadPoolExecutor(8) as pool:\n    print(*pool.map(ask, *zip(*wanted)))\n"
        "try:\n    parser.nothing\nexcept AttributeError as error:\n    print(error)\n"
        "print(max(map(compiled.count, compiled)))"
    )
    answers, missing, times = printed(program).splitlines()
    assert len(answers.split()) == 8
    assert "no attribute 'nothing'" in missing
    assert times == "1"


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
