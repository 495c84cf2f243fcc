"""What a turn asks of the control plane, and what it waits for, one after the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from temporalio.client import Client

from tests.support.engine import new_queue, running_engine
from tests.support.held_calls import HeldCalls, held_calls
from tests.support.playground import Stage, until
from worker_core.control_plane.models import Execute

EVENTS = "POST events"


async def test_a_turn_waits_for_the_control_plane_five_times_and_asks_it_nine_times_besides_its_events(
    stage: Stage, tmp_path: Path
) -> None:
    queue = await new_queue(stage)
    async with (
        held_calls(stage) as plane,
        running_engine(stage, tmp_path, url=plane.url, queue_ids=[queue]) as rig,
    ):
        plane.hold(lambda path: "/worker" not in path)
        wish = Execute(prompt=f"calls of {queue}\n!instant", worker_queue_id=queue, configuration={"single_turn": True})
        execution_id = (await rig.client.execute_agent(stage.info.agent_id, wish)).execution_id

        await plane.answer("GET execution", "GET environment", "GET skills", "GET session")
        await until(lambda: _asked(stage, f"calls of {queue}"))  # the model is, while nobody knows that it begins
        for beside in (EVENTS, EVENTS, EVENTS, "PATCH execution"):
            await plane.answer(beside)
        await plane.answer("POST session", "PATCH execution")
        await plane.answer("POST numbers")
        await plane.answer("GET execution")
        temporal = await Client.connect(stage.info.temporal_host)
        await temporal.get_workflow_handle(f"agent-execution-{execution_id}").result()
        calls = Counter(plane.calls)
    assert calls.pop(EVENTS) == 3
    assert calls == Counter(
        {"GET execution": 2, "PATCH execution": 2}
        | dict.fromkeys(["GET environment", "GET skills", "GET session", "POST session", "POST numbers"], 1)
    )


async def test_a_turn_whose_end_is_tried_again_is_decided_once(stage: Stage, tmp_path: Path) -> None:
    """The server decides with each of its numbers, over whatever is there: also over the end that was told."""
    queue = await new_queue(stage)
    async with (
        held_calls(stage) as plane,
        running_engine(stage, tmp_path, url=plane.url, queue_ids=[queue]) as rig,
    ):
        plane.hold(lambda path: path.endswith("/turns"))
        wish = Execute(prompt=f"twice {queue}\n!instant", worker_queue_id=queue, configuration={"single_turn": True})
        execution_id = (await rig.client.execute_agent(stage.info.agent_id, wish)).execution_id
        await until(lambda: _held(plane))
        plane.refuse("GET execution")
        await plane.answer("POST numbers")
        plane.let_go()
        temporal = await Client.connect(stage.info.temporal_host)
        await temporal.get_workflow_handle(f"agent-execution-{execution_id}").result()
        async with stage.client() as api:
            told = (await api.get(f"/executions/{execution_id}/analytics")).json()
    assert plane.refused == ["GET execution"]
    assert [one["turn_number"] for one in told["turns"]] == [1]
    assert rig.snapshot.tasks_processed == 1


async def _held(plane: HeldCalls) -> bool:
    return plane.calls == ["POST numbers"]


async def _asked(stage: Stage, prompt: str) -> bool:
    return bool(await asyncio.to_thread(stage.model_calls, prompt))
