"""Workers: start, heartbeat, disconnect, and who counts as active (facts: protocol, 2 to 4)."""

from __future__ import annotations

import logging
import time
from typing import Final
from uuid import UUID, uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground import wire
from worker_core.playground.context import NAMESPACE, ORGANIZATION, SERVER_VERSION, Context, Problem, uuid_text
from worker_core.playground.store import Row, now_text
from worker_core.playground.web import body, nothing, reply

log = logging.getLogger(__name__)

ACTIVE_SECONDS: Final = 150
"""Silence after which a worker no longer counts."""
RECORD_SECONDS: Final = 300
"""Silence after which its last heartbeat is forgotten."""
_LOG_LINES: Final = 100


async def start(context: Context, request: Request) -> Response:
    """Register a worker. It is invisible until its first heartbeat."""
    wish = await body(request, wire.Start, optional=True)
    queue_id = request.path_params["queue_id"]
    try:
        queue = context.store.get("queues", id=str(UUID(queue_id)))
    except ValueError:
        raise Problem(500, f"Failed to start worker. Please contact support. Error ID: {queue_id[:8]}") from None
    if queue is None:
        raise Problem(404, f"Worker queue '{queue_id}' does not exist. Create it first.")
    if queue["organization_id"] != ORGANIZATION:
        raise Problem(403, f"Worker queue '{queue_id}' not found in your organization.")
    if queue["status"] != "active":
        raise Problem(400, f"Worker queue is not active (status: {queue['status']})")
    environment = context.store.get("environments", id=queue["environment_id"])
    if environment is None:
        raise Problem(500, "The worker queue has no environment. Please contact support.")
    worker_id, at = str(uuid4()), now_text()
    context.store.insert(
        "workers",
        {"id": worker_id, "organization_id": ORGANIZATION, "queue_id": queue["id"], "status": "active",
         "worker_metadata": {}, "registered_at": at, "updated_at": at},
    )  # fmt: skip
    seen_as = f"{request.url.scheme}://{request.url.netloc}"
    return reply(
        {
            "worker_id": worker_id,
            "task_queue_name": queue["id"],
            "temporal_namespace": NAMESPACE,
            "temporal_host": context.temporal_host,
            "temporal_api_key": "",
            "organization_id": ORGANIZATION,
            "control_plane_url": (wish.control_plane_url or seen_as).rstrip("/"),
            "heartbeat_interval": queue["heartbeat_interval"] or 60,
            "litellm_api_url": context.gateway.url,
            "litellm_api_key": context.gateway.api_key.reveal(),
            "queue_name": queue["name"],
            "environment_name": environment["name"],
            "queue_id": queue["id"],
            "queue_ephemeral": bool(queue["ephemeral"]),
            "queue_single_execution": bool(queue["single_execution"]),
            # The real server advertises a Redis and a WebSocket that do not serve remote workers; we have neither.
            "redis_url": None,
            "redis_password": None,
            "redis_enabled": False,
            "websocket_enabled": False,
            "websocket_url": None,
            "websocket_features": ["events", "control", "heartbeat", "config_update"],
            "nats_config": None,
            "control_plane_sdk_version": SERVER_VERSION,
        }
    )


async def heartbeat(context: Context, request: Request) -> Response:
    """Always 204 for a body of the right types: neither the worker's existence nor its owner is checked."""
    beat = await body(request, wire.Heartbeat)
    try:
        _remember(context, request.path_params["worker_id"], beat)
    except Exception:
        log.exception("A heartbeat was not stored.")
    return nothing()


async def disconnect(context: Context, request: Request) -> Response:
    wish = await body(request, wire.Disconnect, optional=True)
    worker_id = uuid_text(request.path_params["worker_id"])
    at = now_text()
    metadata = {"disconnect_reason": wish.reason, "disconnect_time": at, "exit_code": wish.exit_code,
                "error_message": wish.error_message}  # fmt: skip
    changed = context.store.update(
        "workers",
        {"status": "disconnected", "worker_metadata": metadata, "updated_at": at},
        id=worker_id,
        organization_id=ORGANIZATION,
    )
    if not changed:
        raise Problem(404, "Worker not found")
    context.store.delete("heartbeats", worker_id=worker_id)
    return nothing()


async def list_all(context: Context, request: Request) -> Response:  # noqa: ARG001
    return reply([detail(context, row) for row in context.store.find("workers", organization_id=ORGANIZATION)])


def active_workers(context: Context, queue_id: str) -> list[Row]:
    """The workers of a queue whose last heartbeat is at most 150 s old."""
    rows = context.store.find("workers", queue_id=queue_id)
    return [row for row in rows if (beat := _beat(context, row["id"])) and beat["age"] <= ACTIVE_SECONDS]


def detail(context: Context, worker: Row) -> Row:
    """The worker detail object: the database row under the last heartbeat."""
    beat = (_beat(context, worker["id"]) or {}).get("record") or {}
    return {
        "id": worker["id"],
        "worker_id": worker["id"],
        "queue_id": worker["queue_id"],
        "status": beat.get("status", worker["status"]),
        "tasks_processed": beat.get("tasks_processed", 0),
        "current_task_id": beat.get("current_task_id"),
        "last_heartbeat": beat.get("last_heartbeat"),
        "registered_at": worker["registered_at"],
        "system_info": beat.get("system_info"),
        "logs": beat.get("logs", []),
        "worker_metadata": beat.get("metadata") or worker["worker_metadata"] or {},
    }


def _beat(context: Context, worker_id: str) -> Row | None:
    row = context.store.get("heartbeats", worker_id=worker_id)
    if row is None:
        return None
    row["age"] = time.time() - row["at"]
    return row if row["age"] <= RECORD_SECONDS else None


def _remember(context: Context, worker_id: str, beat: wire.Heartbeat) -> None:
    before = (_beat(context, worker_id) or {}).get("record") or {}
    record = {
        "worker_id": worker_id,
        "organization_id": ORGANIZATION,
        "status": beat.status,
        "tasks_processed": beat.tasks_processed,
        "current_task_id": beat.current_task_id,
        "last_heartbeat": now_text(),
        "metadata": beat.worker_metadata,
        "system_info": msgspec.to_builtins(beat.system_info) if beat.system_info else before.get("system_info"),
        "logs": [*before.get("logs", []), *(beat.logs or [])][-_LOG_LINES:],
    }
    context.store.insert(
        "heartbeats", {"worker_id": worker_id.lower(), "at": time.time(), "record": record}, on_conflict="REPLACE"
    )
