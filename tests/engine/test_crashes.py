"""`kill -9` anywhere: nothing that was completed is repeated, nothing is lost, and what is unknown is called so."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.client import Client, WorkflowHandle

from tests.support.engine import home, new_queue
from tests.support.executions import Viewer, sequences, submit, tool
from tests.support.held_calls import HeldCalls, held_calls
from tests.support.playground import Stage, until
from tests.support.worker_process import worker_process
from worker_core.control_plane.client import ControlPlaneClient


async def test_killed_between_two_tool_calls_nothing_is_repeated(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    steps = [tool("echo one >> calls"), "!hang 3", tool("echo two >> calls"), "!say both"]
    prompt = "\n".join(["between two calls", *steps])
    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        execution_id = await submit(stage, client, queue, prompt)
        # The answer to the first call is asked about: that call is over for Temporal too. Killed right before, its
        # end would be told a second time.
        await until(lambda: _asked(stage, "between two calls", times=2))
        worker.kill()
    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        record = await viewer.reach(execution_id, "waiting_for_input")
        assert worker.terminate() == 0
    assert record.response == "both"
    assert (home(tmp_path).workspaces / execution_id / "calls").read_text() == "one\ntwo\n"
    events = await viewer.sent(execution_id)
    kinds = [event["event_type"] for event in events if event["event_type"] != "message_chunk"]
    assert kinds == ["metadata", "message", *["tool_started", "tool_completed"] * 2]
    assert sequences(events) == sorted(set(sequences(events)))
    calls = stage.model_calls("between two calls")
    # Three answers; the one that was awaited when the worker was killed may have been asked for again.
    assert len(calls) in {3, 4}


async def test_killed_in_a_tool_call_its_processes_die_and_its_outcome_is_unknown(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    prompt = "\n".join(["in a call", tool("echo $$ >> pids; sleep 1000"), "!say looked"])
    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        execution_id = await submit(stage, client, queue, prompt)
        pids = home(tmp_path).workspaces / execution_id / "pids"
        await until(lambda: _written(pids))
        worker.kill()
    await until(lambda: _gone(int(pids.read_text())))
    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        record = await viewer.reach(execution_id, "waiting_for_input")
        assert worker.terminate() == 0
    session = await client.load_session(execution_id)
    assert record.response == "looked"
    assert len(pids.read_text().split()) == 1
    assert session is not None
    [answered] = [message for message in session["messages"] if message["role"] == "tool"]
    assert "outcome of this call is unknown" in str(answered)
    assert len(stage.model_calls("in a call")) == 2


async def test_killed_while_its_turn_ends_it_is_noticed_soon_and_decided_once(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    """The server takes seconds to decide: a worker is more likely to die here than its share of calls says."""
    queue = await new_queue(stage)
    async with held_calls(stage) as plane:
        plane.hold(lambda path: path.endswith("/turns"))
        with worker_process(stage, tmp_path, queue, CONTROL_PLANE_URL=plane.url) as worker:
            await asyncio.to_thread(worker.wait_ready)
            execution_id = await submit(stage, client, queue, f"at the end {queue}\n!instant")
            await until(lambda: _came(plane, "POST numbers"))
            plane.hold(lambda path: path.startswith("/executions/"))
            await plane.answer("POST numbers")
            await until(lambda: _came(plane, "GET execution"))
            worker.kill()
    record = await client.get_execution(execution_id)
    with worker_process(stage, tmp_path, queue) as worker:
        await asyncio.to_thread(worker.wait_ready)
        temporal = await Client.connect(stage.info.temporal_host)
        await until(lambda: _all_done(temporal.get_workflow_handle(f"agent-execution-{execution_id}")))
        assert await asyncio.to_thread(worker.terminate) == 0
    async with stage.client() as api:
        told = (await api.get(f"/executions/{execution_id}/analytics")).json()
    assert record.status == "waiting_for_input"
    assert [one["turn_number"] for one in told["turns"]] == [1]


@pytest.mark.parametrize("step", ["start_turn", "end_execution"])
async def test_killed_in_a_short_step_it_is_missed_by_its_heartbeats(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient, step: str
) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    temporal = await Client.connect(stage.info.temporal_host)
    async with held_calls(stage) as plane:
        with worker_process(stage, tmp_path, queue, CONTROL_PLANE_URL=plane.url) as worker:
            await asyncio.to_thread(worker.wait_ready)
            execution_id = await submit(stage, client, queue, f"before {step} {queue}\n!instant")
            await viewer.reach(execution_id, "waiting_for_input")
            handle = temporal.get_workflow_handle(f"agent-execution-{execution_id}")
            await until(lambda: _all_done(handle))
            plane.hold(lambda path: path == f"/executions/{execution_id}")
            if step == "start_turn":
                await handle.signal("add_message", {"role": "user", "content": f"second {queue}\n!instant"})
            else:
                await handle.signal("mark_as_done")
            await until(lambda: _beats(handle, step))
            worker.kill()
    with worker_process(stage, tmp_path, queue) as worker:
        await asyncio.to_thread(worker.wait_ready)
        await handle.signal("mark_as_done")
        await handle.result()
        assert await asyncio.to_thread(worker.terminate) == 0
    assert step in await _missed_by_heartbeat(handle)  # a call of the model may have been under way beside it
    assert (await client.get_execution(execution_id)).status == "completed"


async def test_another_machine_takes_over_what_was_not_begun(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    one, two = tmp_path / "one", tmp_path / "two"
    with worker_process(stage, one, queue) as first, worker_process(stage, two, queue) as second:
        first.wait_ready()
        second.wait_ready()
        first.kill()
        prompts = [f"taken over {number} {queue}\n!instant" for number in range(4)]
        executions = [await submit(stage, client, queue, prompt) for prompt in prompts]
        for execution_id in executions:
            await viewer.reach(execution_id, "waiting_for_input")
        assert second.terminate() == 0


async def _asked(stage: Stage, words: str, *, times: int) -> bool:
    return len(stage.model_calls(words)) >= times


async def _came(plane: HeldCalls, name: str) -> bool:
    return name in plane.calls


async def _all_done(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether each step that was begun has ended; no worker is asked."""
    kinds = [event.event_type async for event in handle.fetch_history_events()]
    begun, ended = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    return kinds.count(begun) == kinds.count(ended)


async def _beats(handle: WorkflowHandle[Any, Any], step: str) -> bool:
    under_way = (await handle.describe()).raw_description.pending_activities
    return any(one.activity_type.name == step and one.HasField("last_heartbeat_time") for one in under_way)


async def _missed_by_heartbeat(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """Steps whose attempt before the last was given up since no heartbeat came."""
    names, missed = dict[int, str](), []
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            names[event.event_id] = event.activity_task_scheduled_event_attributes.activity_type.name
        started = event.activity_task_started_event_attributes
        if started.last_failure.timeout_failure_info.timeout_type == TimeoutType.TIMEOUT_TYPE_HEARTBEAT:
            missed.append(names[started.scheduled_event_id])
    return missed


async def _written(path: Path) -> bool:
    return path.exists() and path.read_text().endswith("\n")


async def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
