"""A person's first run of the program, up to a task that ran: the same steps on every desktop, driven by its keys."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

from tests.desktop.session import ROOT, Session
from tests.support.executions import tool
from tests.support.notification_server import NotificationServer, Shown
from tests.support.playground import Stage
from tests.support.tray_host import LIMIT_SECONDS, until
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.secrets import Secret

PLAIN_KEY_LOOK = "import keyring, sys; print(keyring.get_password(sys.argv[1], sys.argv[2]) or '')"


class Keys(Protocol):
    """A keyboard for the window with the focus."""

    def window(self, title: str) -> object:
        """Wait for it, and give it the focus."""

    def sent(self, title: str) -> bool:
        """Press Enter in the window of this title; whether it is gone."""

    def type(self, text: str) -> None: ...

    def press(self, *keys: str) -> None:
        """Each as X names it, with `ctrl+` before it."""


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


class FirstRun:
    """What is typed into its window, and what that leaves."""

    def __init__(self, session: Session, keys: Keys, stage: Stage) -> None:
        self._session, self._keys, self._stage = session, keys, stage
        self.worker = session.home / "worker"
        self.settings = self.worker / "config" / "config.toml"
        self._log = self.worker / "state" / "logs" / "desktop.log"
        self.queue_id, self._other = asyncio.run(prepare(stage))
        session.environment["CONTROL_PLANE_URL"] = stage.info.control_plane_url
        policy = self.worker / "config" / "policy.toml"
        policy.parent.mkdir(parents=True)
        policy.write_text('[[ask]]\ncommand = "echo done*"\n', encoding="utf-8")

    def give_key(self) -> None:
        """A wrong one, and the right one."""
        self._keys.window("Kubiya Worker")
        self._keys.type("not-the-key")
        self._keys.press("Return")
        self._logged("The key was not taken")
        offered = "There are 2 queues to choose from."
        for tried in range(1, 4):  # what types for the test mistypes now and then on a busy machine
            self._keys.press("ctrl+a")
            self._keys.type(self._stage.info.api_key)
            self._keys.press("Return")
            until(partial(self._answered, tried, offered), what=offered)
            if offered in self._log.read_text(encoding="utf-8"):
                break
        self._logged(offered)
        assert kept_key(self._session, self._stage.info.control_plane_url) == self._stage.info.api_key
        assert not self.settings.exists()

    def choose_queue(self) -> None:
        """The first one, and begin."""
        self._keys.press("space", "ctrl+Return")
        until(self.settings.exists, what="settings")
        written = self.settings.read_text(encoding="utf-8")
        assert self.queue_id in written
        assert self._other not in written

    def task(self, answer: Callable[[], object]) -> None:
        """One that asks; meanwhile somebody sits there, who answers."""
        with ThreadPoolExecutor(1) as beside_it:
            answered = beside_it.submit(answer)
            execution_id = asyncio.run(execute(self._stage, self.queue_id))
            answered.result(LIMIT_SECONDS)
        assert (self.worker / "state" / "workspaces" / execution_id / "made").read_text() == "done\n"

    def ask_for_task(self) -> None:
        """Start the program once more, for a task that is typed."""
        second = self._session.start("--ask")
        assert second.wait(LIMIT_SECONDS) == 0
        second.communicate()
        self._keys.window("New task")
        self._keys.type("asked from the window !say Gladly.")
        until(lambda: self._keys.sent("New task"), what="a task that was begun")
        until(lambda: asyncio.run(status_of(self._stage, "from the window")) == "waiting_for_input", what="its answer")

    def leaves_no_key(self) -> None:
        """In no file."""
        key = self._stage.info.api_key.encode()
        for file in (path for path in self.worker.rglob("*") if path.is_file()):
            assert key not in file.read_bytes(), f"the key stands in {file.name}"

    def _logged(self, words: str) -> None:
        until(lambda: self._log.exists() and words in self._log.read_text(encoding="utf-8"), what=words)

    def _answered(self, keys_refused: int, words: str) -> bool:
        """Whether one more key was refused, or the words were logged."""
        said = self._log.read_text(encoding="utf-8")
        return words in said or said.count("The key was not taken") > keys_refused


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


def notifications_of(session: Session) -> AbstractContextManager[NotificationServer]:
    return contextlib.closing(NotificationServer(session.bus))


def question(server: NotificationServer) -> Shown:
    """The one that is on the screen."""
    (shown,) = until(
        lambda: [one for one in server.shown if "allow" in one.actions and one.id not in server.closed],
        what="a question",
    )
    assert isinstance(shown, Shown)
    return shown


def allow(server: NotificationServer) -> None:
    """By the button of its notification."""
    shown = question(server)
    server.pick(shown.id, "allow")
    until(lambda: shown.id in server.closed, what="an answered question goes from the screen")
