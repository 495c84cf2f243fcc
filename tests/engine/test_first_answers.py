"""The first answer is asked for while an execution begins: fewer steps, and nothing asked or said twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest
from temporalio.client import Client

from tests.engine.submitted import submit as of_agents
from tests.support.engine import Rig, new_queue, running_engine
from tests.support.executions import Viewer, submit, tool
from tests.support.held_calls import HeldCalls, held_calls
from tests.support.playground import Stage, until
from tests.support.worker_process import worker_process
from worker_core.agents.activities import heartbeat, steps
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.engine.serving import QueueServer
from worker_core.temporal.closing import closed

SINGLE_TURN = {"single_turn": True}
LONG = timedelta(minutes=1)
SOON = {"KUBIYA_WORKER_HOME_LOST_AFTER": "3"}


async def test_workers_that_share_a_machines_steps_end_no_turn_ahead(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one could be asked to end the turn that this one is about to end."""
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", LONG.total_seconds())
    others = property(lambda server: True, lambda server, value: None)
    monkeypatch.setattr(QueueServer, "shares_home", others, raising=False)
    queue = await new_queue(stage)
    async with running_engine(stage, tmp_path, queue_ids=[queue]) as rig:
        prompt = f"shared {queue}\n{tool('true', '!say done')}"
        wish = Execute(prompt=prompt, worker_queue_id=queue, configuration=SINGLE_TURN)
        execution_id = (await rig.client.execute_agent(stage.info.agent_id, wish)).execution_id
        made = await steps_of(stage, execution_id)
    assert made == ["begin_execution", "call_model", "run_tool", "call_model", "finish_turn"]


class ADayBehind(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) - timedelta(days=1)


async def steps_of(stage: Stage, execution_id: str, *, kind: str = "agent") -> list[str]:
    """The activities of an execution that is over, in order."""
    temporal = await Client.connect(stage.info.temporal_host)
    handle = temporal.get_workflow_handle(f"{kind}-execution-{execution_id}")
    await closed(temporal, handle.id)
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


@pytest.mark.parametrize(
    ("script", "wait", "first_beat", "expected"),
    [
        ("!instant", LONG, LONG, ["begin_execution"]),
        ("!instant", LONG, timedelta(0), ["begin_execution", "finish_turn"]),
        ("!say late", timedelta(0), LONG, ["begin_execution", "call_model", "finish_turn"]),
        (tool("true", "!say done"), LONG, LONG, ["begin_execution", "run_tool", "call_model"]),
        (
            tool("true", "!say done"),
            LONG,
            timedelta(0),
            ["begin_execution", "run_tool", "call_model", "finish_turn"],
        ),
    ],
    ids=["at once", "after a heartbeat", "late", "with a tool", "with a tool, after a heartbeat"],
)
async def test_the_steps_of_an_execution_of_one_turn(
    stage: Stage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    wait: timedelta,
    first_beat: timedelta,
    expected: list[str],
) -> None:
    monkeypatch.setattr(steps, "WITH_THE_BEGINNING", wait)
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", first_beat.total_seconds() or 0.001)
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


@pytest.mark.parametrize(
    ("script", "expected"),
    [("!instant", ["begin_execution"]), (tool("true", "!say done"), ["begin_execution", "run_tool", "call_model"])],
    ids=["its first", "a later one"],
)
async def test_a_turn_that_ends_with_its_answer_is_stored_as_the_workflow_knows_it(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: list[str]
) -> None:
    monkeypatch.setattr(steps, "datetime", ADayBehind)  # this machine's clock; the server's is right
    monkeypatch.setattr(steps, "WITH_THE_BEGINNING", LONG)
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", LONG.total_seconds())
    queue = await new_queue(stage)
    async with running_engine(stage, tmp_path, queue_ids=[queue]) as rig:
        wish = Execute(prompt=f"stored {queue}\n{script}", worker_queue_id=queue, configuration=SINGLE_TURN)
        execution_id = (await rig.client.execute_agent(stage.info.agent_id, wish)).execution_id
        assert await steps_of(stage, execution_id) == expected
        session = await rig.client.load_session(execution_id)
        temporal = await Client.connect(stage.info.temporal_host)
        state = await temporal.get_workflow_handle(f"agent-execution-{execution_id}").query("get_state")
        record = await rig.client.get_execution(execution_id)
    assert session is not None
    known = [
        {key: one[key] for key in ("role", "content", "timestamp", "message_id")}
        for one in session["messages"]
        if one["role"] != "tool"
    ]
    assert known == [{key: one[key] for key in known[0]} for one in state["messages"]]
    assert record.usage["prompt_tokens"] == state["usage"]["prompt_tokens"] > 0
    async with stage.client() as api:
        [turn] = (await api.get(f"/executions/{execution_id}/analytics")).json()["turns"]
    numbers = turn["record"]
    assert numbers["input_tokens"] == state["usage"]["prompt_tokens"]
    assert numbers.get("tools_called_count", 0) == expected.count("run_tool")
    for told in (numbers["started_at"], numbers["completed_at"], *(one["timestamp"] for one in session["messages"])):
        assert abs(datetime.now(UTC) - datetime.fromisoformat(told)) < LONG
    assert 0 <= numbers["duration_ms"] < LONG.total_seconds() * 1000


async def test_a_dynamic_execution_has_no_turns_that_end(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "WITH_THE_BEGINNING", LONG)
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", LONG.total_seconds())
    async with running_engine(stage, tmp_path) as rig:
        for script, expected in (("!instant", []), (tool("true", "!say done"), ["run_tool", "call_model"])):
            execution_id = await of_agents(
                stage, "/execute", rig, entity_type="agent", runtime_type="default", prompt=f"dynamic\n{script}"
            )
            await rig.reach(execution_id, "completed")
            made = await steps_of(stage, execution_id, kind="dynamic")
            assert made == ["begin_execution", *expected, "end_execution"]
            async with stage.client() as api:
                assert (await api.get(f"/executions/{execution_id}/analytics")).json()["turns"] == []


@pytest.mark.parametrize(
    ("stage_of_the_end", "tools", "home_lost"),
    [
        ("POST session", 0, True),
        ("POST numbers", 0, True),
        ("GET execution", 0, True),
        ("POST numbers", 1, False),
        ("GET execution", 1, False),
        ("POST numbers", 1, True),
        ("GET execution", 1, True),
    ],
)
async def test_killed_while_its_turn_ends_with_its_answer_nothing_is_asked_or_counted_twice(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient, stage_of_the_end: str, tools: int, home_lost: bool
) -> None:
    """Another worker goes on with the answer that the first one had heard: after its first answer any of the queue,
    later one of its machine, or of another where that is gone.
    """
    queue, viewer = await new_queue(stage), Viewer(stage, client)
    name, script = f"killed at {stage_of_the_end} {queue}", tool("true", "!say ok") if tools else "!instant"
    async with held_calls(stage) as plane:
        with worker_process(stage, tmp_path / "first", queue, CONTROL_PLANE_URL=plane.url, **SOON) as worker:
            await asyncio.to_thread(worker.wait_ready)
            plane.hold(lambda path: path.endswith("/turns") or "/session" in path)
            wish = Execute(prompt=f"{name}\n{script}", worker_queue_id=queue, configuration=SINGLE_TURN)
            execution_id = (await client.execute_agent(stage.info.agent_id, wish)).execution_id
            await plane.answer("GET session")
            if stage_of_the_end != "POST session":
                await plane.answer("POST session")
            if stage_of_the_end == "GET execution":
                await until(lambda: _held(plane, "POST numbers"))
                plane.hold(lambda path: path.endswith(execution_id))
                await plane.answer("POST numbers")
            await until(lambda: _held(plane, stage_of_the_end))
            await asyncio.to_thread(worker.kill)
        plane.refuse(stage_of_the_end)  # it died before that was sent
        plane.let_go()
        await until(lambda: _refused(plane))
    with worker_process(stage, tmp_path / ("second" if home_lost else "first"), queue, **SOON) as worker:
        await asyncio.to_thread(worker.wait_ready)
        made = await steps_of(stage, execution_id)
        assert await asyncio.to_thread(worker.terminate) == 0
    moved = tools and home_lost
    assert made == [
        "begin_execution", *["run_tool", "call_model"] * tools, *["begin_execution"] * moved, "finish_turn"
    ]  # fmt: skip
    record = await client.get_execution(execution_id)
    assert (record.status, record.response) == ("completed", "ok")
    assert len(stage.model_calls(name)) == 1 + tools
    async with stage.client() as api:
        turns = (await api.get(f"/executions/{execution_id}/analytics")).json()["turns"]
    assert [one["turn_number"] for one in turns] == [1]
    session = await client.load_session(execution_id)
    assert session is not None
    roles = [one["role"] for one in session["messages"]]
    assert roles == ["user", *["tool"] * tools, "assistant", *["system"] * moved]  # that its files are gone
    kinds = Counter(event["event_type"] for event in await viewer.sent(execution_id))
    assert (kinds["metadata"], kinds["message"]) == (1, 1)


@contextlib.asynccontextmanager
async def turn_not_counted_yet(stage: Stage, folder: Path) -> AsyncIterator[tuple[HeldCalls, Rig, str]]:
    """An execution of one turn that is answered at once, whose numbers the control plane holds back."""
    queue = await new_queue(stage)
    async with held_calls(stage) as plane, running_engine(stage, folder, url=plane.url, queue_ids=[queue]) as rig:
        plane.hold(lambda path: path.endswith("/turns"))
        wish = Execute(prompt=f"held {queue}\n!instant", worker_queue_id=queue, configuration=SINGLE_TURN)
        yield plane, rig, (await rig.client.execute_agent(stage.info.agent_id, wish)).execution_id


async def test_a_server_that_decides_late_is_waited_for_by_the_step_that_it_belongs_to(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", LONG.total_seconds())
    async with turn_not_counted_yet(stage, tmp_path) as (plane, rig, execution_id):
        await until(lambda: _waits_for(stage, execution_id, "finish_turn"))
        plane.let_go()
        assert await steps_of(stage, execution_id) == ["begin_execution", "finish_turn"]
        assert plane.calls == ["POST numbers"]
        assert (await rig.client.get_execution(execution_id)).status == "completed"
        assert rig.snapshot.tasks_processed == 1


async def test_cancelled_while_its_turn_ends_with_its_answer_the_end_is_whole(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written of the turn after the last word."""
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", LONG.total_seconds())
    async with turn_not_counted_yet(stage, tmp_path) as (plane, rig, execution_id):
        await until(lambda: _held(plane, "POST numbers"))
        temporal = await Client.connect(stage.info.temporal_host)
        await temporal.get_workflow_handle(f"agent-execution-{execution_id}").cancel()
        await until(lambda: _waits_for(stage, execution_id, "end_execution", "finish_turn"))
        plane.let_go()
        made = await steps_of(stage, execution_id)
        await rig.until(lambda: not rig.snapshot.executions)
        record = await rig.client.get_execution(execution_id)
    assert made[0] == "begin_execution"
    assert record.status == "completed"  # the server had the numbers before anybody cancelled
    assert plane.calls == ["POST numbers"]


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


async def _refused(plane: HeldCalls) -> bool:
    return bool(plane.refused)


async def _held(plane: HeldCalls, name: str) -> bool:
    return name in plane.calls


async def _waits_for(stage: Stage, execution_id: str, *names: str) -> bool:
    temporal = await Client.connect(stage.info.temporal_host)
    found = await temporal.get_workflow_handle(f"agent-execution-{execution_id}").describe()
    return any(one.activity_type.name in names for one in found.raw_description.pending_activities)


def _text(event: dict[str, Any]) -> str:
    return str(event["data"]["content"]) if event["event_type"] == "message_chunk" else ""


async def _asked(stage: Stage, name: str) -> bool:
    return bool(stage.model_calls(name))
