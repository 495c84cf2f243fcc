"""The whole program as its user starts it: on an X server, a session bus and a panel of its own, with a playground."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.desktop.session import ROOT, Session, family, icon_in, panel_of
from tests.support.tray_host import (
    LIMIT_SECONDS,
    desktop_environment,
    killable_display,
    private_bus,
    private_display,
    until,
)
from tests.support.wake_ups import wake_ups

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Xvfb and D-Bus are Linux's")

POINTER_ROOT = 1
"""Of X: no window has the keyboard."""


def _all_gone(processes: Sequence[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    with private_display() as name:
        yield name


@pytest.fixture
def session(display: str, tmp_path: Path) -> Iterator[Session]:
    with private_bus() as bus:
        yield Session(bus, tmp_path, desktop_environment(tmp_path, display=display, bus=bus))


def test_from_start_to_an_executed_task_to_quit(session: Session) -> None:
    with panel_of(session) as panel, session.started("--demo", "--data-dir", str(session.home / "play")) as program:
        with icon_in(session, panel) as icon:
            idle = icon.pixels
            until(lambda: "task runs" in icon.tooltip, what="a running execution")
            assert icon.pixels != idle
            until(lambda: "Running. Waiting for work" in icon.tooltip, what="the end of the task")
            icon.click("Pause", "For 30 minutes")
            until(lambda: "Paused until" in icon.tooltip)
            icon.click("Resume")
            until(lambda: "Running" in icon.tooltip)
            icon.click("Stop")
            until(lambda: "Start" in icon.labels())
            icon.click("Start")
            until(lambda: "Running" in icon.tooltip)
            left = family(program.pid)
            assert left, "the playground's Temporal server"
            icon.click("Quit")
            assert program.wait(LIMIT_SECONDS) == 0
        until(lambda: _all_gone(left), what="no process left behind")
    log = session.log("play/worker")
    assert "stopped: Stopped." in log
    assert "ERROR" not in log
    assert not list((session.home / "play" / "worker" / "state" / "logs").glob("crash*"))


TRAY_ALONE = """
import sys
from PySide6.QtWidgets import QApplication
from desktop.tray.facts import TrayFacts
from desktop.tray.view import Tray
from tests.support.snapshots import asking
app = QApplication(["tray"])
tray = Tray(TrayFacts(snapshot=asking(*sys.argv[1:])))
app.exec()
"""


def test_a_panel_shows_names_and_commands_as_they_are(session: Session) -> None:
    """Qt hands texts to com.canonical.dbusmenu changed: `read_file` is shown as `readfile` (PySide6 6.11.3)."""
    said = ["write_file /etc/hosts", "a && b", "team_1_data-pipelines", "x &", "_&_ & &&", "plain"]
    session.command = (sys.executable, "-c", TRAY_ALONE)
    with panel_of(session) as panel, session.started(*said), icon_in(session, panel) as icon:
        assert [item.label for item in icon.menu() if item.enabled and item.label in said] == said
        assert icon.tooltip.endswith(f"6 questions wait for you. {said[0]}")


def test_the_panel_may_come_later_and_be_started_anew(session: Session) -> None:
    with session.started("--at-login") as program:
        until(lambda: (session.home / "worker" / "run" / "desktop.lock").exists())
        for _ in range(2):
            with panel_of(session) as panel, icon_in(session, panel) as icon:
                until(lambda icon=icon: "Not set up yet" in icon.tooltip)
                assert icon.title == "Kubiya Worker"
                assert "Set up…" in icon.labels()
                last = icon
        with panel_of(session) as panel, icon_in(session, panel) as last:
            last.click("Quit")
            assert program.wait(LIMIT_SECONDS) == 0


def test_a_display_that_goes_away_is_a_way_to_leave(tmp_path: Path) -> None:
    """Logged out without a session manager, or VNC's server ended: Qt 6.11 ends its loop from below."""
    with killable_display() as (display, ends), private_bus() as bus:
        session = Session(bus, tmp_path, desktop_environment(tmp_path, display=display, bus=bus))
        with panel_of(session) as panel, session.started("--demo", "--data-dir", str(tmp_path / "play")) as program:
            with icon_in(session, panel) as icon:
                until(lambda: "Waiting for work" in icon.tooltip, what="a worker")
            left = family(program.pid)
            ends()
            assert program.wait(LIMIT_SECONDS) == 0
            until(lambda: _all_gone(left), what="no process left behind")
        log = session.log("play/worker")
        assert "The display is gone; the program leaves." in log
        assert "stopped: Stopped" in log
        assert not list((tmp_path / "play" / "worker" / "state" / "logs").glob("crash*"))


def test_a_second_start_raises_the_first_and_a_killed_one_is_no_obstacle(session: Session) -> None:
    with panel_of(session) as panel:
        with session.started() as first, icon_in(session, panel):
            second = session.start()
            assert second.wait(LIMIT_SECONDS) == 0
            second.communicate()
            assert first.poll() is None
            first.send_signal(signal.SIGKILL)
            first.wait(LIMIT_SECONDS)
        panel.items.clear()
        with session.started() as third, icon_in(session, panel):
            third.send_signal(signal.SIGTERM)
            assert third.wait(LIMIT_SECONDS) == 0


def test_two_workers_programs_live_on_one_bus(session: Session, display: str) -> None:
    """Of one user, with a home each: an icon for each, and what one is told is not the other's."""
    home = session.home / "other"
    kept = {"XDG_RUNTIME_DIR": session.environment["XDG_RUNTIME_DIR"]}
    other = Session(session.bus, home, desktop_environment(home, display=display, bus=session.bus) | kept)
    with panel_of(session) as panel, session.started() as first, icon_in(session, panel) as icon:
        until(lambda: "Not set up yet" in icon.tooltip)
        with other.started() as second:
            until(lambda: len(set(panel.items)) == 2, what="an icon for each")
            with icon_in(other, panel) as its:
                until(lambda: "Not set up yet" in its.tooltip)
                its.click("Quit")
                assert second.wait(LIMIT_SECONDS) == 0
        panel.items.pop()
        assert first.poll() is None
        assert "Not set up yet" in icon.tooltip
        icon.click("Quit")
        assert first.wait(LIMIT_SECONDS) == 0


def test_start_at_login_is_off_until_it_is_asked_for(session: Session) -> None:
    entry = session.home / "xdg-config" / "autostart" / "kubiya-worker.desktop"
    with panel_of(session) as panel, session.started() as program, icon_in(session, panel) as icon:
        assert not entry.exists()
        icon.click("Start at login")
        until(entry.exists)
        assert "--at-login" in entry.read_text(encoding="utf-8")
        until(lambda: any(item.label == "Start at login" and item.checked for item in icon.menu()))
        icon.click("Start at login")
        until(lambda: not entry.exists())
        icon.click("Quit")
        assert program.wait(LIMIT_SECONDS) == 0


@pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool (Debian: xdotool) is not installed")
def test_it_rests_when_nothing_happens(session: Session) -> None:
    """No timer of ours ticks: the GUI thread sleeps until somebody wants something, with its window open."""
    with panel_of(session) as panel, session.started() as program, icon_in(session, panel) as icon:
        until(lambda: "Not set up yet" in icon.tooltip)
        process = psutil.Process(program.pid)
        before, looks = wake_ups(process.pid)[process.pid], 0
        while (now := wake_ups(process.pid)[process.pid]) != before:  # what the start and our questions left to do
            before, looks = now, looks + 1
            _look_away(session)
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(1)
            assert looks < LIMIT_SECONDS, f"{now - before} wake-ups in each second"


def _look_away(session: Session) -> None:
    """A window that has the keyboard lets the cursor blink in its field: it rests otherwise."""
    to_none = ["xdotool", "windowfocus", str(POINTER_ROOT)]
    subprocess.run(to_none, env=session.environment, check=True, timeout=LIMIT_SECONDS)


@pytest.mark.parametrize(("option", "words"), [("--version", "kubiya-worker-desktop 0"), ("--self-test", "qt: 6.")])
def test_what_needs_no_window(session: Session, option: str, words: str) -> None:
    environment = {**session.environment}
    del environment["DISPLAY"], environment["QT_QPA_PLATFORM"]
    done = subprocess.run(
        [sys.executable, "-m", "desktop", option],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert words in done.stdout


def test_without_a_display_it_says_what_to_do(session: Session) -> None:
    environment = {name: value for name, value in session.environment.items() if name != "DISPLAY"}
    del environment["QT_QPA_PLATFORM"]
    done = subprocess.run(
        [sys.executable, "-m", "desktop"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 3
    assert "kubiya-worker start" in done.stderr


def test_without_streams_it_still_starts(session: Session) -> None:
    """As a windowed program on Windows has none."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.stdout = sys.stderr = None; sys.argv = ['x', '--version']\n"
         "from desktop.__main__ import main; main()"],
        cwd=ROOT,
        env=session.environment,
        timeout=LIMIT_SECONDS,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0
