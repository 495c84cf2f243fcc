"""A tool call outlives what it is begun by: a machine that sleeps, a connection that is made anew."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowHandle

from tests.support.engine import home, new_queue
from tests.support.executions import Viewer, submit, tool
from tests.support.playground import Stage
from tests.support.processes import alive, eventually
from tests.support.worker_process import WorkerProcess, worker_process
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.secrets import Secret

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP")

LONG = "echo $$ > pid; echo began >> calls; while [ ! -e go ]; do sleep 0.1; done; echo over >> calls; echo well"


class LongCall:
    """An execution whose tool runs until the file `go` is there."""

    def __init__(self, viewer: Viewer, temporal: Client, execution_id: str, folder: Path) -> None:
        self.viewer, self.temporal, self.execution_id = viewer, temporal, execution_id
        self.workspace = home(folder).workspaces / execution_id

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.temporal.get_workflow_handle(f"agent-execution-{self.execution_id}")

    async def begun(self) -> int:
        """The process, once it runs."""
        await eventually(lambda: (self.workspace / "pid").exists() and (self.workspace / "pid").read_text().strip())
        return int((self.workspace / "pid").read_text())

    async def slept(self, worker: WorkerProcess, *, meanwhile: Callable[[], Awaitable[object]] | None = None) -> int:
        """The worker, with its machine, sleeps in the middle of the call until Temporal waits for the first attempt no
        more, and wakes. The call's process, which lives.
        """
        process = await self.begun()
        os.kill(worker.process.pid, signal.SIGSTOP)
        await self._until_next(PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED)
        if meanwhile is not None:
            await meanwhile()
        assert alive(process)
        os.kill(worker.process.pid, signal.SIGCONT)
        return process

    async def taken_up(self) -> None:
        """Until the attempt that Temporal made meanwhile has reached the worker."""
        await self._until_next(PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)

    async def _until_next(self, state: PendingActivityState.ValueType) -> None:
        """Until a later attempt than the first is in this state."""
        async with asyncio.timeout(60):
            while True:
                [pending] = (await self.handle.describe()).raw_description.pending_activities
                if pending.attempt > 1 and pending.state == state:
                    return
                await asyncio.sleep(0.1)

    def go_on(self) -> None:
        (self.workspace / "go").touch()

    def calls(self) -> list[str]:
        return (self.workspace / "calls").read_text().split()


@asynccontextmanager
async def long_call(stage: Stage, folder: Path, queue: str) -> AsyncIterator[LongCall]:
    client = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    temporal = await Client.connect(stage.info.temporal_host)
    execution_id = await submit(stage, client, queue, f"long {queue}\n{tool(LONG, '!say it ended')}")
    yield LongCall(Viewer(stage, client), temporal, execution_id, folder)
    await client.aclose()


async def test_a_call_goes_on_over_a_sleep_and_its_outcome_counts(stage: Stage, tmp_path: Path) -> None:
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue) as worker:
        async with long_call(stage, tmp_path, queue) as call:
            process = await call.slept(worker)
            await call.taken_up()
            assert alive(process)
            call.go_on()
            await call.viewer.reach(call.execution_id, "waiting_for_input")
            [completed] = await call.viewer.sent(call.execution_id, "tool_completed")
    assert completed["data"]["status"] == "success"
    assert "well" in completed["data"]["tool_output"]
    assert call.calls() == ["began", "over"]


async def test_a_call_ends_whose_execution_was_ended_over_a_sleep(stage: Stage, tmp_path: Path) -> None:
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue) as worker:
        async with long_call(stage, tmp_path, queue) as call:
            process = await call.slept(worker, meanwhile=call.handle.terminate)
            await eventually(lambda: not alive(process))
            worker.wait_log("is ended: nobody waits for it any more")
    assert call.calls() == ["began"]


async def test_a_call_is_cancelled_that_went_on_over_a_sleep(stage: Stage, tmp_path: Path) -> None:
    queue = await new_queue(stage)
    with worker_process(stage, tmp_path, queue) as worker:
        async with long_call(stage, tmp_path, queue) as call:
            process = await call.slept(worker)
            await call.taken_up()
            assert alive(process)
            await call.viewer.client.cancel(call.execution_id)
            await eventually(lambda: not alive(process))
            await call.viewer.reach(call.execution_id, "cancelled")
    assert call.calls() == ["began"]
