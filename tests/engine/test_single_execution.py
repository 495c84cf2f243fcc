"""A worker that leaves after one execution."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.support.engine import Rig, new_queue, running_engine
from tests.support.playground import Stage
from tests.support.worker_process import LIMIT_SECONDS, worker_process
from worker_core.control_plane.models import Execute
from worker_core.errors import ExitCode
from worker_core.snapshot import EngineState

ONE_TURN = {"single_turn": True}


async def execute(rig: Rig, prompt: str) -> str:
    """One turn, then it is over."""
    wish = Execute(prompt=prompt, worker_queue_id=rig.snapshot.queues[0].queue_id, configuration=ONE_TURN)
    return (await rig.client.execute_agent(rig.stage.info.agent_id, wish)).execution_id


async def workflow_status(stage: Stage, execution_id: str) -> str:
    client = await Client.connect(stage.info.temporal_host)
    described = await client.get_workflow_handle(f"agent-execution-{execution_id}").describe()
    return described.status.name if described.status else ""


async def queue_exists(stage: Stage, queue_id: str) -> bool:
    async with stage.client() as api:
        return (await api.get(f"/worker-queues/{queue_id}")).status_code == 200


async def test_it_leaves_after_one_and_the_next_one_waits_for_another_worker(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, single_execution=True) as rig:
        first = await execute(rig, 'one\n!tool shell {"command": "sleep 0.3; echo done"}')
        await rig.until(lambda: rig.snapshot.executions)
        second = await execute(rig, "two")
        final = await rig.stopped()
        assert (final.state, final.exit_code) == (EngineState.STOPPED, ExitCode.OK)
        assert final.reason == f"Stopped: execution {first} completed."
        assert final.tasks_processed == 1
        assert (await rig.client.get_execution(first)).status == "completed"
        assert await workflow_status(stage, first) == "COMPLETED", "its last step was done by this worker"
        assert (await rig.client.get_execution(second)).status not in {"running", "completed"}
        queue_id = final.queues[0].queue_id
        assert await queue_exists(stage, queue_id), "only ephemeral queues are deleted"
        async with running_engine(stage, tmp_path / "next", queue_ids=[queue_id]) as next_rig:
            await next_rig.reach(second, "completed")


async def test_a_failed_execution_is_the_exit_code(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, single_execution=True) as rig:
        failed = await execute(rig, "!error 400 no such model")
        final = await rig.stopped()
        assert final.exit_code == ExitCode.EXECUTION_FAILED
        assert final.reason == f"Stopped: execution {failed} failed."


async def test_a_queue_may_ask_for_it_and_an_ephemeral_one_is_deleted(stage: Stage, tmp_path: Path) -> None:
    queue_id = await new_queue(stage, single_execution=True, ephemeral=True)
    async with running_engine(stage, tmp_path, queue_ids=[queue_id]) as rig:
        await execute(rig, "only one")
        final = await rig.stopped()
        assert final.exit_code == ExitCode.OK
        assert not await queue_exists(stage, queue_id)


async def test_a_queue_with_another_worker_stays(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue_id = await new_queue(stage, single_execution=True, ephemeral=True)
    async with (
        running_engine(stage, tmp_path / "a", queue_ids=[queue_id]) as rig,
        running_engine(stage, tmp_path / "b", queue_ids=[queue_id]) as other,
    ):
        await execute(rig, "only one")
        await rig.until(lambda: rig.snapshot.tasks_processed or other.snapshot.tasks_processed)
        quicker = rig if rig.snapshot.tasks_processed else other
        await quicker.stopped()
        assert await queue_exists(stage, queue_id)
        assert f"The ephemeral queue {queue_id} could not be deleted" in caplog.text


async def test_it_does_not_wait_for_ever(stage: Stage, tmp_path: Path) -> None:
    wait = timedelta(milliseconds=200)
    async with running_engine(
        stage, tmp_path / "none", ready=False, single_execution=True, single_execution_wait=wait
    ) as rig:
        final = await rig.stopped()
        assert final.exit_code == ExitCode.NO_EXECUTION
        assert final.reason.startswith("Stopped: no execution came within ")


async def test_nor_for_a_user_who_does_not_answer(stage: Stage, tmp_path: Path) -> None:
    wait = timedelta(seconds=2)
    async with running_engine(stage, tmp_path, single_execution=True, single_execution_wait=wait) as rig:
        waiting = await rig.execute("a question")
        final = await rig.stopped()
        assert final.exit_code == ExitCode.NO_EXECUTION
        assert final.reason.startswith(f"Stopped: nobody answered execution {waiting} ")
        assert (await rig.client.get_execution(waiting)).status == "waiting_for_input"
        await rig.cancel(waiting)


@pytest.mark.parametrize("how", ["flag", "environment"])
async def test_the_program(stage: Stage, tmp_path: Path, how: str) -> None:
    queue_id = await new_queue(stage)
    options = ["--single-execution"] if how == "flag" else []
    environment = {} if how == "flag" else {"SINGLE_EXECUTION": "yes"}
    with worker_process(stage, tmp_path, queue_id, options=options, **environment) as worker:
        await asyncio.to_thread(worker.wait_ready)
        async with stage.client() as api:
            await api.post(
                f"/agents/{stage.info.agent_id}/execute",
                json={"prompt": "go", "worker_queue_id": queue_id, "configuration": ONE_TURN},
            )
        assert await asyncio.to_thread(worker.process.wait, LIMIT_SECONDS) == 0
