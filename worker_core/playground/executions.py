"""The row of an execution: read, changed by the worker, listed; its events; its job (facts: protocol, 8.2, 8.3, 8.7).

`change` is the one place where a status is written.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground import wire
from worker_core.playground.context import ORGANIZATION, Context, Crash, Problem, uuid_text
from worker_core.playground.store import Row, now_text
from worker_core.playground.web import body, integer, reply

FINAL: Final = frozenset({"completed", "failed", "cancelled"})
_HIDDEN: Final = ("worker_queue_id", "trigger_source", "agent_config")


def execution_or_404(context: Context, execution_id: str) -> Row:
    """The row of this organization.

    Raises:
        Problem: 404.
        Crash: the id is no UUID.
    """
    row = context.store.get("executions", id=uuid_text(execution_id), organization_id=ORGANIZATION)
    if row is None:
        raise Problem(404, "Execution not found")
    return row


def workflow_id_of(row: Row) -> str:
    """The workflow's id, derived as the real server derives it (facts: protocol, 7.8)."""
    kind = "team" if row.get("execution_type") == "TEAM" else "agent"
    return f"{kind}-execution-{row['id']}"


def shown(row: Row) -> Row:
    """ExecutionResponse."""
    answer = {key: value for key, value in row.items() if key not in _HIDDEN}
    answer["usage"] = row["usage"] or {}
    answer["execution_metadata"] = row["execution_metadata"] or {}
    answer["participants"] = [
        {key: row[key] for key in ("user_id", "user_name", "user_email", "user_avatar")} | {"role": "owner"}
    ]
    return answer


def create(context: Context, row: Row) -> Row:
    """Insert an execution row (or reset one that exists) and return it."""
    at = now_text()
    full = {
        "organization_id": ORGANIZATION, "status": "pending", "usage": {}, "execution_metadata": {},
        "agent_config": {}, "created_at": at, "updated_at": at, "trigger_source": "user", **row,
    }  # fmt: skip
    context.store.insert("executions", full, on_conflict="REPLACE")
    return full


def change(context: Context, execution_id: str, changes: Row) -> None:
    """Write to the row; a status that differs is pushed to the viewers.

    Any status may overwrite any other, as in the real server (facts: protocol, 8.2 and hazard 3).
    """
    before = context.store.get("executions", id=execution_id)
    context.store.update("executions", {**changes, "updated_at": now_text()}, id=execution_id)
    status = changes.get("status")
    if status is not None and (before is None or before["status"] != status):
        context.hub.publish_status(execution_id, status)
    else:
        context.hub.wake(execution_id)


def check_time(value: str | None) -> str | None:
    """`value` as it is.

    Raises:
        Crash: it is no ISO-8601 time; the real server answers 500.
    """
    if value is not None:
        try:
            datetime.fromisoformat(value)
        except ValueError as error:
            raise Crash(f"{value!r} is not a time") from error
    return value


async def read(context: Context, request: Request) -> Response:
    return reply(shown(execution_or_404(context, request.path_params["execution_id"])))


async def patch(context: Context, request: Request) -> Response:
    wish = await body(request, wire.ExecutionChange)
    row = execution_or_404(context, request.path_params["execution_id"])
    check_time(wish.started_at)
    check_time(wish.completed_at)
    changes: dict[str, Any] = {
        name: value for name in wish.__struct_fields__ if (value := getattr(wish, name)) is not None
    }
    if wish.status is not None:
        if len(wish.status) > 50:
            raise Crash("the status is longer than its column")
        changes["status"] = wish.status.lower()
    change(context, row["id"], changes)
    return reply(shown(execution_or_404(context, row["id"])))


async def listing(context: Context, request: Request) -> Response:
    where: dict[str, Any] = {"organization_id": ORGANIZATION}
    if status := request.query_params.get("status"):
        where["status"] = status
    rows = context.store.find(
        "executions",
        order="created_at",
        descending=True,
        limit=integer(request, "limit", 50, lowest=1),
        offset=integer(request, "skip", 0, highest=2**31),
        **where,
    )
    return reply([shown(row) for row in rows])


async def post_event(context: Context, request: Request) -> Response:
    """Always 202: neither existence nor owner of the execution is checked (facts: protocol, 8.3)."""
    event = await body(request, wire.NewEvent)
    execution_id = request.path_params["execution_id"]
    answer: Row = {"success": True, "execution_id": execution_id, "event_type": event.event_type}
    try:
        context.hub.publish(
            execution_id.lower(), event.event_type, event.data, timestamp=event.timestamp, origin="worker"
        )
    except Exception as error:  # noqa: BLE001 - the answer is 202 whatever happens
        answer |= {"success": False, "error": str(error)}
    return reply(answer, 202)


async def list_events(context: Context, request: Request) -> Response:
    """Playground only: the stored events in order of arrival. `?origin=worker` leaves out the server's own."""
    where: dict[str, Any] = {"execution_id": request.path_params["execution_id"].lower()}
    if origin := request.query_params.get("origin"):
        where["origin"] = origin
    rows = context.store.find("events", order="seq", after=integer(request, "after", 0, highest=2**62), **where)
    return reply(rows)


async def create_for_job(context: Context, request: Request) -> Response:
    """The row of a cron run. It is written before the job is looked up, so a deleted job leaves an orphan."""
    wish = await body(request, wire.JobExecution)
    execution_id, trigger = uuid_text(wish.execution_id), wish.trigger_metadata
    user = {"user_id": "user_id", "user_name": "user_name", "user_avatar": "user_avatar"}
    create(
        context,
        {
            "id": execution_id,
            "execution_type": "TEAM" if wish.entity_type.lower() == "team" else "AGENT",
            "entity_id": wish.entity_id,
            "entity_name": trigger.get("job_name"),
            "prompt": wish.prompt,
            "trigger_source": f"job_{wish.trigger_type}",
            "execution_metadata": {**trigger, "job_id": wish.job_id, "trigger_type": wish.trigger_type},
            "user_email": trigger.get("triggered_by") or trigger.get("user_email"),
            **{column: trigger.get(key) for column, key in user.items()},
        },
    )
    if wish.job_id is not None:
        job = context.store.get("jobs", id=uuid_text(wish.job_id), organization_id=ORGANIZATION)
        if job is None:
            raise Problem(404, f"Job {wish.job_id} not found")
        if job["status"] == "deleted":
            raise Problem(410, f"Job {wish.job_id} has been deleted")
        context.store.insert(
            "job_executions",
            {
                "execution_id": execution_id, "job_id": job["id"], "trigger_type": wish.trigger_type,
                "status": "pending", "created_at": now_text(),
            },
            on_conflict="REPLACE",
        )  # fmt: skip
    return reply(
        {"execution_id": execution_id, "status": "created", "message": "The execution record was created."}, 201
    )


async def job_status(context: Context, request: Request) -> Response:
    wish = await body(request, wire.JobStatus)
    execution_id = uuid_text(request.path_params["execution_id"])
    job_id = uuid_text(request.path_params["job_id"])
    found = context.store.update(
        "job_executions",
        {"status": wish.status, "duration_ms": wish.duration_ms},
        execution_id=execution_id,
        job_id=job_id,
    )
    status = "updated" if found else "not_found"
    return reply({"job_id": job_id, "execution_id": execution_id, "status": status}, 202)
