"""What a user does with the worker on Windows, with a playground on this side: from login to purge."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.playground import Stage
from tests.support.wine import LIMIT_SECONDS, Windows, said, windows_path


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody with a key, and the worker's command line as they start it."""

    windows: Windows
    stage: Stage
    home: Path
    program: Sequence[str | Path]

    @property
    def environment(self) -> dict[str, str]:
        """Without the key."""
        return {
            "KUBIYA_WORKER_HOME": windows_path(self.home),
            "CONTROL_PLANE_URL": self.stage.info.control_plane_url,
            "NO_COLOR": "1",
        }

    @property
    def known(self) -> dict[str, str]:
        """With it: below wine, on a machine that works, the keychain may take all the time it has."""
        return {**self.environment, "KUBIYA_API_KEY": self.stage.info.api_key}

    @property
    def log(self) -> str:
        return (self.home / "state" / "logs" / "worker.log").read_text(encoding="utf-8")

    def worker(self, *arguments: str, given: str = "") -> str:
        """Call it; what it said. Only login and logout ask the keychain."""
        asks = self.environment if arguments[0] in {"login", "logout"} else self.known
        code, told = self.windows.run(*self.program, *arguments, given=given, environment=asks)
        assert code == 0, told
        assert "Traceback" not in told, told
        return told

    @contextlib.contextmanager
    def background(self, *arguments: str, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        """A command that runs on."""
        with subprocess.Popen(
            self.windows.command(*self.program, *arguments), env=self.windows.environment(environment),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as running:  # fmt: skip
            try:
                yield running
            finally:
                running.kill()  # nothing, where it has ended

    def a_task_is_executed(self) -> None:
        info = self.stage.info
        told = self.worker("execute", "--agent", info.agent_id, "--queue-id", info.queue_id, "Show what you can do.")
        assert "2 tool calls" in told, told + self.log
        assert "Hello from the Kubiya playground" in told.partition("Done.")[2], told + self.log
        *_, written = sorted((self.home / "state" / "workspaces").glob("*/playground-*.txt"))
        assert "The shell said: Hello from the Kubiya playground" in written.read_text()


def from_login_to_the_end_of_a_worker(user: User, *, leave: Callable[[User], None]) -> None:
    """`leave` ends the worker, which has run a task, in the user's way."""
    info = user.stage.info
    assert "Windows Credential Manager" in user.worker("login", given=f"{info.api_key}\n")
    assert info.queue_id in user.worker("queues", "--json")
    with user.background("start", "--queue-id", info.queue_id, environment=user.known) as running:
        began = ready(running)
        assert "ready " in began, began
        user.a_task_is_executed()
        (status,) = json.loads(user.worker("status", "--json"))["workers"]
        assert status["state"] == "running"
        leave(user)
        assert running.wait(LIMIT_SECONDS) == 0
    assert "Traceback" not in user.log, user.log


def ready(running: subprocess.Popen[bytes]) -> str:
    """What a worker said until it polled."""
    assert running.stdout is not None
    lines = []
    for line in running.stdout:
        lines.append(said(line))
        if lines[-1].startswith("ready "):
            break
    return "".join(lines)


def forget(user: User) -> None:
    """Log out and remove the data."""
    user.worker("logout")
    user.worker("purge", "--yes")
    assert not [one for one in user.home.rglob("*") if one.is_file()]
