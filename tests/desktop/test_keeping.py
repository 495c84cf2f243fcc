"""Preferences, settings, the lock, and reports of crashes: what is kept in files."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

from desktop import preferences
from desktop.crash import NATIVE_FILE, CrashDialog, CrashKeeper
from desktop.preferences import Preferences
from desktop.settings_store import SettingsStore
from desktop.single_instance import SingleInstance
from tests.support.engine import home
from worker_core.errors import ConfigurationError
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogLine, LogRing, now
from worker_core.secrets import Secret


def test_preferences_are_kept_and_bad_ones_do_not_count(tmp_path: Path, qtbot: QtBot) -> None:
    store = SettingsStore(home(tmp_path))
    assert store.preferences == Preferences()
    spy = QSignalSpy(store.changed)
    store.save_preferences(keep_awake=False, language="de")
    assert spy.count() == 1
    assert SettingsStore(home(tmp_path)).preferences == Preferences(keep_awake=False, language="de")
    file = tmp_path / "config" / "desktop.json"
    for said in ('{"keep_awake": "no", "notifications": "loud", "later": 1, "language": "de"}', "[]", "{", "\xff"):
        file.write_text(said, encoding="utf-8")
        assert preferences.read(file) == Preferences(language="de" if "loud" in said else "")


def test_settings_are_checked_before_they_are_written(tmp_path: Path, qtbot: QtBot) -> None:
    store = SettingsStore(home(tmp_path))
    store.save_settings(queue_ids=("a", "b"), drain_timeout=timedelta(seconds=90), default_model='odd "name" \\ ü')
    kept = store.settings({})
    assert (kept.queue_ids, kept.drain_timeout.total_seconds()) == (("a", "b"), 90)
    assert kept.default_model == 'odd "name" \\ ü'
    before = store.paths.settings_file.read_text(encoding="utf-8")
    for wrong in ({"max_executions": 0}, {"no_such_thing": 1}, {"control_plane_url": "ftp://x"}):
        with pytest.raises(ConfigurationError):
            store.save_settings(**wrong)
        assert store.paths.settings_file.read_text(encoding="utf-8") == before
    store.save_settings(queue_ids=None)
    assert store.settings({}).queue_ids == ()
    assert sorted(path.name for path in store.paths.config.iterdir()) == ["config.toml"]


def test_a_second_start_raises_the_first(tmp_path: Path, qtbot: QtBot) -> None:
    first, second = SingleInstance(tmp_path / "run"), SingleInstance(tmp_path / "run")
    raised: list[str] = []
    first.raised.connect(raised.append)
    assert first.acquire()
    assert not second.acquire()
    # In a process of its own: Qt's blocking waits keep Python's lock.
    program = (
        "import os, sys; from pathlib import Path; from desktop.single_instance import SingleInstance\n"
        "os._exit(not SingleInstance(Path(sys.argv[1])).raise_first({'XDG_ACTIVATION_TOKEN': 'token'}))"
    )
    asking = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "run")], cwd=Path(__file__).parents[2])
    qtbot.waitUntil(lambda: asking.poll() is not None, timeout=30_000)
    assert (asking.returncode, raised) == (0, ["token"])
    first.release()
    assert second.acquire()
    second.release()
    assert not SingleInstance(tmp_path / "run").raise_first({})


def test_homes_are_apart(tmp_path: Path, qtbot: QtBot) -> None:
    one, other = SingleInstance(tmp_path / "one"), SingleInstance(tmp_path / "other")
    assert one.acquire()
    assert other.acquire()
    one.release()
    other.release()


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
    assert json.dumps(dialog.windowTitle())
