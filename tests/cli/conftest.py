from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import pytest
from click.testing import CliRunner

from tests.support.playground import Stage
from tests.support.worker_process import WorkerProcess, worker_process
from worker_core.cli.root import command

NOBODY_LISTENS = "http://127.0.0.1:1"


class Keychain(keyring.backend.KeyringBackend):
    """A keychain in memory."""

    priority = 5.0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(slots=True)
class CommandLine:
    """Runs commands in this process, in a home of their own."""

    home: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Answer:
        result = CliRunner().invoke(
            command, list(arguments), input=stdin, env={**self.environment, **environment}, prog_name="kubiya-worker"
        )
        assert isinstance(result.exception, SystemExit | None), result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def keychain() -> Iterator[Keychain]:
    before = keyring.get_keyring()
    made = Keychain()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line with a key, where no control plane answers."""
    for name in ("QUEUE_ID", "LITELLM_API_KEY", "KUBIYA_DEBUG", "FORCE_COLOR", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    environment = {
        "KUBIYA_WORKER_HOME": str(tmp_path / "home"),
        "KUBIYA_API_KEY": "key-0123456789",
        "CONTROL_PLANE_URL": NOBODY_LISTENS,
    }
    return CommandLine(tmp_path / "home", environment)


@pytest.fixture
def online(offline: CommandLine, stage: Stage) -> CommandLine:
    """The command line with the playground's key."""
    offline.environment |= {
        "KUBIYA_API_KEY": stage.info.api_key,
        "CONTROL_PLANE_URL": stage.info.control_plane_url,
        "QUEUE_ID": stage.info.queue_id,
    }
    return offline


@pytest.fixture(scope="module")
def worker(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """One worker process on the playground's own queue, for all tests of a file."""
    with worker_process(stage, tmp_path_factory.mktemp("worker"), stage.info.queue_id) as running:
        running.wait_ready()
        yield running
        assert running.terminate() == 0
