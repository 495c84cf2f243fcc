"""Worker queues: list, create, change, delete, and what can be seen of them (facts: protocol, 6)."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground import wire
from worker_core.playground.context import ORGANIZATION, Context, Crash, Problem, uuid_text
from worker_core.playground.store import Row, now_text
from worker_core.playground.web import body, integer, nothing, reply, unprocessable
from worker_core.playground.workers import active_workers, detail

_STATUSES = ("active", "inactive", "maintenance")


def queue_or_404(context: Context, request: Request) -> Row:
    row = context.store.get("queues", id=uuid_text(request.path_params["queue_id"]), organization_id=ORGANIZATION)
    if row is None:
        raise Problem(404, "Worker queue not found")
    return row


def shown(context: Context, row: Row) -> Row:
    """The queue object."""
    answer = {key: value for key, value in row.items() if key not in ("ephemeral", "single_execution")}
    return {**answer, "active_workers": len(active_workers(context, row["id"])), "task_queue_name": row["id"]}


async def list_all(context: Context, request: Request) -> Response:  # noqa: ARG001
    rows = context.store.find("queues", organization_id=ORGANIZATION)
    visible = [row for row in rows if not row["ephemeral"] and not row["name"].startswith("local-exec")]
    return reply([shown(context, row) for row in visible])


async def list_of_environment(context: Context, request: Request) -> Response:
    environment = environment_or_404(context, request)
    return reply([shown(context, row) for row in context.store.find("queues", environment_id=environment["id"])])


def environment_or_404(context: Context, request: Request) -> Row:
    row = context.store.get(
        "environments", id=uuid_text(request.path_params["environment_id"]), organization_id=ORGANIZATION
    )
    if row is None:
        raise Problem(404, "Environment not found")
    return row


async def create(context: Context, request: Request) -> Response:
    wish = await body(request, wire.NewQueue)
    environment = environment_or_404(context, request)
    _check(context, environment["id"], name=wish.name, max_workers=wish.max_workers, interval=wish.heartbeat_interval)
    at = now_text()
    row = {
        **msgspec.to_builtins(wish),
        "id": str(uuid4()),
        "organization_id": ORGANIZATION,
        "environment_id": environment["id"],
        "display_name": wish.display_name or wish.name,
        "status": "active",
        "created_at": at,
        "updated_at": at,
        "created_by": "playground",
    }
    context.store.insert("queues", row)
    return reply(shown(context, row), 201)


async def read(context: Context, request: Request) -> Response:
    return reply(shown(context, queue_or_404(context, request)))


async def patch(context: Context, request: Request) -> Response:
    wish = await body(request, wire.QueueChange)
    row = queue_or_404(context, request)
    changes = {key: value for key, value in msgspec.to_builtins(wish).items() if value is not None}
    if wish.max_workers is None:  # null is "unlimited" here, not "unchanged"
        changes["max_workers"] = None
    if wish.status is not None and wish.status not in _STATUSES:
        raise unprocessable("status", f"The status must be one of {', '.join(_STATUSES)}.")
    _check(
        context,
        row["environment_id"],
        name=wish.name if wish.name != row["name"] else None,
        max_workers=changes.get("max_workers"),
        interval=wish.heartbeat_interval,
    )
    context.store.update("queues", {**changes, "updated_at": now_text()}, id=row["id"])
    return reply(shown(context, queue_or_404(context, request)))


async def delete(context: Context, request: Request) -> Response:
    row = queue_or_404(context, request)
    if row["name"] == "default":
        raise Problem(400, "The default queue cannot be deleted.")
    if active_workers(context, row["id"]):
        raise Problem(400, "The queue has active workers; stop them first.")
    context.store.delete("queues", id=row["id"])
    return nothing()


async def workers(context: Context, request: Request) -> Response:
    row = queue_or_404(context, request)
    rows = context.store.find("workers", queue_id=row["id"])
    alive = {worker["id"] for worker in active_workers(context, row["id"])}
    return reply([detail(context, worker) for worker in rows if worker["id"] in alive])


async def config(context: Context, request: Request) -> Response:
    row = queue_or_404(context, request)
    environment = context.store.get("environments", id=row["environment_id"]) or {}
    keys = (
        "name", "display_name", "description", "status", "max_workers", "heartbeat_interval", "tags", "settings",
    )  # fmt: skip
    versioned = [
        row["name"], row["status"], row["max_workers"], row["heartbeat_interval"], sorted(row["tags"] or []),
        row["settings"] or {},
    ]  # fmt: skip
    return reply(
        {
            "queue_id": row["id"],
            **{key: row[key] for key in keys},
            "config_version": hashlib.sha256(msgspec.json.encode(versioned, order="sorted")).hexdigest(),
            "config_updated_at": row["updated_at"],
            "recommended_package_version": None,
            "environment_id": row["environment_id"],
            "environment_name": environment.get("name"),
        }
    )


async def metrics(context: Context, request: Request) -> Response:
    row = queue_or_404(context, request)
    alive = active_workers(context, row["id"])
    states = [detail(context, worker) for worker in alive]
    return reply(
        {
            "queue_id": row["id"],
            "total_workers": len(context.store.find("workers", queue_id=row["id"])),
            "active_workers": len(alive),
            "idle_workers": sum(state["status"] == "idle" for state in states),
            "busy_workers": sum(state["status"] == "busy" for state in states),
            "tasks_processed": sum(state["tasks_processed"] for state in states),
        }
    )


async def executions(context: Context, request: Request) -> Response:
    """Recent executions; an unknown queue is a plain-text 500, as in the real server (facts: protocol, 12)."""
    limit = integer(request, "limit", 10, lowest=1)
    try:
        queue = queue_or_404(context, request)
    except Problem as problem:
        raise Crash("an unknown queue") from problem
    where: dict[str, Any] = {"worker_queue_id": queue["id"]}
    if (status := request.query_params.get("status", "all")) != "all":
        where["status"] = status
    rows = context.store.find("executions", order="created_at", descending=True, limit=limit, **where)
    keys = (
        "id", "status", "entity_id", "entity_name", "execution_type", "created_at", "started_at", "completed_at",
    )  # fmt: skip
    return reply(
        [
            {**{key: row[key] for key in keys}, "prompt": row["prompt"][:200], "temporal_workflow_id": None}
            for row in rows
        ]
    )


def _check(
    context: Context, environment_id: str, *, name: str | None, max_workers: int | None, interval: int | None
) -> None:
    if name is not None:
        if not 2 <= len(name) <= 50:
            raise unprocessable("name", "The name must have 2 to 50 characters.")
        if context.store.get("queues", environment_id=environment_id, name=name):
            raise Problem(400, f"A worker queue named '{name}' exists already in this environment.")
    if max_workers is not None and max_workers < 1:
        raise unprocessable("max_workers", "max_workers must be 1 or more, or null.")
    if interval is not None and not 10 <= interval <= 300:
        raise unprocessable("heartbeat_interval", "heartbeat_interval must be from 10 to 300 seconds.")
