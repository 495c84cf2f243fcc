"""The lock of the one instance, and reports of crashes: what is kept in files."""

from __future__ import annotations

import asyncio
import contextlib
import json
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
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from desktop.shell import doorway
from desktop.shell.crash import NATIVE_FILE, CrashKeeper
from desktop.shell.single_instance import MESSAGE_LIMIT_BYTES, MOST_CONNECTIONS, SingleInstance
from desktop.windows.crash_dialog import CrashDialog
from tests.support.finding import click
from worker_core.control_socket.endpoint import Transport, default_transport
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogLine, LogRing, now
from worker_core.secrets import Secret

NOBODY = 65534

transports = pytest.mark.parametrize("transport", [default_transport(), "tcp"] if os.name == "posix" else ["tcp"])


@transports
def test_a_second_start_raises_the_first(tmp_path: Path, qtbot: QtBot, transport: Transport) -> None:
    first, second = (SingleInstance(tmp_path / "run", transport=transport) for _ in range(2))
    raised: list[str] = []
    first.raised.connect(raised.append)
    assert first.acquire()
    assert not second.acquire()
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


def connected(folder: Path) -> tuple[socket.socket, dict[str, str]]:
    """To the first that listens there, and what is to be said with each wish."""
    entered = doorway.enter(folder / "desktop.socket", limit_seconds=30)
    assert entered is not None
    return entered[0], {"token": entered[1]} if entered[1] else {}


@transports
def test_what_is_connected_does_not_keep_it(tmp_path: Path, qtbot: QtBot, transport: Transport) -> None:
    first, raised = SingleInstance(tmp_path / "run", transport=transport), list[str]()
    first.raised.connect(raised.append)
    assert first.acquire()
    second, shown = connected(tmp_path / "run")
    with second:
        second.sendall(json.dumps({"version": 1, "wish": "show", **shown}).encode() + b"\n")
        qtbot.waitUntil(lambda: bool(raised))
        first.release()
        there = weakref.ref(first)
        del first
        assert there() is None
        assert second.recv(100) == b'{"version": 1}\n'
        assert second.recv(100) == b""


@transports
def test_what_comes_in_pieces_is_heard_and_what_has_no_end_is_not(
    tmp_path: Path, qtbot: QtBot, transport: Transport
) -> None:
    first, raised = SingleInstance(tmp_path / "run", transport=transport), list[str]()
    first.raised.connect(raised.append)
    assert first.acquire()
    endless, _ = connected(tmp_path / "run")
    second, shown = connected(tmp_path / "run")
    with endless, second:
        endless.sendall(b"x" * (MESSAGE_LIMIT_BYTES + 1))
        wish = json.dumps({"wish": "show", "activation_token": "é", **shown}).encode() + b"\n"
        second.sendall(wish[:-2])
        endless.setblocking(False)
        qtbot.waitUntil(lambda: ended(endless))
        assert raised == []
        second.sendall(wish[-2:] + wish)
        qtbot.waitUntil(lambda: raised == ["é", "é"])
    first.release()


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except BlockingIOError:
        return False
    except ConnectionError:  # with what it had not read
        return True


def test_more_than_a_few_at_once_are_cut_off_until_one_has_left(tmp_path: Path, qtbot: QtBot) -> None:
    first = SingleInstance(tmp_path / "run")
    assert first.acquire()
    with contextlib.ExitStack() as there:
        crowd = [there.enter_context(connected(tmp_path / "run")[0]) for _ in range(MOST_CONNECTIONS)]
        late = there.enter_context(connected(tmp_path / "run")[0])
        late.setblocking(False)
        qtbot.waitUntil(lambda: ended(late))
        crowd[0].close()
        heard: list[str] = []
        first.raised.connect(heard.append)
        program = (
            "import os, sys; from pathlib import Path; from desktop.shell.single_instance import SingleInstance\n"
            "one = SingleInstance(Path(sys.argv[1]))\nwhile not one.raise_first({}): pass\nos._exit(0)"
        )
        asking = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "run")], cwd=Path(__file__).parents[3])
        qtbot.waitUntil(lambda: asking.poll() is not None, timeout=30_000)
        assert heard == [""]
    first.release()


def test_who_has_not_read_the_file_is_not_heard(tmp_path: Path, qtbot: QtBot) -> None:
    """Where the system does not say who connects."""
    first, heard = SingleInstance(tmp_path / "run", transport="tcp"), list[str]()
    first.raised.connect(heard.append)
    first.left.connect(lambda: heard.append("left"))
    assert first.acquire()
    wrongs: list[dict[str, object]] = [{}, {"token": ""}, {"token": "guessed"}, {"token": 7}, {"token": "\ud800"}]
    for wrong in wrongs:
        second, shown = connected(tmp_path / "run")
        assert shown["token"]
        with second:
            for wish in ("show", "leave"):
                second.sendall(json.dumps({"wish": wish, **wrong}).encode() + b"\n")
            second.setblocking(False)
            qtbot.waitUntil(partial(ended, second))
    assert heard == []
    first.release()


@transports
def test_a_second_start_for_a_task_asks_the_first_for_one(tmp_path: Path, qtbot: QtBot, transport: Transport) -> None:
    first, heard = SingleInstance(tmp_path / "run", transport=transport), []
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


@transports
def test_the_first_leaves_when_it_is_asked_to(tmp_path: Path, qtbot: QtBot, transport: Transport) -> None:
    program = (
        "import os, sys; from pathlib import Path; from desktop.shell.single_instance import SingleInstance\n"
        "os._exit(not SingleInstance(Path(sys.argv[1])).let_first_leave())"
    )

    def ask() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", program, str(tmp_path / "run")]
        return subprocess.Popen(command, cwd=Path(__file__).parents[3])

    first = SingleInstance(tmp_path / "run", transport=transport)
    asked: list[bool] = []
    first.left.connect(lambda: asked.append(True))
    assert first.acquire()
    asking = ask()
    qtbot.waitUntil(lambda: bool(asked), timeout=30_000)
    assert asking.poll() is None  # it waits until the first has left
    first.release()
    del first  # with its connections, as the end of a process does
    qtbot.waitUntil(lambda: asking.poll() is not None, timeout=30_000)
    assert asking.returncode == 0
    assert ask().wait(30) == 1


def test_homes_are_apart(tmp_path: Path, qtbot: QtBot) -> None:
    one, other = SingleInstance(tmp_path / "one"), SingleInstance(tmp_path / "other")
    assert one.acquire()
    assert other.acquire()
    one.release()
    other.release()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a port, which has no folder")
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
