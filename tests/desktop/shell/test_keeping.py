"""The lock of the one instance, and reports of crashes: what is kept in files."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from desktop.shell.crash import NATIVE_FILE, CrashKeeper
from desktop.shell.single_instance import SingleInstance
from desktop.windows.crash_dialog import CrashDialog
from tests.support.finding import click
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogLine, LogRing, now
from worker_core.secrets import Secret

NOBODY = 65534


def test_a_second_start_raises_the_first(tmp_path: Path, qtbot: QtBot) -> None:
    first, second = SingleInstance(tmp_path / "run"), SingleInstance(tmp_path / "run")
    raised: list[str] = []
    first.raised.connect(raised.append)
    assert first.acquire()
    assert not second.acquire()
    # In a process of its own: Qt's blocking waits keep Python's lock.
    program = (
        "import os, sys; from pathlib import Path; from desktop.shell.single_instance import SingleInstance\n"
        "os._exit(not SingleInstance(Path(sys.argv[1])).raise_first({'XDG_ACTIVATION_TOKEN': 'token'}))"
    )
    asking = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "run")], cwd=Path(__file__).parents[3])
    qtbot.waitUntil(lambda: asking.poll() is not None, timeout=30_000)
    assert (asking.returncode, raised) == (0, ["token"])
    first.release()
    assert second.acquire()
    second.release()
    assert not SingleInstance(tmp_path / "run").raise_first({})


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe, which Python's sockets cannot open")
def test_what_is_connected_does_not_keep_it(tmp_path: Path, qtbot: QtBot) -> None:
    """Its destruction from inside that of a socket deleted the socket twice: a segmentation fault."""
    first, raised = SingleInstance(tmp_path / "run"), list[str]()
    first.raised.connect(raised.append)
    assert first.acquire()
    with socket.socket(socket.AF_UNIX) as second:
        second.connect((tmp_path / "run" / "desktop.socket").read_text(encoding="utf-8"))
        second.sendall(b'{"version": 1, "wish": "show"}\n')
        qtbot.waitUntil(lambda: bool(raised))
        first.release()
        there = weakref.ref(first)
        del first
        assert there() is None


def test_a_second_start_for_a_task_asks_the_first_for_one(tmp_path: Path, qtbot: QtBot) -> None:
    first, heard = SingleInstance(tmp_path / "run"), []
    first.raised.connect(lambda token: heard.append(("raised", token)))
    first.asked.connect(lambda token: heard.append(("asked", token)))
    assert first.acquire()
    program = (
        "import os, sys; from pathlib import Path; from desktop.shell.single_instance import SingleInstance\n"
        "os._exit(not SingleInstance(Path(sys.argv[1])).raise_first({'DESKTOP_STARTUP_ID': 'token'}, for_task=True))"
    )
    asking = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "run")], cwd=Path(__file__).parents[3])
    qtbot.waitUntil(lambda: asking.poll() is not None, timeout=30_000)
    assert (asking.returncode, heard) == (0, [("asked", "token")])
    first.release()


def test_the_first_leaves_when_it_is_asked_to(tmp_path: Path, qtbot: QtBot) -> None:
    program = (
        "import os, sys; from pathlib import Path; from desktop.shell.single_instance import SingleInstance\n"
        "os._exit(not SingleInstance(Path(sys.argv[1])).let_first_leave())"
    )

    def ask() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", program, str(tmp_path / "run")]
        return subprocess.Popen(command, cwd=Path(__file__).parents[3])

    first = SingleInstance(tmp_path / "run")
    asked: list[bool] = []
    first.left.connect(lambda: asked.append(True))
    assert first.acquire()
    asking = ask()
    qtbot.waitUntil(lambda: bool(asked), timeout=30_000)
    assert asking.poll() is None  # it waits until the first has left
    first.release()
    first.deleteLater()  # with its connections, as the end of a process does
    qtbot.waitUntil(lambda: asking.poll() is not None, timeout=30_000)
    assert asking.returncode == 0
    assert ask().wait(30) == 1


def test_homes_are_apart(tmp_path: Path, qtbot: QtBot) -> None:
    one, other = SingleInstance(tmp_path / "one"), SingleInstance(tmp_path / "other")
    assert one.acquire()
    assert other.acquire()
    one.release()
    other.release()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has pipes, which have no folders")
def test_the_socket_is_in_a_private_folder_however_long_its_name(tmp_path: Path, qtbot: QtBot) -> None:
    for folder in (tmp_path / "run", tmp_path / ("long" * 30) / "run"):
        first = SingleInstance(folder)
        assert first.acquire()
        place = folder / "desktop.socket"
        path = Path(place.read_text())
        assert path.is_absolute()
        assert path.is_socket()
        assert {stat.S_IMODE(one.stat().st_mode) for one in (folder, path.parent)} == {0o700}
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        first.release()
        assert not path.exists()
        assert not place.exists()
        assert path.parent == folder or not path.parent.exists()


LISTENER = """
import os, socket, sys
os.setresuid(*[int(sys.argv[2])] * 3)
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("listens", flush=True)
connection, _ = server.accept()
print("heard", repr(connection.recv(1000)), flush=True)
connection.sendall(b'{"version": 1}\\n')
"""


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can become another user to try it")
def test_another_users_listener_hears_nothing(tmp_path: Path) -> None:
    """Neither one that our own file names, nor one that a file of somebody else names."""
    common = Path(tempfile.mkdtemp())
    common.chmod(0o777)
    run = tmp_path / "run"
    run.mkdir()
    place = run / "desktop.socket"
    program = (
        "import os, sys; from pathlib import Path; from desktop.shell.single_instance import SingleInstance\n"
        "os._exit(not SingleInstance(Path(sys.argv[1])).raise_first({'XDG_ACTIVATION_TOKEN': 'token'}))"
    )
    try:
        for owner in (0, NOBODY):
            path = common / f"listener-{owner}"
            place.write_text(str(path))
            os.chown(place, owner, owner)
            command = [sys.executable, "-c", LISTENER, str(path), str(NOBODY)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listener:
                assert listener.stdout is not None
                assert listener.stdout.readline() == "listens\n"
                asked = subprocess.run(
                    [sys.executable, "-c", program, str(run)], cwd=Path(__file__).parents[3], timeout=60, check=False
                )
                assert asked.returncode == 1, "nobody of ours answered"
                if owner:
                    listener.kill()
                assert listener.stdout.read() in {"heard b''\n", ""}
    finally:
        shutil.rmtree(common)


@pytest.fixture
def keeper(tmp_path: Path, qtbot: QtBot) -> Iterator[CrashKeeper]:
    redactor, ring = Redactor(), LogRing()
    redactor.add(Secret("canary-0123456789"))
    ring.append(LogLine(at=now(), level="INFO", logger="test", message="The last thing that was said."))
    made = CrashKeeper(folder=tmp_path / "logs", redactor=redactor, ring=ring)
    yield made
    made.uninstall()


def test_a_report_is_masked_kept_privately_and_shown(keeper: CrashKeeper, tmp_path: Path, qtbot: QtBot) -> None:
    with qtbot.waitSignal(keeper.crashed) as told:
        try:
            raise ValueError("the key is canary-0123456789")
        except ValueError as error:
            keeper.caught(type(error), error, error.__traceback__)
    (file,) = (tmp_path / "logs").glob("crash-*.txt")
    text = file.read_text(encoding="utf-8")
    assert told.args == [text]
    assert "canary" not in text
    for words in ("ValueError: the key is", "The last thing that was said.", "Kubiya Worker", "Python 3."):
        assert words in text
    assert str(Path.home()) + "/" not in text
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_errors_of_threads_and_of_the_loop_are_caught(keeper: CrashKeeper, qtbot: QtBot) -> None:
    reports: list[str] = []
    keeper.crashed.connect(reports.append)
    loop = asyncio.new_event_loop()
    hooks = (sys.excepthook, threading.excepthook)
    keeper.install(loop)
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    loop.call_soon(lambda: [][0])
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    qtbot.waitUntil(lambda: len(reports) == 2)
    assert sorted("ZeroDivisionError" in report for report in reports) == [False, True]
    keeper.uninstall()
    assert (sys.excepthook, threading.excepthook) == hooks


def test_a_native_crash_is_found_at_the_next_start(keeper: CrashKeeper, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / NATIVE_FILE).write_text("Fatal Python error: Segmentation fault\ncanary-0123456789\n", encoding="utf-8")
    loop = asyncio.new_event_loop()
    keeper.install(loop)
    assert "Segmentation fault" in keeper.left_behind
    assert "canary" not in keeper.left_behind
    keeper.uninstall()
    loop.close()
    assert not (folder / NATIVE_FILE).exists()
    assert len(list(folder.glob("crash-2*.txt"))) == 1


def test_the_report_can_be_read_and_copied(qtbot: QtBot) -> None:
    dialog = CrashDialog("what happened")
    qtbot.addWidget(dialog)
    assert dialog.text.toPlainText() == "what happened"
    assert dialog.text.accessibleName()
    assert dialog.windowTitle() == "Something went wrong"
    click(dialog, "Copy")
    assert QGuiApplication.clipboard().text() == "what happened"
