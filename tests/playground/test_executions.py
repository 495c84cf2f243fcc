"""Executions and their streams, with a real Temporal server and a small worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.support.playground import SentEvent, Stage, sse, until


@workflow.defn(name="AgentExecutionWorkflow", sandboxed=False)
class Echo:
    """Keeps what it was told; ends on `mark_as_done`, or at once when the prompt is `end` or `fail`."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.signals: list[str] = []
        self.done = False

    @workflow.run
    async def run(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["prompt"] == "fail":
            raise ApplicationError("broken", non_retryable=True)
        if given["prompt"] != "end":
            await workflow.wait_condition(lambda: self.done)
        return given | {"heard": self.messages, "signals": self.signals}

    @workflow.signal
    def add_message(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    @workflow.signal
    def mark_as_done(self) -> None:
        self.done = True

    @workflow.signal
    def pause_execution(self) -> None:
        self.signals.append("pause")

    @workflow.signal
    def resume_execution(self) -> None:
        self.signals.append("resume")

    @workflow.query
    def get_state(self) -> dict[str, Any]:
        return {"status": "completed" if self.done else "waiting_for_input", "current_response": "from the state"}


@asynccontextmanager
async def worker(stage: Stage) -> AsyncIterator[Client]:
    client = await Client.connect(stage.info.temporal_host)
    async with Worker(
        client,
        task_queue=stage.info.queue_id,
        workflows=[Echo],
        workflow_runner=UnsandboxedWorkflowRunner(),
        graceful_shutdown_timeout=timedelta(0),
    ):
        yield client


async def execute(api: httpx2.AsyncClient, stage: Stage, prompt: str = "hello", **more: Any) -> str:
    answer = await api.post(
        f"/agents/{stage.info.agent_id}/execute",
        json={"prompt": prompt, "worker_queue_id": stage.info.queue_id, **more},
    )
    assert answer.status_code == 200, answer.text
    data = answer.json()
    assert data["workflow_id"] == f"agent-execution-{data['execution_id']}"
    assert data.keys() == {"execution_id", "workflow_id", "status", "message"}
    return str(data["execution_id"])


async def post_event(api: httpx2.AsyncClient, execution_id: str, kind: str, **data: Any) -> None:
    answer = await api.post(f"/executions/{execution_id}/events", json={"event_type": kind, "data": data})
    assert answer.status_code == 202


@asynccontextmanager
async def viewer(api: httpx2.AsyncClient, execution_id: str, **options: Any) -> AsyncIterator[AsyncIterator[SentEvent]]:
    async with api.stream("GET", f"/executions/{execution_id}/stream", **options) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield sse(response)


async def read_until(events: AsyncIterator[SentEvent], kind: str) -> list[SentEvent]:
    seen: list[SentEvent] = []
    async with asyncio.timeout(10):  # less than any timer of a stream: what arrives was pushed
        async for event in events:
            seen.append(event)
            if event.event == kind:
                return seen
    raise AssertionError(f"the stream ended without {kind}: {[event.event for event in seen]}")


async def test_the_workflow_gets_exactly_the_documented_input(api: httpx2.AsyncClient, stage: Stage) -> None:
    async with worker(stage) as client:
        execution_id = await execute(
            api, stage, "end", system_prompt="S", model_id="m", user_metadata={"user_id": "u", "extra": 1},
            configuration={"single_turn": True},
        )  # fmt: skip
        given = await client.get_workflow_handle(f"agent-execution-{execution_id}").result()
    row = (await api.get(f"/executions/{execution_id}")).json()
    assert given == {
        "execution_id": execution_id, "agent_id": stage.info.agent_id, "organization_id": "playground",
        "prompt": "end", "system_prompt": "S", "model_id": "m", "model_config": {},
        "agent_config": {"single_turn": True}, "mcp_servers": {},
        "user_metadata": {
            "user_id": "u", "user_name": "Playground", "user_email": "you@playground.local", "user_avatar": None,
            "extra": 1,
        },
        "runtime_type": "default", "control_plane_url": stage.info.control_plane_url, "api_key": None,
        "initial_message_timestamp": row["created_at"], "graph_api_url": None, "dataset_name": None,
        "heard": [], "signals": [],
    }  # fmt: skip
    assert (row["status"], row["entity_name"], row["user_id"]) == ("pending", "demo-agent", "u")
    [listed] = (await api.get(f"/worker-queues/{stage.info.queue_id}/executions?limit=1")).json()
    assert (listed["id"], listed["prompt"]) == (execution_id, "end")


async def test_executions_are_refused_with_a_sentence(api: httpx2.AsyncClient, stage: Stage) -> None:
    path = f"/agents/{stage.info.agent_id}/execute"
    for queue_id in (str(uuid4()), "nonsense"):
        answer = await api.post(path, json={"prompt": "p", "worker_queue_id": queue_id})
        assert (answer.status_code, queue_id in answer.json()["detail"]) == (404, True)
    queue = await api.post(
        f"/environments/{stage.info.environment_id}/worker-queues", json={"name": f"q-{uuid4().hex[:6]}"}
    )
    await api.patch(f"/worker-queues/{queue.json()['id']}", json={"status": "maintenance"})
    answer = await api.post(path, json={"prompt": "p", "worker_queue_id": queue.json()["id"]})
    assert (answer.status_code, "maintenance" in answer.json()["detail"]) == (400, True)
    assert (await api.post(path, json={"prompt": "p"})).status_code == 422
    assert (await api.post(path, json={"prompt": " ", "worker_queue_id": stage.info.queue_id})).status_code == 422
    unknown = f"/agents/{uuid4()}/execute"
    assert (await api.post(unknown, json={"prompt": "p", "worker_queue_id": "q"})).status_code == 404


async def test_a_viewer_sees_everything_in_order_and_once(api: httpx2.AsyncClient, stage: Stage) -> None:
    async with worker(stage):
        execution_id = await execute(api, stage)
        await post_event(api, execution_id, "message", role="user", content="hello", message_id="m1", sequence=1)
        async with viewer(api, execution_id) as events:
            history = await read_until(events, "history_complete")
            assert [event.event for event in history] == ["connected", "message", "history_complete"]
            assert history[1].data["content"] == "hello"  # flat
            await api.patch(f"/executions/{execution_id}", json={"status": "running"})
            for sequence in (2, 3, 3, 4):
                await post_event(api, execution_id, "message_chunk", content=f"{sequence} ", sequence=sequence)
            await post_event(api, execution_id, "status", status="a worker's own is wrapped")
            final = {"status": "completed", "response": "2 3 4", "usage": {"total_tokens": 7},
                     "execution_metadata": {"k": 1}}  # fmt: skip
            await api.patch(f"/executions/{execution_id}", json=final)
            assert (await api.post(f"/executions/{execution_id}/mark-done")).status_code == 202
            live = await read_until(events, "done")
    assert [event.event for event in live] == [
        "status", "message_chunk", "message_chunk", "message_chunk", "status", "status", "done",
    ]  # fmt: skip
    assert live[0].data == {"status": "running", "execution_id": execution_id}
    assert live[1].data.keys() == {"data", "timestamp"}
    assert [event.data["data"]["sequence"] for event in live[1:4]] == [2, 3, 4]
    assert "data" in live[4].data
    assert live[-1].data == {
        "execution_id": execution_id, "status": "completed", "response": "2 3 4", "usage": {"total_tokens": 7},
        "metadata": {"k": 1},
    }  # fmt: skip
    stored = (await api.get(f"/executions/{execution_id}/events?origin=worker")).json()
    assert [event["data"].get("sequence") for event in stored] == [1, 2, 3, 4, None]


async def test_a_reconnecting_viewer_misses_nothing_and_gets_nothing_twice(
    api: httpx2.AsyncClient, stage: Stage
) -> None:
    execution_id = await execute(api, stage)
    for number in range(3):
        await post_event(api, execution_id, "message_chunk", content=str(number))
    async with viewer(api, execution_id) as events:
        first = [await anext(events) for _ in range(3)]
    assert [event.event for event in first] == ["connected", "message_chunk", "message_chunk"]
    await post_event(api, execution_id, "message_chunk", content="3")
    last = first[-1].id
    assert last is not None
    for options in ({"headers": {"Last-Event-ID": last}}, {"params": {"after": last}}):
        async with viewer(api, execution_id, **options) as events:
            seen = await read_until(events, "history_complete")
        assert [event.data["data"]["content"] for event in seen[1:-1]] == ["2", "3"]


async def test_many_viewers_get_long_histories(api: httpx2.AsyncClient, stage: Stage) -> None:
    execution_id = await execute(api, stage)
    hub = stage.playground.context.hub

    def fill() -> None:
        for number in range(1234):
            hub.publish(execution_id, "message_chunk", {"content": str(number)}, origin="worker")

    stage.inside(fill)

    async def view() -> list[str]:
        async with viewer(api, execution_id) as events:
            seen = await read_until(events, "history_complete")
        return [event.data["data"]["content"] for event in seen[1:-1]]

    for contents in await asyncio.gather(*(view() for _ in range(3))):
        assert contents == [str(number) for number in range(1234)]

    async def left() -> bool:
        return stage.inside(lambda: execution_id not in hub._rooms)

    await until(left)


async def test_the_session_is_the_history_where_no_events_are(api: httpx2.AsyncClient, stage: Stage) -> None:
    execution_id = await execute(api, stage)
    messages = [
        {"role": "user", "content": "hi", "timestamp": "2026-01-01T00:00:00Z", "message_id": "a"},
        {"role": "assistant", "content": "", "timestamp": "2026-01-01T00:00:01Z", "message_id": "b"},
        {"role": "assistant", "content": "yes", "timestamp": "2026-01-01T00:00:02Z", "message_id": "c"},
    ]
    await api.post(f"/executions/{execution_id}/session", json={"messages": messages})
    async with viewer(api, execution_id) as events:
        seen = await read_until(events, "history_complete")
    assert [event.data.get("content") for event in seen[1:-1]] == ["hi", "yes"]


async def test_messages_reach_viewers_and_the_workflow_under_one_id(api: httpx2.AsyncClient, stage: Stage) -> None:
    async with worker(stage) as client:
        execution_id = await execute(api, stage)
        async with viewer(api, execution_id) as events:
            await read_until(events, "history_complete")
            answer = await api.post(f"/executions/{execution_id}/message", json={"message": "and now?"})
            assert answer.status_code == 202
            [shown] = await read_until(events, "message")
        await api.post(f"/executions/{execution_id}/mark-done")
        [heard] = (await client.get_workflow_handle(f"agent-execution-{execution_id}").result())["heard"]
    assert heard["message_id"] == shown.data["message_id"] == answer.json()["message_id"]
    assert heard["message_id"].startswith(f"{execution_id}_")
    assert heard["message_id"].removeprefix(f"{execution_id}_").isdigit()
    assert (heard["role"], heard["content"], heard["user_id"]) == ("user", "and now?", "playground-user")
    assert heard.keys() == {
        "role", "content", "timestamp", "tool_name", "tool_input", "tool_output", "message_id", "user_id",
        "user_name", "user_email", "user_avatar",
    }  # fmt: skip
    row = (await api.get(f"/executions/{execution_id}")).json()
    assert row["last_message_preview"] == "and now?"
    await api.patch(f"/executions/{execution_id}", json={"status": "completed"})
    refused = await api.post(f"/executions/{execution_id}/message", json={"message": "more"})
    assert refused.status_code == 400
    assert (await api.post(f"/executions/{execution_id}/message", json={"message": 1})).status_code == 422


async def test_pause_resume_and_cancel_follow_the_status(api: httpx2.AsyncClient, stage: Stage) -> None:
    async with worker(stage) as client:
        execution_id = await execute(api, stage)
        path = f"/executions/{execution_id}"
        for verb in ("pause", "resume", "cancel"):  # pending: refused (hazard 14)
            answer = await api.post(f"{path}/{verb}")
            assert (answer.status_code, answer.json()["success"]) == (200, False)
        await api.patch(path, json={"status": "waiting_for_input"})
        for verb, status in (("pause", "paused"), ("resume", "running"), ("pause", "paused"), ("resume", "running")):
            assert (await api.post(f"{path}/{verb}")).json()["success"] is True
            assert (await api.get(path)).json()["status"] == status
        async with viewer(api, execution_id) as events:
            assert (await api.post(f"{path}/cancel")).json()["success"] is True
            row = (await api.get(path)).json()
            assert row["status"] == "cancelled"
            assert row["completed_at"]
            done = (await read_until(events, "done"))[-1]
        assert done.data["status"] == "cancelled"
        described = await client.get_workflow_handle(f"agent-execution-{execution_id}").describe()
        assert described.status is not None
        assert described.status.name == "CANCELED"


async def test_terminate_needs_no_worker(api: httpx2.AsyncClient, stage: Stage) -> None:
    execution_id = await execute(api, stage)
    async with viewer(api, execution_id) as events:
        answer = await api.post(f"/executions/{execution_id}/terminate", json={"reason": "enough"})
        assert answer.json()["success"] is True
        assert (await read_until(events, "done"))[-1].data["status"] == "cancelled"
    assert (await api.get(f"/executions/{execution_id}")).json()["error_message"] == "enough"
    assert (await api.post(f"/executions/{execution_id}/mark-done")).status_code == 500


@pytest.mark.parametrize(("prompt", "kind", "status"), [("end", "done", "completed"), ("fail", "error", "failed")])
async def test_a_closed_workflow_ends_the_stream_even_if_no_status_was_written(
    api: httpx2.AsyncClient, stage: Stage, prompt: str, kind: str, status: str
) -> None:
    async with worker(stage):
        execution_id = await execute(api, stage, prompt)
        async with viewer(api, execution_id) as events:
            last = (await read_until(events, kind))[-1]
    assert last.data["status"] == status
    assert (await api.get(f"/executions/{execution_id}")).json()["status"] == "pending"


async def test_the_state_of_the_workflow_counts_beside_the_database(api: httpx2.AsyncClient, stage: Stage) -> None:
    async with worker(stage):
        execution_id = await execute(api, stage)
        await api.patch(f"/executions/{execution_id}", json={"status": "running"})
        async with viewer(api, execution_id) as events:
            await read_until(events, "history_complete")
            [status] = await read_until(events, "status")
        await api.post(f"/executions/{execution_id}/mark-done")
    assert status.data == {"status": "waiting_for_input", "execution_id": execution_id}


@pytest.mark.parametrize(
    ("configuration", "error", "status"),
    [
        ({}, None, "waiting_for_input"),
        ({"single_turn": True}, None, "completed"),
        ({"single_turn": True}, "e", "failed"),
    ],
)
async def test_the_decision_after_a_turn(
    api: httpx2.AsyncClient, stage: Stage, configuration: dict[str, Any], error: str | None, status: str
) -> None:
    execution_id = await execute(api, stage, configuration=configuration)
    async with viewer(api, execution_id) as events:
        await read_until(events, "history_complete")
        turn = {"execution_id": execution_id, "turn_number": 1, "model": "m",
                "started_at": "2026-01-01T00:00:00Z", "error_message": error}  # fmt: skip
        assert (await api.post("/analytics/turns", json=turn)).status_code == 201
        assert (await api.get(f"/executions/{execution_id}")).json()["status"] == status
        [pushed] = await read_until(events, "status")
    assert pushed.data == {"status": status, "execution_id": execution_id}


async def test_an_outage_refuses_and_ends(api: httpx2.AsyncClient, stage: Stage, model: httpx2.AsyncClient) -> None:
    stage.outage(active=True)
    try:
        assert (await api.get("/executions")).status_code == 503
        assert (await model.get("/models")).status_code == 200
    finally:
        stage.outage(active=False)
    assert (await api.get("/executions")).status_code == 200
