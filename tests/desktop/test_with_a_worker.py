"""The whole program with a worker in it: the machine sleeps and wakes, and the program is killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from desktop.settings.store import SettingsStore
from tests.desktop.session import Session, icon_in, panel_of
from tests.support.dbus_mock import Logind, NetworkManager, UPower
from tests.support.engine import home, new_agent, new_queue
from tests.support.executions import tool
from tests.support.notification_server import NotificationServer
from tests.support.playground import Stage
from tests.support.tray_host import LIMIT_SECONDS, TrayIcon, desktop_environment, private_bus, private_display, until
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.secrets import Secret

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Xvfb and D-Bus are Linux's")


@pytest.fixture
def session(stage: Stage, tmp_path: Path) -> Iterator[Session]:
    """With a queue of its own and a key."""
    with private_display() as display, private_bus() as bus:
        environment = desktop_environment(tmp_path, display=display, bus=bus)
        environment |= {
            "CONTROL_PLANE_URL": stage.info.control_plane_url,
            "KUBIYA_API_KEY": stage.info.api_key,
            "QUEUE_ID": asyncio.run(new_queue(stage)),
        }
        yield Session(bus, tmp_path, environment)


def submit(stage: Stage, session: Session, *lines: str) -> str:
    """A prompt for the session's queue; the execution's id."""

    async def execute() -> str:
        agent = await new_agent(stage, skills=("shell",))
        client = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
        try:
            wish = Execute(prompt="\n".join(lines), worker_queue_id=session.environment["QUEUE_ID"])
            return (await client.execute_agent(agent, wish)).execution_id
        finally:
            await client.aclose()

    return asyncio.run(execute())


def logind_of(session: Session) -> AbstractContextManager[Logind]:
    return contextlib.closing(Logind(session.bus))


def test_it_drains_before_sleep_and_goes_on_after_it(stage: Stage, session: Session) -> None:
    with (
        logind_of(session) as logind,
        panel_of(session) as panel,
        session.started("--at-login") as program,
        icon_in(session, panel) as icon,
    ):
        until(lambda: "Waiting for work" in icon.tooltip, what="a worker")
        until(lambda: logind.held("delay"), what="sleep is held up")
        assert not logind.held("block"), "nothing runs: the machine may fall asleep"
        waiting = tool("touch begun; until [ -e release ]; do sleep 0.05; done")
        execution_id = submit(stage, session, "asleep", waiting, "!say awake")
        workspace = home(session.home / "worker").workspaces / execution_id
        until((workspace / "begun").exists, what="a running tool")
        until(lambda: logind.held("block"), what="the machine is kept awake while a task runs")
        logind.prepare_for_sleep(begins=True)
        until(lambda: "about to sleep" in icon.tooltip, what="nothing new is taken")
        assert logind.held("delay"), "sleep waits for what runs"
        (workspace / "release").touch()
        until(lambda: not logind.held("delay"), what="the machine may sleep")
        until(lambda: not logind.held("block"))
        logind.prepare_for_sleep(begins=False)
        until(lambda: "about to sleep" not in icon.tooltip and "Running" in icon.tooltip, what="it goes on")
        until(lambda: logind.held("delay"), what="the next sleep is held up again")
        icon.click("Quit")
        assert program.wait(LIMIT_SECONDS) == 0
        until(lambda: not logind.held("delay"))


def test_it_minds_batteries_and_metered_networks(stage: Stage, session: Session) -> None:
    SettingsStore(home(session.home / "worker")).prefer(pause_below_battery_percent=20, pause_on_metered_network=True)
    with (
        contextlib.closing(UPower(session.bus)) as upower,
        contextlib.closing(NetworkManager(session.bus)) as network,
        panel_of(session) as panel,
    ):
        upower.battery(10.0)
        network.meter(metered=True)  # before the program: nothing changes while it looks
        with session.started("--at-login") as program, icon_in(session, panel) as icon:
            until(lambda: "Paused: the network is metered." in icon.tooltip)
            network.meter(metered=False)
            until(lambda: "Waiting for work" in icon.tooltip)
            upower.plug(on_battery=True)
            until(lambda: "Paused: on battery, and below 20 %." in icon.tooltip)
            upower.plug(on_battery=False)
            until(lambda: "Waiting for work" in icon.tooltip, what="it goes on while it is charged")
            icon.click("Quit")
            assert program.wait(LIMIT_SECONDS) == 0


def test_a_locked_screen_hides_what_is_asked(stage: Stage, session: Session) -> None:
    policy = home(session.home / "worker").policy_file
    policy.parent.mkdir(parents=True)
    policy.write_text('[[ask]]\ncommand = "touch *"\n', encoding="utf-8")
    with (
        logind_of(session) as logind,
        contextlib.closing(NotificationServer(session.bus)) as server,
        panel_of(session) as panel,
    ):
        logind.lock(locked=True)
        with session.started("--at-login") as program, icon_in(session, panel) as icon:
            until(lambda: "Waiting for work" in icon.tooltip, what="a worker")
            execution_id = submit(stage, session, "locked", tool("touch allowed"), "!say done")
            until(lambda: server.shown, what="a question on the screen")
            (veiled,) = server.shown
            assert (veiled.body, veiled.actions) == ("Unlock the screen to read it.", {"default": "Open"})
            logind.lock(locked=False)
            until(lambda: server.shown[1:], what="the question again")
            asked = server.shown[1]
            assert asked.replaces == veiled.id
            assert "touch allowed" in asked.body
            server.pick(asked.id, "allow")
            until((home(session.home / "worker").workspaces / execution_id / "allowed").exists)
            until(lambda: _leaves(program, icon), what="the end")
            assert program.returncode == 0


def test_killed_it_leaves_no_process_of_a_tool(stage: Stage, session: Session) -> None:
    with panel_of(session) as panel, session.started("--at-login") as program, icon_in(session, panel) as icon:
        until(lambda: "Waiting for work" in icon.tooltip, what="a worker")
        execution_id = submit(stage, session, "killed with the tray", tool("touch begun; sleep 1000"), "!say looked")
        begun = home(session.home / "worker").workspaces / execution_id / "begun"
        until(begun.exists, what="a running tool")
        family = psutil.Process(program.pid).children(recursive=True)
        assert family
        program.send_signal(signal.SIGKILL)
        program.wait(LIMIT_SECONDS)
        until(lambda: not any(map(alive, family)), what="every process has ended")


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _leaves(program: subprocess.Popen[str], icon: TrayIcon) -> bool:
    """Quit is called so when nothing runs, and a click at a menu that has just changed is heard by nobody."""
    icon.click("Quit")
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(LIMIT_SECONDS / 4)
    return program.returncode is not None
