"""The caller's face: start an execution, talk to it, end it (facts: protocol, 7.3 and 7.8)."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground import wire
from worker_core.playground.context import ORGANIZATION, USER, Context, Problem, uuid_text
from worker_core.playground.executions import FINAL, change, create, execution_or_404, workflow_id_of
from worker_core.playground.store import Row, now_text
from worker_core.playground.web import body, reply, unprocessable

TEMPORAL_LIMIT: Final = timedelta(seconds=10)
_GOING: Final = ("running", "waiting_for_input")


async def execute_agent(context: Context, request: Request) -> Response:
    agent = context.store.get("agents", id=uuid_text(request.path_params["agent_id"]))
    if agent is None:
        raise Problem(404, "Agent not found")
    return reply(await execute_entity(context, await _wish(request), entity=agent, team=False))


async def execute_team(context: Context, request: Request) -> Response:
    team = context.store.get("teams", id=uuid_text(request.path_params["team_id"]))
    if team is None:
        raise Problem(404, "Team not found")
    return reply(await execute_entity(context, await _wish(request), entity=team, team=True))


async def execute_entity(
    context: Context, wish: wire.Execute, *, entity: Row, team: bool, extra: Row | None = None
) -> Row:
    """Start an execution of an agent or a team that there is; the answer's body.

    A team's configuration goes as `team_config`, its instructions as the prompt where none is given (7.5).

    Args:
        context: of the playground.
        wish: what is asked for.
        entity: its row.
        team: whether it is one.
        extra: columns of the execution's row that are not as for a direct execution.
    """
    configuration = {**(entity["configuration"] or {}), **(wish.configuration or {})}
    if working_dir := (wish.execution_environment or {}).get("working_dir"):
        configuration["cwd"] = working_dir
    if team:
        instructions = configuration.get("instructions")
        about: Row = {
            "team_id": entity["id"],
            "system_prompt": wish.system_prompt or (instructions if isinstance(instructions, str) else None),
            "model_id": wish.model_id or "kubiya/claude-sonnet-4",
            "model_config": {},
            "team_config": configuration,
        }
    else:
        about = {
            "agent_id": entity["id"],
            "system_prompt": wish.system_prompt or configuration.get("system_prompt"),
            "model_id": wish.model_id or entity["model_id"],
            "model_config": entity["llm_config"] or {},
            "agent_config": configuration,
        }
    kind = "TEAM" if team else "AGENT"
    return await _dispatch(context, wish, entity=entity, about=about, kind=kind, extra=extra)


async def execute_dynamic(context: Context, request: Request) -> Response:
    """7.7: the agent or team is in the request alone; no row of it exists."""
    wish = await body(request, wire.ExecuteDynamic)
    if not wish.prompt.strip():
        raise unprocessable("prompt", "The prompt is empty.")
    about: Row = {
        "entity_id": str(uuid4()),
        "entity_type": wish.entity_type,
        "system_prompt": wish.system_prompt,
        "model_id": wish.model_id or "kubiya/claude-sonnet-4",
        "model_config": wish.llm_config,
        "agent_config": wish.agent_config,
        "skill_ids": wish.skill_ids,
        "runtime_type": wish.runtime_type,
    }
    named = wire.Execute(
        prompt=wish.prompt,
        worker_queue_id=wish.worker_queue_id,
        user_metadata=wish.user_metadata,
        configuration=wish.agent_config,
    )
    entity = {"id": about["entity_id"], "name": "dynamic", "runtime": wish.runtime_type}
    return reply(await _dispatch(context, named, entity=entity, about=about, kind="DYNAMIC"))


_TYPES: Final = {
    "AGENT": "AgentExecutionWorkflow",
    "TEAM": "TeamExecutionWorkflow",
    "DYNAMIC": "DynamicAgentExecutionWorkflow",
}


async def _wish(request: Request) -> wire.Execute:
    wish = await body(request, wire.Execute)
    if not wish.prompt.strip():
        raise unprocessable("prompt", "The prompt is empty.")
    return wish


async def _dispatch(
    context: Context,
    wish: wire.Execute,
    *,
    entity: Row,
    about: Row,
    kind: str,
    extra: Row | None = None,
) -> Row:
    """Make the row and start its workflow. `about` is what the inputs of the types do not share."""
    queue = usable_queue(context, wish.worker_queue_id)
    metadata = {**USER, **(wish.user_metadata or {})}
    row = create(
        context,
        {
            "id": str(uuid4()),
            "execution_type": "AGENT" if kind == "DYNAMIC" else kind,
            "entity_id": entity["id"],
            "entity_name": entity["name"],
            "prompt": wish.prompt,
            "system_prompt": wish.system_prompt,
            "execution_metadata": {"organization_id": ORGANIZATION, "worker_queue_id": queue["id"]},
            "worker_queue_id": queue["id"],
            "runner_name": wish.runner_name,
            "agent_config": about.get("agent_config") or about.get("team_config") or {},
            **{key: metadata.get(key) for key in USER},
            **(extra or {}),
        },
    )
    arguments: Row = {
        "execution_id": row["id"],
        "organization_id": ORGANIZATION,
        "prompt": wish.prompt,
        "mcp_servers": (entity.get("execution_environment") or {}).get("mcp_servers") or {},
        "user_metadata": metadata,
        "runtime_type": entity.get("runtime") or "default",
        "control_plane_url": context.public_url,
        # The real server puts the caller's key here. Our worker uses its own, and histories are no place for keys.
        "api_key": None,
        "initial_message_timestamp": row["created_at"],
        "graph_api_url": None,
        "dataset_name": None,
        **about,
    }
    own_id = f"dynamic-execution-{row['id']}" if kind == "DYNAMIC" else ""
    workflow_id = await start_workflow(context, row, _TYPES[kind], arguments, workflow_id=own_id)
    return {
        "execution_id": row["id"],
        "workflow_id": workflow_id,
        "status": "pending",
        "message": f"The execution was sent to the queue {queue['name']}.",
    }


def usable_queue(context: Context, queue_id: str) -> Row:
    """The queue an execution is sent to.

    Raises:
        Problem: 404 unknown, 400 not active.
    """
    try:
        queue = context.store.get("queues", id=str(UUID(queue_id)), organization_id=ORGANIZATION)
    except ValueError:
        queue = None
    if queue is None:
        raise Problem(404, f"Worker queue '{queue_id}' not found. `kubiya-worker queues` lists those that exist.")
    if queue["status"] != "active":
        raise Problem(400, f"Worker queue is not active (status: {queue['status']})")
    return queue


async def start_workflow(
    context: Context, row: Row, workflow_type: str, arguments: Row, *, workflow_id: str = ""
) -> str:
    """Start the workflow of an execution on its queue and return the workflow's id.

    Raises:
        Problem: 500, Temporal did not take it; the execution is marked `failed`.
    """
    workflow_id = workflow_id or workflow_id_of(row)
    try:
        await context.temporal.start_workflow(
            workflow_type,
            arguments,
            id=workflow_id,
            task_queue=row["worker_queue_id"],
            rpc_timeout=TEMPORAL_LIMIT,
        )
    except Exception as error:
        sentence = f"Temporal did not take the execution: {error}"
        change(context, row["id"], {"status": "failed", "error_message": sentence, "completed_at": now_text()})
        raise Problem(500, sentence) from error
    return workflow_id


async def signal(context: Context, row: Row, name: str, *arguments: Any) -> None:
    """Send a signal to the execution's workflow.

    Raises:
        Problem: 500, there is no such running workflow, or Temporal does not answer.
    """
    handle = context.temporal.get_workflow_handle(workflow_id_of(row))
    try:
        await handle.signal(name, args=arguments, rpc_timeout=TEMPORAL_LIMIT)
    except Exception as error:
        raise Problem(500, f"The signal {name} did not reach the execution's workflow: {error}") from error


async def message(context: Context, request: Request) -> Response:
    """Publish the message to the viewers, then hand it to the workflow under the same id."""
    wish = await body(request, wire.NewMessage)
    row = _execution(context, request)
    if row["status"] in FINAL:
        raise Problem(400, f"The execution is {row['status']}; it takes no more messages. Start a new one.")
    at = now_text()
    user = {key: row[key] for key in USER}
    text = wire.ChatMessage(
        role=wish.role,
        content=wish.message,
        timestamp=at,
        message_id=f"{row['id']}_{time.time_ns() // 1000}",
        **user,
    )
    fields = msgspec.to_builtins(text)
    shown = {key: value for key, value in fields.items() if not key.startswith("tool_")}
    context.hub.publish(row["id"], "message", shown, timestamp=at)
    change(context, row["id"], {"last_message_at": at, "last_message_preview": wish.message[:200]})
    await signal(context, row, "add_message", fields)
    return _done(row, "The message was sent.", status=202, message_id=text.message_id)


async def mark_done(context: Context, request: Request) -> Response:
    row = _execution(context, request)
    await signal(context, row, "mark_as_done")
    return _done(row, "The execution was asked to finish.", status=202)


async def pause(context: Context, request: Request) -> Response:
    row = _execution(context, request)
    if row["status"] not in _GOING:
        return _refused(row, "paused")
    change(context, row["id"], {"status": "paused"})
    await signal(context, row, "pause_execution")
    return _done(row, "The execution pauses after its present step.")


async def resume(context: Context, request: Request) -> Response:
    row = _execution(context, request)
    if row["status"] != "paused":
        return _refused(row, "resumed")
    change(context, row["id"], {"status": "running"})
    await signal(context, row, "resume_execution")
    return _done(row, "The execution goes on.")


async def cancel(context: Context, request: Request) -> Response:
    """The row says `cancelled` before the worker knows; pending executions are refused (hazard 14)."""
    row = _execution(context, request)
    if row["status"] not in _GOING:
        return _refused(row, "cancelled")
    change(
        context,
        row["id"],
        {"status": "cancelled", "completed_at": now_text(), "error_message": "Execution cancelled by user"},
    )
    await _end(context, row, cancel=True)
    return _done(row, "The execution was cancelled.")


async def terminate(context: Context, request: Request) -> Response:
    wish = await body(request, wire.Reason, optional=True)
    row = _execution(context, request)
    reason = wish.reason or "Terminated by user"
    await _end(context, row, cancel=False, reason=reason)
    change(context, row["id"], {"status": "cancelled", "completed_at": now_text(), "error_message": reason})
    return _done(row, "The execution's workflow was terminated.")


async def _end(context: Context, row: Row, *, cancel: bool, reason: str = "") -> None:
    handle = context.temporal.get_workflow_handle(workflow_id_of(row))
    try:
        if cancel:
            await handle.cancel(rpc_timeout=TEMPORAL_LIMIT)
        else:
            await handle.terminate(reason=reason, rpc_timeout=TEMPORAL_LIMIT)
    except Exception as error:
        raise Problem(500, f"The execution's workflow was not reached: {error}") from error


def _execution(context: Context, request: Request) -> Row:
    return execution_or_404(context, request.path_params["execution_id"])


def _done(row: Row, sentence: str, *, status: int = 200, **more: Any) -> Response:
    answer = {"success": True, "execution_id": row["id"], "workflow_id": workflow_id_of(row), "message": sentence}
    return reply({**answer, **more}, status)


def _refused(row: Row, verb: str) -> Response:
    sentence = f"The execution is {row['status']} and cannot be {verb} now."
    answer = {"success": False, "execution_id": row["id"], "status": row["status"], "message": sentence}
    return reply(answer)
