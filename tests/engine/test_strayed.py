"""Executions that are not this worker's any more hold no place here, and no drain waits for them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.support.engine import Rig, running_engine
from tests.support.executions import tool
from tests.support.playground import Stage, until
from worker_core.agents.activities import tracker
from worker_core.engine import departure
from worker_core.events import SnapshotReplaced
from worker_core.machine import changes


async def terminated(stage: Stage, rig: Rig, execution_id: str) -> None:
    temporal = await Client.connect(stage.info.temporal_host)
    await temporal.get_workflow_handle(f"agent-execution-{execution_id}").terminate()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "UNTOUCHED_SECONDS", 0.2)
    monkeypatch.setattr(departure, "LOOK_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(changes, "watch", partial(changes.watch, every=timedelta(seconds=0.2)))


async def in_a_tool(rig: Rig) -> str:
    execution_id = await rig.execute("strayed\n" + tool("sleep 600", "!say never"))
    await until(lambda: rig.sent(execution_id, "tool_started"))
    return execution_id


async def test_a_terminated_execution_holds_up_no_drain(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        await terminated(stage, rig, await in_a_tool(rig))
        await rig.engine.stop()
        final = await rig.stopped()
    assert final.exit_code == 0


async def test_a_terminated_execution_gives_its_place_back(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, max_executions=1) as rig:
        await terminated(stage, rig, await in_a_tool(rig))
        await rig.reach(await rig.execute("next\n!say here"), "waiting_for_input")


async def test_one_that_is_paused_between_two_steps_stays(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        go = tmp_path / "go"
        wait = f"until test -e {go}; do sleep 0.05; done"
        execution_id = await rig.execute("paused\n" + tool(wait, "!say over"))
        await until(lambda: rig.sent(execution_id, "tool_started"))
        await rig.known_to_run(execution_id)
        await rig.client.pause(execution_id)
        go.touch()
        await until(lambda: rig.sent(execution_id, "tool_completed"))
        before = len(rig.published(SnapshotReplaced))
        await rig.until(lambda: len(rig.published(SnapshotReplaced)) > before + 10)  # looks at the machine, and at it
        assert [one.execution_id for one in rig.snapshot.executions] == [execution_id]
        await rig.client.resume(execution_id)
        await rig.reach(execution_id, "waiting_for_input")
