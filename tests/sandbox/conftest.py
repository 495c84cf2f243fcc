from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.egress.served import Server
from tests.support.walls import MADE
from worker_core.sandbox import gate
from worker_core.sandbox.call import ProcessResult, run_process
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.processes import process

MakeCommand = Callable[..., Command]


@pytest.fixture(scope="session", autouse=True)
def tidy() -> Iterator[None]:
    """Launchers of tests leave no control groups behind."""
    yield
    for launcher in MADE:
        launcher.close()


@pytest.fixture
def shell(tmp_path: Path) -> MakeCommand:
    """A command that runs a shell script in `tmp_path`."""

    def make(script: str, **declared: str) -> Command:
        return Command(
            argv=["/bin/bash", "-c", script], cwd=tmp_path, environment=tool_environment(declared, call_mark="test")
        )

    return make


@pytest.fixture(params=["perl", "python"])
def language(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """In which the gate is written."""
    if request.param == "python":
        monkeypatch.setattr(gate, "_PERL", "/no/perl")
    elif gate.program()[0] != gate._PERL:
        pytest.skip("no Perl here, or system calls of a machine that are not known")
    return str(request.param)


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "TERM_GRACE", timedelta(seconds=0.2))


async def run(command: Command, **options: Any) -> ProcessResult:
    return await run_process(command, **{"timeout": timedelta(seconds=30), "output_limit_bytes": 1000, **options})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()
    await listening.wait_closed()
