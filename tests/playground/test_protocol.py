"""The worker protocol: shapes and status codes (facts: protocol, sections 1 to 6, 8 and the table of 12)."""

from __future__ import annotations

from uuid import uuid4

import httpx2
import pytest

from tests.support.playground import Stage

UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def new_queue(api: httpx2.AsyncClient, stage: Stage, **more: object) -> dict[str, object]:
    answer = await api.post(
        f"/environments/{stage.info.environment_id}/worker-queues", json={"name": f"q-{uuid4().hex[:8]}", **more}
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def new_execution(api: httpx2.AsyncClient) -> str:
    execution_id = str(uuid4())
    body = {"execution_id": execution_id, "entity_type": "agent", "prompt": "p", "trigger_type": "manual"}
    assert (await api.post("/executions/job-executions", json=body)).status_code == 201
    return execution_id


def turn(execution_id: str, **more: object) -> dict[str, object]:
    return {"execution_id": execution_id, "turn_number": 1, "model": "m", "started_at": "2026-01-01T00:00:00Z", **more}


@pytest.mark.parametrize("form", ["Bearer {}", "UserKey {}", "Baerer {}", "{}"])
async def test_each_form_of_the_key_opens(stage: Stage, form: str) -> None:
    async with stage.client(key="") as client:
        header = {"Authorization": form.format(stage.info.api_key)}
        assert (await client.get("/auth/validate", headers=header)).json()["slug"] == "playground"
        assert (await client.get("/auth/validate", headers={"UserKey": stage.info.api_key})).status_code == 200


@pytest.mark.parametrize("header", [None, "Bearer wrong", "bearer {}", "Basic {}", "Bearer"])
async def test_another_key_does_not(stage: Stage, header: str | None) -> None:
    async with stage.client(key="") as client:
        headers = {"Authorization": header.format(stage.info.api_key)} if header else {}
        answer = await client.post(f"/worker-queues/{stage.info.queue_id}/start", headers=headers, json={})
    assert answer.status_code == 401
    assert answer.json()["detail"]["error"] == "Unauthorized"
    assert answer.json()["detail"].keys() == {"error", "message", "hint"}


async def test_start_gives_everything(api: httpx2.AsyncClient, stage: Stage) -> None:
    body = {"worker_sdk_version": "1", "system_info": {"pid": 1}, "control_plane_url": "http://cp.example.test/"}
    answer = await api.post(f"/worker-queues/{stage.info.queue_id}/start", json=body)
    assert answer.status_code == 200
    data = answer.json()
    assert data.keys() == {
        "worker_id", "task_queue_name", "temporal_namespace", "temporal_host", "temporal_api_key",
        "organization_id", "control_plane_url", "heartbeat_interval", "litellm_api_url", "litellm_api_key",
        "queue_name", "environment_name", "queue_id", "queue_ephemeral", "queue_single_execution", "redis_url",
        "redis_password", "redis_enabled", "websocket_enabled", "websocket_url", "websocket_features",
        "nats_config", "control_plane_sdk_version",
    }  # fmt: skip
    assert data["task_queue_name"] == data["queue_id"] == stage.info.queue_id
    assert data["control_plane_url"] == "http://cp.example.test"
    assert data["temporal_host"] == stage.info.temporal_host
    assert (data["litellm_api_url"], data["temporal_api_key"]) == (stage.info.llm_url, "")
    again = await api.post(f"/worker-queues/{stage.info.queue_id}/start")  # an empty body is allowed
    assert again.json()["worker_id"] != data["worker_id"]
    assert again.json()["control_plane_url"] == stage.info.control_plane_url


async def test_start_refuses(api: httpx2.AsyncClient, stage: Stage) -> None:
    queue = await new_queue(api, stage)
    path = f"/worker-queues/{queue['id']}"
    assert (await api.patch(path, json={"status": "inactive"})).json()["status"] == "inactive"
    answer = await api.post(f"{path}/start", json={})
    assert (answer.status_code, answer.json()) == (
        400, {"detail": "Worker queue is not active (status: inactive)"},
    )  # fmt: skip
    answer = await api.post(f"/worker-queues/{UNKNOWN}/start", json={})
    assert (answer.status_code, UNKNOWN in answer.json()["detail"]) == (404, True)
    answer = await api.post("/worker-queues/not-a-uuid/start", json={})
    assert (answer.status_code, answer.json()["detail"][-8:]) == (500, "not-a-uu")
    answer = await api.post(f"/worker-queues/{stage.info.queue_id}/start", json={"system_info": {"pid": "x"}})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "system_info", "pid"]
    store = stage.playground.context.store
    stage.inside(lambda: store.update("queues", {"organization_id": "other"}, id=queue["id"]))
    assert (await api.post(f"{path}/start", json={})).status_code == 403


async def test_a_worker_is_seen_from_its_first_heartbeat_until_150_s_of_silence(
    api: httpx2.AsyncClient, stage: Stage
) -> None:
    queue = await new_queue(api, stage)
    path = f"/worker-queues/{queue['id']}"
    worker_id = (await api.post(f"{path}/start", json={})).json()["worker_id"]
    assert (await api.get(path)).json()["active_workers"] == 0
    full = {"status": "busy", "tasks_processed": 3, "system_info": {"hostname": "h"}, "logs": ["a"] * 90}
    assert (await api.post(f"/workers/{worker_id}/heartbeat", json=full)).status_code == 204
    light = {"status": "idle", "tasks_processed": 4, "logs": ["b"] * 20}
    assert (await api.post(f"/workers/{worker_id}/heartbeat", json=light)).content == b""
    [worker] = (await api.get(f"{path}/workers")).json()
    assert (worker["status"], worker["tasks_processed"], worker["system_info"]["hostname"]) == ("idle", 4, "h")
    assert worker["logs"] == ["a"] * 80 + ["b"] * 20
    assert (await api.delete(path)).status_code == 400
    store = stage.playground.context.store
    row = stage.inside(lambda: store.get("heartbeats", worker_id=worker_id))
    assert row is not None
    stage.inside(lambda: store.update("heartbeats", {"at": row["at"] - 151}, worker_id=worker_id))
    assert (await api.get(path)).json()["active_workers"] == 0
    assert (await api.get(f"{path}/metrics")).json()["total_workers"] == 1
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_heartbeats_never_say_that_a_worker_is_unknown(api: httpx2.AsyncClient) -> None:
    for worker_id in (UNKNOWN, "nonsense"):
        assert (await api.post(f"/workers/{worker_id}/heartbeat", json={})).status_code == 204
    wrong = await api.post(f"/workers/{UNKNOWN}/heartbeat", json={"tasks_processed": "many"})
    assert wrong.status_code == 422


async def test_disconnect(api: httpx2.AsyncClient, stage: Stage) -> None:
    queue = await new_queue(api, stage)
    worker_id = (await api.post(f"/worker-queues/{queue['id']}/start", json={})).json()["worker_id"]
    await api.post(f"/workers/{worker_id}/heartbeat", json={})
    answer = await api.post(f"/workers/{worker_id}/disconnect", json={"reason": "shutdown", "exit_code": 0})
    assert answer.status_code == 204
    assert (await api.get(f"/worker-queues/{queue['id']}/workers")).json() == []
    [row] = [row for row in (await api.get("/workers")).json() if row["id"] == worker_id]
    assert (row["status"], row["worker_metadata"]["disconnect_reason"]) == ("disconnected", "shutdown")
    assert (await api.post(f"/workers/{UNKNOWN}/disconnect", json={})).json() == {"detail": "Worker not found"}
    assert (await api.post("/workers/nonsense/disconnect", json={})).status_code == 500
    assert (await api.post(f"/workers/{worker_id}/disconnect", json={"exit_code": "x"})).status_code == 422


async def test_queues_are_made_changed_and_limited(api: httpx2.AsyncClient, stage: Stage) -> None:
    queue = await new_queue(api, stage, max_workers=2, tags=["b", "a"])
    path = f"/worker-queues/{queue['id']}"
    assert (queue["status"], queue["task_queue_name"], queue["heartbeat_interval"]) == ("active", queue["id"], 60)
    config = (await api.get(f"{path}/config")).json()
    assert (config["environment_name"], len(config["config_version"])) == ("default", 64)
    changed = await api.patch(path, json={"max_workers": None, "heartbeat_interval": 10})
    assert (changed.json()["max_workers"], changed.json()["heartbeat_interval"]) == (None, 10)
    assert (await api.get(f"{path}/config")).json()["config_version"] != config["config_version"]
    for wrong in ({"heartbeat_interval": 9}, {"max_workers": 0}, {"name": "x"}, {"status": "asleep"}):
        assert (await api.patch(path, json=wrong)).status_code == 422
    environment = f"/environments/{stage.info.environment_id}/worker-queues"
    assert queue["id"] in [row["id"] for row in (await api.get(environment)).json()]
    assert queue["id"] in [row["id"] for row in (await api.get("/worker-queues")).json()]
    assert (await api.post(environment, json={"name": queue["name"]})).status_code == 400
    assert (await api.get(f"/environments/{UNKNOWN}/worker-queues")).status_code == 404
    assert (await api.delete(f"/worker-queues/{stage.info.queue_id}")).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/worker-queues/{}", 404),
        ("GET", "/worker-queues/{}/config", 404),
        ("GET", "/worker-queues/{}/workers", 404),
        ("GET", "/worker-queues/{}/executions", 500),
        ("GET", "/executions/{}", 404),
        ("PATCH", "/executions/{}", 404),
        ("GET", "/executions/{}/stream", 404),
        ("GET", "/skills/associations/agents/{}/skills/resolved", 404),
        ("GET", "/skills/associations/teams/{}/skills/resolved", 404),
        ("GET", "/execution-environment/agents/{}/resolved", 404),
        ("GET", "/execution-environment/agents/{}/resolved/full", 404),
        ("GET", "/execution-environment/teams/{}/resolved/full", 404),
        ("GET", "/agents/{}", 404),
        ("PATCH", "/agents/{}", 404),
        ("GET", "/teams/{}", 404),
    ],
)
async def test_unknown_and_malformed_ids(api: httpx2.AsyncClient, method: str, path: str, status: int) -> None:
    body: dict[str, object] | None = {} if method == "PATCH" else None
    answer = await api.request(method, path.format(UNKNOWN), json=body)
    assert answer.status_code == status
    if status == 500:
        assert answer.text == "Internal Server Error"
    assert (await api.request(method, path.format("nonsense"), json=body)).status_code == 500


async def test_unknown_paths_methods_and_broken_json(api: httpx2.AsyncClient, stage: Stage) -> None:
    answer = await api.get("/nothing/here")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert (await api.put("/executions")).status_code == 405
    for broken in (b"{", b"", b"\xff", b"[1]", b"null"):
        answer = await api.post("/analytics/turns", content=broken)
        assert answer.status_code == 422, broken
        assert isinstance(answer.json()["detail"], list)
    missing = (await api.post("/analytics/turns", json={})).json()["detail"][0]
    assert (missing["type"], missing["loc"]) == ("missing", ["body", "execution_id"])
    async with httpx2.AsyncClient(trust_env=False) as client:
        for path in ("/api/health", "/api/ready"):
            assert (await client.get(stage.info.control_plane_url + path)).status_code == 200
    assert (await api.get("/client/config")).json()["organization_id"] == "playground"


async def test_executions_are_patched_and_metadata_replaced(api: httpx2.AsyncClient) -> None:
    path = f"/executions/{await new_execution(api)}"
    first = {"status": "RUNNING", "started_at": "2026-01-01T00:00:00Z", "execution_metadata": {"a": 1}}
    assert (await api.patch(path, json=first)).json()["status"] == "running"
    row = (await api.patch(path, json={"response": "r", "execution_metadata": {"b": 2}, "status": None})).json()
    assert (row["status"], row["response"], row["execution_metadata"]) == ("running", "r", {"b": 2})
    assert row["started_at"] == "2026-01-01T00:00:00Z"
    assert row == (await api.get(path)).json()
    assert row.keys() == {
        "id", "organization_id", "execution_type", "entity_id", "entity_name", "prompt", "system_prompt", "status",
        "response", "error_message", "usage", "execution_metadata", "runner_name", "user_id", "user_name",
        "user_email", "user_avatar", "created_at", "started_at", "completed_at", "updated_at", "participants",
        "last_message_at", "last_message_preview",
    }  # fmt: skip
    assert (await api.patch(path, json={"completed_at": "yesterday"})).status_code == 500
    assert (await api.patch(path, json={"usage": []})).status_code == 422
    assert (await api.patch(path, json={"status": "x" * 51})).status_code == 500
    await api.patch(path, json={"status": "cancelled"})
    assert (await api.patch(path, json={"status": "failed"})).json()["status"] == "failed"  # no state machine
    assert (await api.get("/executions?limit=1&status=failed")).json()[0]["id"] == row["id"]
    assert (await api.get("/executions?limit=x")).status_code == 422


async def test_events_are_always_taken_and_stored_once(api: httpx2.AsyncClient) -> None:
    execution_id = str(uuid4())
    path = f"/executions/{execution_id}/events"
    for number in (1, 2, 2, 3, 1):
        answer = await api.post(path, json={"event_type": "message_chunk", "data": {"sequence": number}})
        assert (answer.status_code, answer.json()["success"]) == (202, True)
    for _ in range(2):
        await api.post(path, json={"event_type": "error", "data": {"sequence": True}, "timestamp": "t"})
    stored = (await api.get(path)).json()
    assert [event["data"]["sequence"] for event in stored] == [1, 2, 3, True, True]
    assert (stored[-1]["timestamp"], stored[-1]["origin"]) == ("t", "worker")
    assert (await api.post("/executions/nonsense/events", json={"event_type": "x", "data": {}})).status_code == 202
    assert (await api.post(path, json={"event_type": "x", "data": []})).status_code == 422
    assert (await api.post(path, json={"event_type": "x", "data": {"sequence": 2**70}})).status_code in (202, 422)


async def test_sessions(api: httpx2.AsyncClient, stage: Stage) -> None:
    execution_id = str(uuid4())
    path = f"/executions/{execution_id}/session"
    answer = await api.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Session not found"})
    messages = [
        {"role": "assistant", "content": "Hello there", "timestamp": "2026-01-01T00:00:03Z", "message_id": "b"},
        {"role": "user", "content": "hi", "timestamp": "2026-01-01T00:00:01Z", "message_id": "a"},
        {"role": "user", "content": "hi", "timestamp": "2026-01-01T00:00:01Z", "message_id": "a"},
        {"role": "assistant", "content": "hello THERE", "timestamp": "2026-01-01T00:00:05Z", "message_id": "c"},
        {"role": "assistant", "content": "Hello there", "timestamp": "2026-01-01T00:00:30Z"},
    ]
    answer = await api.post(path, json={"messages": messages, "metadata": {"turn": 1}})
    assert answer.status_code == 201
    assert answer.json() == {
        "success": True, "execution_id": execution_id, "session_id": execution_id, "persisted_messages": 5,
    }  # fmt: skip
    stored = (await api.get(path)).json()
    assert [message["message_id"] for message in stored["messages"][:2]] == ["a", "b"]
    assert (stored["message_count"], "metadata" in stored) == (3, False)
    store = stage.playground.context.store
    stage.inside(lambda: store.update("sessions", {"stored_at": 0.0}, execution_id=execution_id))
    assert (await api.get(path)).json()["metadata"] == {"turn": 1}
    assert (await api.post(path, json={"messages": messages[:1]})).json()["success"] is True
    assert (await api.get(path)).json()["message_count"] == 1
    assert (await api.post(path, json=[])).status_code == 422
    assert (await api.post("/executions/nonsense/session", json={})).json()["success"] is True


async def test_turns_decide_and_overwrite(api: httpx2.AsyncClient) -> None:
    execution_id = await new_execution(api)
    path = f"/executions/{execution_id}"
    await api.patch(path, json={"status": "cancelled"})
    answer = await api.post("/analytics/turns", json=turn(execution_id))
    assert (answer.status_code, answer.json()["success"]) == (201, True)
    assert (await api.get(path)).json()["status"] == "waiting_for_input"  # hazard 3
    call = {"execution_id": execution_id, "tool_name": "shell", "started_at": "2026-01-01T00:00:00Z"}
    assert (await api.post("/analytics/tool-calls", json={**call, "turn_id": answer.json()["turn_id"]})).is_success
    for turn_id in (UNKNOWN, "nonsense"):
        assert (await api.post("/analytics/tool-calls", json={**call, "turn_id": turn_id})).status_code == 500
    task = (await api.post("/analytics/tasks", json={"execution_id": execution_id, "task_description": "d"})).json()
    assert (await api.patch(f"/analytics/tasks/{task['task_id']}", json={"status": "completed"})).is_success
    assert (await api.patch(f"/analytics/tasks/{UNKNOWN}", json={})).status_code == 404
    await api.patch(path, json={"status": "completed"})
    batch = {"execution_id": execution_id, "turns": [turn(execution_id, turn_number=2)], "tool_calls": [
        call, {**call, "turn_id": UNKNOWN}], "tasks": []}  # fmt: skip
    answer = await api.post("/analytics/batch", json=batch)
    assert (answer.status_code, answer.json()["turns_created"], answer.json()["tool_calls_created"]) == (201, 1, 1)
    assert len(answer.json()["errors"]) == 1
    assert (await api.get(path)).json()["status"] == "completed"  # the batch decides nothing
    stored = (await api.get(f"{path}/analytics")).json()
    assert [len(stored[name]) for name in ("turns", "tool_calls", "tasks")] == [2, 2, 1]
    for wrong, status in ((UNKNOWN, 404), ("nonsense", 500)):
        assert (await api.post("/analytics/turns", json=turn(wrong))).status_code == status
    assert (await api.post("/analytics/turns", json=turn(execution_id, started_at="?"))).status_code == 500


async def test_job_executions(api: httpx2.AsyncClient, stage: Stage) -> None:
    job_id, store = str(uuid4()), stage.playground.context.store
    stage.inside(lambda: store.insert("jobs", {"id": job_id, "organization_id": "playground", "status": "active"}))
    execution_id = str(uuid4())
    body: dict[str, object] = {
        "execution_id": execution_id, "job_id": job_id, "entity_type": "team", "prompt": "p",
        "trigger_type": "cron", "trigger_metadata": {"job_name": "nightly", "triggered_by": "a@b.c"},
    }  # fmt: skip
    answer = await api.post("/executions/job-executions", json=body)
    assert (answer.status_code, answer.json()["status"]) == (201, "created")
    await api.patch(f"/executions/{execution_id}", json={"status": "running"})
    assert (await api.post("/executions/job-executions", json=body)).status_code == 201
    row = (await api.get(f"/executions/{execution_id}")).json()
    assert (row["status"], row["execution_type"], row["user_email"]) == ("pending", "TEAM", "a@b.c")
    status = f"/executions/{execution_id}/job/{job_id}/status"
    assert (await api.post(status, json={"status": "completed", "duration_ms": 5})).json()["status"] == "updated"
    unknown = await api.post(f"/executions/{execution_id}/job/{UNKNOWN}/status", json={"status": "completed"})
    assert (unknown.status_code, unknown.json()["status"]) == (202, "not_found")
    stage.inside(lambda: store.update("jobs", {"status": "deleted"}, id=job_id))
    assert (await api.post("/executions/job-executions", json=body)).status_code == 410
    orphan = {**body, "execution_id": str(uuid4()), "job_id": UNKNOWN}
    assert (await api.post("/executions/job-executions", json=orphan)).status_code == 404
    assert (await api.get(f"/executions/{orphan['execution_id']}")).json()["status"] == "pending"
    malformed = await api.post("/executions/job-executions", json={**body, "execution_id": "x"})
    assert malformed.status_code == 500
