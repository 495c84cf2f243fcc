"""The whole application as its user meets it: a window manager, a panel, a real keyring, a real Temporal.

First run, a key, a queue, a task that asks and is allowed from its notification, Quit from the panel's menu, a purge
that leaves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.desktop.session import ROOT, Session, icon_in, panel_of
from tests.support.executions import tool
from tests.support.notification_server import NotificationServer
from tests.support.playground import Stage, running_playground
from tests.support.tray_host import LIMIT_SECONDS, desktop_environment, private_bus, private_display, until
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.secrets import Secret

NEEDED = {
    "openbox": "openbox", "xdotool": "xdotool", "gnome-keyring-daemon": "gnome-keyring", "dbus-daemon": "dbus",
    "Xvfb": "xvfb",
}  # fmt: skip
PLAIN_KEY_LOOK = "import keyring, sys; print(keyring.get_password(sys.argv[1], sys.argv[2]) or '')"


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
        with beside(["openbox", "--sm-disable"], environment), unlocked_keyring(environment):
            yield Session(bus, tmp_path, environment)


@contextlib.contextmanager
def beside(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(LIMIT_SECONDS)


@contextlib.contextmanager
def unlocked_keyring(environment: dict[str, str]) -> Iterator[None]:
    """A new one, whose password is given at once, as a login does it."""
    process = subprocess.Popen(
        ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(b"a password")
    process.stdin.close()
    try:
        yield
    finally:
        process.terminate()
        process.wait(LIMIT_SECONDS)


class Keyboard:
    """Keys for the window with the focus, by way of the X server."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def window(self, title: str) -> str:
        """Wait for it, and give it the focus."""
        found = until(lambda: self._xdotool("search", "--onlyvisible", "--name", f"^{title}$"), what=title).split()[-1]
        until(lambda: self._xdotool("windowactivate", "--sync", found) is not None)
        until(lambda: self._xdotool("getactivewindow").strip() == found)
        return found

    def sent(self, title: str) -> bool:
        """Press Enter in the window of this title; whether it is gone."""
        if not self._xdotool("search", "--onlyvisible", "--name", f"^{title}$"):
            return True
        self.press("Return")
        return False

    def type(self, text: str, *, delay_milliseconds: int = 15) -> None:
        self._xdotool("type", "--delay", str(delay_milliseconds), text)

    def press(self, *keys: str) -> None:
        self._xdotool("key", "--delay", "60", *keys)

    def _xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        return done.stdout


def kept_key(session: Session, url: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_KEY_LOOK, "kubiya-worker", url],
        cwd=ROOT, env=session.environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    return done.stdout.strip()


async def prepare(stage: Stage) -> tuple[str, str]:
    """Another queue beside the playground's own; ids of both."""
    async with stage.client() as api:
        answer = await api.post(f"/environments/{stage.info.environment_id}/worker-queues", json={"name": "zebra"})
        return stage.info.queue_id, str(answer.json()["id"])


async def execute(stage: Stage, queue_id: str) -> str:
    """One turn with a tool, to its end."""
    client = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    try:
        prompt = "from the first run\n" + tool("echo done > made") + "\n!say It is made."
        wish = Execute(prompt=prompt, worker_queue_id=queue_id, configuration={"single_turn": True})
        execution_id = (await client.execute_agent(stage.info.agent_id, wish)).execution_id
        async with asyncio.timeout(LIMIT_SECONDS):
            while (record := await client.get_execution(execution_id)).status not in {"completed", "failed"}:
                await asyncio.sleep(0.1)
        assert (record.status, record.response) == ("completed", "It is made."), record.error_message
        return execution_id
    finally:
        await client.aclose()


async def status_of(stage: Stage, words: str) -> str:
    """Of the execution that was asked so."""
    async with stage.client() as api:
        found = (await api.get(f"/worker-queues/{stage.info.queue_id}/executions")).json()
    return next((str(one["status"]) for one in found if words in one["prompt"]), "")


def run(session: Session, *arguments: str) -> str:
    """A command of the terminal, in the same session."""
    done = subprocess.run(
        [sys.executable, "-m", "worker_core", *arguments],
        cwd=ROOT, env=session.environment, capture_output=True, text=True, timeout=2 * LIMIT_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def notifications_of(session: Session) -> AbstractContextManager[NotificationServer]:
    return contextlib.closing(NotificationServer(session.bus))


@contextlib.contextmanager
def allowing(server: NotificationServer) -> Iterator[None]:
    """Meanwhile, whoever sits there allows the question that appears."""

    def allow() -> None:
        (shown,) = until(lambda: [one for one in server.shown if "allow" in one.actions], what="a question")
        server.pick(shown.id, "allow")
        until(lambda: shown.id in server.closed, what="an answered question goes from the screen")

    with ThreadPoolExecutor(1) as beside_it:
        answered = beside_it.submit(allow)
        yield
        answered.result(LIMIT_SECONDS)


def test_first_run_to_quit(session: Session, tmp_path: Path) -> None:
    worker = session.home / "worker"
    settings, log = worker / "config" / "config.toml", worker / "state" / "logs" / "desktop.log"
    entry = session.home / "xdg-config" / "autostart" / "kubiya-worker.desktop"

    def logged(words: str) -> None:
        until(lambda: log.exists() and words in log.read_text(encoding="utf-8"), what=words)

    def answered(keys_refused: int, words: str) -> bool:
        """Whether one more key was refused, or the words were logged."""
        said = log.read_text(encoding="utf-8")
        return words in said or said.count("The key was not taken") > keys_refused

    with running_playground(tmp_path / "playground") as stage:
        queue_id, other = asyncio.run(prepare(stage))
        url, key = stage.info.control_plane_url, stage.info.api_key
        session.environment["CONTROL_PLANE_URL"] = url
        keys = Keyboard(session.environment)
        policy = worker / "config" / "policy.toml"
        policy.parent.mkdir(parents=True)
        policy.write_text('[[ask]]\ncommand = "echo done*"\n', encoding="utf-8")
        with (
            notifications_of(session) as notifications,
            panel_of(session) as panel,
            session.started() as program,
            icon_in(session, panel) as icon,
        ):
            until(lambda: "Not set up yet" in icon.tooltip)
            keys.window("Kubiya Worker")
            keys.type("not-the-key")
            keys.press("Return")
            logged("The key was not taken")
            offered = "There are 2 queues to choose from."
            for tried in range(1, 4):  # what types for the test mistypes now and then on a busy machine
                keys.press("ctrl+a")
                keys.type(key)
                keys.press("Return")
                until(partial(answered, tried, offered), what=offered)
                if offered in log.read_text(encoding="utf-8"):
                    break
            logged(offered)
            assert kept_key(session, url) == key
            assert not settings.exists()
            keys.press("space", "ctrl+Return")
            until(settings.exists, what="settings")
            written = settings.read_text(encoding="utf-8")
            assert queue_id in written
            assert other not in written
            until(lambda: "Waiting for work" in icon.tooltip, what="a worker")
            with allowing(notifications):
                execution_id = asyncio.run(execute(stage, queue_id))
            assert (worker / "state" / "workspaces" / execution_id / "made").read_text() == "done\n"
            keys.window("Kubiya Worker")  # the main one now
            keys.press("ctrl+2")
            second = session.start("--ask")
            assert second.wait(LIMIT_SECONDS) == 0
            second.communicate()
            keys.window("New task")
            keys.type("asked from the window !say Gladly.")
            until(lambda: keys.sent("New task"), what="a task that was begun")
            until(lambda: asyncio.run(status_of(stage, "from the window")) == "waiting_for_input", what="its answer")
            until(lambda: "Waiting for work" in icon.tooltip)
            icon.click("Start at login")
            until(entry.exists, what="the entry that starts it at login")
            icon.click("Quit")
            assert program.wait(LIMIT_SECONDS) == 0
    for file in (path for path in worker.rglob("*") if path.is_file()):
        assert key.encode() not in file.read_bytes(), f"the key stands in {file.name}"
    purged = json.loads(run(session, "purge", "--yes", "--json"))
    assert (purged["left"], purged["key_removed"], purged["login_entry_removed"]) == ([], True, True)
    assert not worker.exists(), sorted(worker.rglob("*"))
    assert not entry.exists()
    assert kept_key(session, url) == ""
