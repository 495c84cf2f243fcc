"""The same tools on stock asyncio and on the window's loop, many at once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from tests.support import loops
from tests.support.loops import LOOPS
from tests.support.processes import alive, eventually, pid_in, written_pid, zombies
from worker_core.sandbox.direct import DirectLauncher
from worker_core.tools.base import ToolContext
from worker_core.tools.files import FileTool
from worker_core.tools.python import PythonTool
from worker_core.tools.shell import ShellTool
from worker_core.workspaces.workspace import Workspace

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the commands are those of a POSIX shell")

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=LOOPS)
def run_on(request: pytest.FixtureRequest) -> Run:
    return lambda work: loops.run_on(request.param, asyncio.wait_for(work, 60))


@pytest.fixture
def context(tmp_path: Any) -> Callable[[str], ToolContext]:
    workspace = Workspace.open(tmp_path, "execution")
    return lambda call_id: ToolContext(
        execution_id="execution", call_id=call_id, workspace=workspace, launcher=DirectLauncher()
    )


def test_twenty_calls_at_once(run_on: Run, context: Callable[[str], ToolContext]) -> None:
    async def work() -> None:
        calls = []
        for number in range(20):
            calls.append(ShellTool().run({"command": f"sleep 0.1; echo {number}"}, context(f"s{number}")))
            if number % 4 == 0:
                calls.append(PythonTool().run({"code": f"print({number})"}, context(f"p{number}")))
                calls.append(
                    FileTool(name="write_file").run({"path": f"{number}", "content": "x"}, context(f"f{number}"))
                )
        results = await asyncio.gather(*calls)
        assert all(result.succeeded for result in results)
        assert sorted(int(result.output) for result in results if result.output.strip().isdigit()) == sorted(
            [*range(20), *range(0, 20, 4)]
        )

    run_on(work())
    assert not zombies()


def test_time_limit_and_cancellation(run_on: Run, context: Callable[[str], ToolContext]) -> None:
    here = context("x").workspace.path

    async def work() -> None:
        result = await ShellTool(timeout=timedelta(seconds=0.2)).run({"command": "sleep 1000"}, context("a"))
        assert "did not end within 0.2 s" in (result.error or "")
        session = "setsid" if sys.platform == "linux" else ""
        command = f"{session} bash -c 'echo $$ >pid; exec sleep 1000' >/dev/null 2>&1 & wait"
        task = asyncio.ensure_future(ShellTool().run({"command": command}, context("b")))
        await eventually(lambda: written_pid(here / "pid"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: not alive(pid_in(here / "pid")))

    run_on(work())
    assert not zombies()


def test_the_loop_goes_on_while_a_flood_is_masked(run_on: Run, context: Callable[[str], ToolContext]) -> None:
    """8 MB are read, masked and saved without the loop ever standing still for the whole of it."""
    from worker_core.logs.redaction import Redactor

    redactor = Redactor()
    redactor.add("s3cr3t-value-of-somebody")
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    async def work() -> None:
        import dataclasses

        counting = asyncio.ensure_future(count())
        flooded = dataclasses.replace(context("flood"), mask=redactor.mask)
        result = await ShellTool().run({"command": "yes | head -c 8000000"}, flooded)
        counting.cancel()
        assert result.output_bytes == 8_000_000
        assert turns > 10

    run_on(work())
