"""The first answer is asked for while an execution begins: fewer steps, and nothing asked or said twice."""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from tests.support.engine import new_queue, running_engine
from tests.support.executions import Viewer, submit, tool
from tests.support.playground import Stage, until
from tests.support.worker_process import worker_process
from worker_core.agents.activities import steps
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.temporal.closing import closed

SINGLE_TURN = {"single_turn": True}


async def steps_of(stage: Stage, execution_id: str) -> list[str]:
    """The activities of an execution that is over, in order."""
    temporal = await Client.connect(stage.info.temporal_host)
    handle = temporal.get_workflow_handle(f"agent-execution-{execution_id}")
    await closed(temporal, handle.id)
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


@pytest.mark.parametrize(
    ("script", "wait", "expected"),
    [
        ("!instant", timedelta(minutes=1), ["begin_execution", "finish_turn"]),
        ("!say late", timedelta(0), ["begin_execution", "call_model", "finish_turn"]),
        (
            tool("true", "!say done"),
            timedelta(minutes=1),
            ["begin_execution", "run_tool", "call_model", "finish_turn"],
        ),
    ],
    ids=["at once", "late", "with a tool"],
)
async def test_the_steps_of_an_execution_of_one_turn(
    stage: Stage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    wait: timedelta,
    expected: list[str],
) -> None:
    monkeypatch.setattr(steps, "WITH_THE_BEGINNING", wait)
    queue = await new_queue(stage)
    prompt = f"steps {queue}\n{script}"
    async with running_engine(stage, tmp_path, queue_ids=[queue]) as rig:
        wish = Execute(prompt=prompt, worker_queue_id=queue, configuration=SINGLE_TURN)
        execution_id = (await rig.client.execute_agent(stage.info.agent_id, wish)).execution_id
        assert await steps_of(stage, execution_id) == expected
        assert (await rig.client.get_execution(execution_id)).status == "completed"
        assert (rig.snapshot.tasks_processed, rig.snapshot.executions) == (1, ())
        kinds = Counter(event["event_type"] for event in await rig.sent(execution_id))
    assert (kinds["metadata"], kinds["message"]) == (1, 1)
    assert len(stage.model_calls(f"steps {queue}")) == 1 + ("!tool" in script)


async def test_a_first_call_that_is_refused_was_made_once(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute(f"refused {tmp_path.name}\n!error 401")
        record = await rig.reach(execution_id, "failed")
        made = await steps_of(stage, execution_id)
    assert "401" in (record.error_message or "")
    assert len(stage.model_calls(f"refused {tmp_path.name}")) == 1
    assert made == ["begin_execution", "call_model", "end_execution"]


async def test_cancelled_while_it_begins_the_first_call_ends(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        name = f"cancelled {tmp_path.name}"
        execution_id = await rig.execute(f"{name}\n!hang 600\n!say never")
        await until(lambda: _asked(stage, name))
        await rig.cancel(execution_id)
        await rig.reach(execution_id, "cancelled")
        await rig.until(lambda: not rig.snapshot.executions)
        temporal = await Client.connect(stage.info.temporal_host)
        await closed(temporal, f"agent-execution-{execution_id}")
    assert len(stage.model_calls(name)) == 1


async def test_killed_in_its_first_call_it_is_told_of_once_and_asked_again(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    name = f"killed {queue}"

    async def told() -> bool:
        record = await client.get_execution(execution_id)
        return bool(record.execution_metadata.get("workflow_started")) and await _asked(stage, name)

    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        execution_id = await submit(stage, client, queue, f"{name}\n!hang 2\n!say there")
        await until(told)
        worker.kill()
    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        record = await viewer.reach(execution_id, "waiting_for_input")
        assert worker.terminate() == 0
    assert record.response == "there"
    events = await viewer.sent(execution_id)
    kinds = Counter(event["event_type"] for event in events)
    assert (kinds["metadata"], kinds["message"]) == (1, 1)
    assert "".join(_text(event) for event in events) == "there"
    assert len(stage.model_calls(name)) == 2


@pytest.mark.parametrize("workers", [1, 2])
async def test_workers_of_a_machine_make_each_first_call_once_and_leave(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient, workers: int
) -> None:
    """The executions wait when they come, so that all begin together; of two, one may know nothing of the other yet."""
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    names = [f"shared {queue} {number}" for number in range(6)]
    ids = [await submit(stage, client, queue, f"{name}\n!hang 3\n!say {name}") for name in names]
    with contextlib.ExitStack() as running:
        started = [running.enter_context(worker_process(stage, tmp_path, queue)) for _ in range(workers)]
        said = [(await viewer.reach(execution_id, "waiting_for_input")).response for execution_id in ids]
        assert [worker.terminate() for worker in started] == [0] * workers
    assert said == names
    assert [len(stage.model_calls(name)) for name in names] == [1] * len(names)
    for execution_id, name in zip(ids, names, strict=True):
        assert "".join(_text(event) for event in await viewer.sent(execution_id)) == name


def _text(event: dict[str, Any]) -> str:
    return str(event["data"]["content"]) if event["event_type"] == "message_chunk" else ""


async def _asked(stage: Stage, name: str) -> bool:
    return bool(stage.model_calls(name))
