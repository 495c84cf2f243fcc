"""Jobs: a prompt for an agent or a team, run by a Temporal schedule or on demand (facts: protocol, 7.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import uuid4
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from worker_core.playground import wire
from worker_core.playground.context import ORGANIZATION, USER, Context, Problem, uuid_text
from worker_core.playground.dispatch import TEMPORAL_LIMIT, execute_entity, usable_queue
from worker_core.playground.store import Row, now_text
from worker_core.playground.web import body, integer, nothing, reply, unprocessable

CATCH_UP: Final = timedelta(seconds=60)
"""A run that was due while nothing could start it is made up for within this time."""

_FIELDS: Final = 5


async def list_all(context: Context, request: Request) -> Response:  # noqa: ARG001
    rows = context.store.find("jobs", order="created_at", organization_id=ORGANIZATION)
    return reply([row for row in rows if row["status"] != "deleted"])


async def create(context: Context, request: Request) -> Response:
    wish = await body(request, wire.NewJob)
    at = now_text()
    row: Row = {
        **msgspec.to_builtins(wish),
        "id": str(uuid4()),
        "organization_id": ORGANIZATION,
        "status": "active",
        "created_at": at,
        "updated_at": at,
    }
    schedule = _checked(context, row)
    context.store.insert("jobs", row)
    if schedule is not None:
        try:
            await context.temporal.create_schedule(f"job-{row['id']}", schedule, rpc_timeout=TEMPORAL_LIMIT)
        except RPCError as error:
            context.store.delete("jobs", id=row["id"])
            raise _refused(error) from error
    return reply(row, 201)


async def read(context: Context, request: Request) -> Response:
    return reply(job_or_404(context, request))


async def patch(context: Context, request: Request) -> Response:
    wish = await body(request, wire.JobChange)
    before = job_or_404(context, request)
    given = {name: getattr(wish, name) for name in wish.__struct_fields__}
    changes = {name: value for name, value in given.items() if value is not msgspec.UNSET}
    row = {**before, **changes, "updated_at": now_text()}
    schedule = _checked(context, row)
    handle = _handle(context, before)
    try:
        if schedule is None:
            if _is_scheduled(before):
                await handle.delete(rpc_timeout=TEMPORAL_LIMIT)
        elif _is_scheduled(before):

            async def update(_: ScheduleUpdateInput) -> ScheduleUpdate:
                return ScheduleUpdate(schedule=schedule)

            await handle.update(update, rpc_timeout=TEMPORAL_LIMIT)
        else:
            await context.temporal.create_schedule(f"job-{row['id']}", schedule, rpc_timeout=TEMPORAL_LIMIT)
    except RPCError as error:
        raise _refused(error) from error
    context.store.update("jobs", {**changes, "updated_at": row["updated_at"]}, id=row["id"])
    return reply(job_or_404(context, request))


async def delete(context: Context, request: Request) -> Response:
    """The schedule goes; a run that is under way ends cleanly, since its job says that it is deleted (8.7)."""
    row = job_or_404(context, request)
    if _is_scheduled(row):
        try:
            await _handle(context, row).delete(rpc_timeout=TEMPORAL_LIMIT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise _refused(error) from error
    context.store.update("jobs", {"status": "deleted", "updated_at": now_text()}, id=row["id"])
    return nothing()


async def pause(context: Context, request: Request) -> Response:
    return await _switch(context, request, status="paused")


async def resume(context: Context, request: Request) -> Response:
    return await _switch(context, request, status="active")


async def _switch(context: Context, request: Request, *, status: str) -> Response:
    row = job_or_404(context, request)
    if not _is_scheduled(row):
        raise Problem(400, "The job has no schedule: it runs only when it is triggered.")
    handle = _handle(context, row)
    try:
        if status == "paused":
            await handle.pause(rpc_timeout=TEMPORAL_LIMIT)
        else:
            await handle.unpause(rpc_timeout=TEMPORAL_LIMIT)
    except RPCError as error:
        raise _refused(error) from error
    context.store.update("jobs", {"status": status, "updated_at": now_text()}, id=row["id"])
    return reply(job_or_404(context, request))


async def trigger(context: Context, request: Request) -> Response:
    """Run it now, paused or not: the execution is started as if somebody had asked for it (7.3, 7.5)."""
    row = job_or_404(context, request)
    entity = _entity(context, row)
    wish = wire.Execute(
        prompt=row["prompt"],
        worker_queue_id=row["worker_queue_id"],
        system_prompt=row["system_prompt"],
        model_id=row["model_id"],
        configuration=row["configuration"],
        user_metadata={"job_id": row["id"], "job_name": row["name"], "trigger_type": "manual"},
    )
    answer = await execute_entity(
        context,
        wish,
        entity=entity,
        team=row["entity_type"] == "team",
        extra={
            "trigger_source": "job_manual",
            "execution_metadata": {
                "organization_id": ORGANIZATION, "worker_queue_id": row["worker_queue_id"], "job_id": row["id"],
                "job_name": row["name"], "trigger_type": "manual",
            },
        },
    )  # fmt: skip
    run = {
        "execution_id": answer["execution_id"], "job_id": row["id"], "trigger_type": "manual", "status": "pending",
        "created_at": now_text(),
    }  # fmt: skip
    context.store.insert("job_executions", run)
    return reply({**answer, "job_id": row["id"]})


async def executions(context: Context, request: Request) -> Response:
    """Runs, newest first. Nothing tells the row of a triggered run how it ended, so the execution is asked."""
    row = job_or_404(context, request)
    runs = context.store.find(
        "job_executions",
        order="created_at",
        descending=True,
        limit=integer(request, "limit", 50, lowest=1),
        job_id=row["id"],
    )
    for run in runs:
        execution = context.store.get("executions", id=run["execution_id"])
        if execution is not None and run["trigger_type"] == "manual":
            run["status"] = execution["status"]
    return reply(runs)


def job_or_404(context: Context, request: Request) -> Row:
    row = context.store.get("jobs", id=uuid_text(request.path_params["job_id"]), organization_id=ORGANIZATION)
    if row is None or row["status"] == "deleted":
        raise Problem(404, "Job not found")
    return row


def _is_scheduled(row: Row) -> bool:
    return bool(row["cron_schedule"] or row["interval_seconds"])


def _handle(context: Context, row: Row) -> ScheduleHandle:
    return context.temporal.get_schedule_handle(f"job-{row['id']}")


def _entity(context: Context, row: Row) -> Row:
    if row["entity_type"] not in {"agent", "team"}:
        raise unprocessable("entity_type", "The entity_type must be agent or team.")
    entity = context.store.get(f"{row['entity_type']}s", id=row["entity_id"])
    if entity is None:
        raise unprocessable("entity_id", f"There is no {row['entity_type']} {row['entity_id']}.")
    return entity


def _checked(context: Context, row: Row) -> Schedule | None:
    """The schedule of a job, if it has one.

    Raises:
        Problem: 422, with a sentence about the field that is wrong; 404 or 400 for a queue that cannot be used.
    """
    if not str(row["name"] or "").strip():
        raise unprocessable("name", "The name is empty.")
    if not str(row["prompt"] or "").strip():
        raise unprocessable("prompt", "The prompt is empty.")
    entity = _entity(context, row)
    queue = usable_queue(context, row["worker_queue_id"])
    cron, every, zone = row["cron_schedule"], row["interval_seconds"], row["cron_timezone"]
    if cron is not None and every is not None:
        raise unprocessable("interval_seconds", "A job has a cron_schedule or interval_seconds, not both.")
    if cron is not None and len(str(cron).split()) != _FIELDS:
        raise unprocessable("cron_schedule", f"{cron!r} is no cron schedule: it has five fields, such as '0 9 * * 1'.")
    if every is not None and not 1 <= every <= 31_536_000:
        raise unprocessable("interval_seconds", "interval_seconds must be from 1 to 31536000.")
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise unprocessable("cron_timezone", f"There is no time zone {zone!r}; a name is Europe/Berlin.") from None
    if cron is None and every is None:
        return None
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "ScheduledJobWrapperWorkflow",
            _input(row, entity),
            # As the real server has it: the braces are taken literally, and Temporal appends the time.
            id=f"job-{row['id']}-{{{{SCHEDULE_ID}}}}",
            task_queue=queue["id"],
        ),
        spec=ScheduleSpec(
            cron_expressions=[cron] if cron is not None else [],
            intervals=[ScheduleIntervalSpec(every=timedelta(seconds=every))] if every is not None else [],
            time_zone_name=zone if cron is not None else None,
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL, catchup_window=CATCH_UP),
        state=ScheduleState(paused=row["status"] == "paused"),
    )


def _input(row: Row, entity: Row) -> dict[str, Any]:
    team = row["entity_type"] == "team"
    configuration = {**(entity["configuration"] or {}), **(row["configuration"] or {})}
    return {
        "execution_id": None,
        "agent_id": None if team else entity["id"],
        "team_id": entity["id"] if team else None,
        "organization_id": ORGANIZATION,
        "prompt": row["prompt"],
        "system_prompt": row["system_prompt"] or configuration.get("system_prompt"),
        "model_id": row["model_id"] or (None if team else entity["model_id"]),
        "model_config": {} if team else entity["llm_config"] or {},
        "agent_config": None if team else configuration,
        "team_config": configuration if team else None,
        "mcp_servers": (entity.get("execution_environment") or {}).get("mcp_servers") or {},
        "user_metadata": {**USER, "job_id": row["id"], "job_name": row["name"], "trigger_type": "cron"},
        "runtime_type": entity.get("runtime") or "default",
    }


def _refused(error: RPCError) -> Problem:
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return unprocessable("cron_schedule", f"Temporal does not take this schedule: {error.message}.")
    return Problem(500, f"Temporal did not take the schedule: {error.message}")
