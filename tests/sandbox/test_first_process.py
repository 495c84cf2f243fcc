"""A call in bubblewrap is over when nothing of it lives any more."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.sandbox.arena import survivors
from tests.sandbox.conftest import run
from tests.support.processes import eventually
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.sandbox import first_process
from worker_core.sandbox.launcher import Command

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's"),
    needs_bubblewrap,
]
LEAVES = "for i in 1 2 3 4 5 6 7 8; do (env -i setsid /bin/bash -c 'exec sleep 987' </dev/null >alive 2>&1 &); done"


def call(tmp_path: Path, script: str) -> Command:
    command = Command(argv=["/bin/bash", "-c", script], cwd=tmp_path, environment={"PATH": "/usr/bin:/bin"})
    return bubblewrap(tmp_path / "walls").wrap(command, workspace=tmp_path)


@pytest.fixture(params=["pidfd", "none"])
def _handles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "none":

        def missing(pid: int) -> int:
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(first_process.os, "pidfd_open", missing)


@pytest.mark.usefixtures("_handles")
async def test_nothing_lives_when_a_call_has_ended(tmp_path: Path) -> None:
    for _ in range(5):
        result = await run(call(tmp_path, f"{LEAVES}; sleep 0.1"))
        assert survivors(tmp_path) == []
        assert result.exit_code == 0
        result.output.close()


@pytest.mark.usefixtures("_handles", "short_grace")
async def test_nothing_lives_when_a_call_was_cancelled(tmp_path: Path) -> None:
    task = asyncio.create_task(run(call(tmp_path, f"trap '' TERM; {LEAVES}; exec sleep 1000 >alive")))
    await eventually(lambda: len(survivors(tmp_path)) == 9)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert survivors(tmp_path) == []


@pytest.mark.usefixtures("short_grace")
async def test_a_call_that_is_ended_while_it_begins(tmp_path: Path) -> None:
    for number in range(10):
        result = await run(call(tmp_path, "exec sleep 1000 >alive"), timeout=timedelta(milliseconds=number))
        assert survivors(tmp_path) == []
        result.output.close()


async def test_a_sandbox_that_never_comes_up(tmp_path: Path) -> None:
    wrapped = call(tmp_path, "true")
    result = await run(
        Command(argv=["/bin/false"], cwd=tmp_path, environment={}, first=wrapped.first, loans=wrapped.loans)
    )
    assert result.exit_code == 1
    result.output.close()
