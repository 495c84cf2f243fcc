"""The whole application as its user meets it: a window manager, a panel, a real keyring, a real Temporal.

First run, a key, a queue, a task that asks and is allowed from its notification, Quit from the panel's menu, a purge
that leaves nothing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.first_run import FirstRun, allow, kept_key, notifications_of, unlocked_keyring
from tests.desktop.session import ROOT, Session, icon_in, panel_of
from tests.desktop.x_keyboard import Keyboard
from tests.support.playground import running_playground
from tests.support.tray_host import LIMIT_SECONDS, desktop_environment, private_bus, private_display, until
from tests.support.window_manager import openbox

NEEDED = {
    "openbox": "openbox", "xdotool": "xdotool", "gnome-keyring-daemon": "gnome-keyring", "dbus-daemon": "dbus",
    "Xvfb": "xvfb",
}  # fmt: skip


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    if not sys.platform.startswith("linux"):
        pytest.skip("X11, D-Bus and the Secret Service are Linux's")
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: install the Debian package {package}")
    with private_display() as display, private_bus() as bus:
        environment = desktop_environment(tmp_path, display=display, bus=bus)
        del environment["PYTHON_KEYRING_BACKEND"]
        with openbox(environment), unlocked_keyring(environment):
            yield Session(bus, tmp_path, environment)


def run(session: Session, *arguments: str) -> str:
    """A command of the terminal, in the same session."""
    done = subprocess.run(
        [sys.executable, "-m", "worker_core", *arguments],
        cwd=ROOT, env=session.environment, capture_output=True, text=True, timeout=2 * LIMIT_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_first_run_to_quit(session: Session, tmp_path: Path) -> None:
    entry = session.home / "xdg-config" / "autostart" / "kubiya-worker.desktop"
    with running_playground(tmp_path / "playground") as stage:
        keys = Keyboard(session.environment)
        first_run = FirstRun(session, keys, stage)
        worker = first_run.worker
        with (
            notifications_of(session) as notifications,
            panel_of(session) as panel,
            session.started() as program,
            icon_in(session, panel) as icon,
        ):
            until(lambda: "Not set up yet" in icon.tooltip)
            first_run.give_key()
            first_run.choose_queue()
            until(lambda: "Waiting for work" in icon.tooltip, what="a worker")
            first_run.task(lambda: allow(notifications))
            keys.window("Kubiya Worker")  # the main one now
            keys.press("ctrl+2")
            first_run.ask_for_task()
            until(lambda: "Waiting for work" in icon.tooltip)
            icon.click("Start at login")
            until(entry.exists, what="the entry that starts it at login")
            icon.click("Quit")
            assert program.wait(LIMIT_SECONDS) == 0
        first_run.leaves_no_key()
        purged = json.loads(run(session, "purge", "--yes", "--json"))
        assert (purged["left"], purged["key_removed"], purged["login_entry_removed"]) == ([], True, True)
        assert not worker.exists(), sorted(worker.rglob("*"))
        assert not entry.exists()
        assert kept_key(session, stage.info.control_plane_url) == ""
