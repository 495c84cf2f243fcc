"""Turns, tool calls and tasks of executions; a turn decides what comes next (facts: protocol, 8.6)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground import executions, wire
from worker_core.playground.context import Context, Crash, Problem, uuid_text
from worker_core.playground.decision import decide
from worker_core.playground.store import now_text
from worker_core.playground.web import body, reply


def _record(table: str, context: Context, item: msgspec.Struct, **columns: Any) -> str:
    row_id = str(uuid4())
    row = {"id": row_id, "record": msgspec.to_builtins(item), "created_at": now_text(), **columns}
    context.store.insert(table, row)
    return row_id


def _turn(context: Context, turn: wire.Turn, execution_id: str) -> str:
    executions.check_time(turn.started_at)
    executions.check_time(turn.completed_at)
    return _record("turns", context, turn, execution_id=execution_id, turn_number=turn.turn_number)


def _tool_call(context: Context, call: wire.ToolCall, execution_id: str) -> str:
    executions.check_time(call.started_at)
    executions.check_time(call.completed_at)
    turn_id = None
    if call.turn_id is not None:
        turn_id = uuid_text(call.turn_id)
        if context.store.get("turns", id=turn_id) is None:
            raise Crash(f"there is no turn {turn_id}: the foreign key fails")
    return _record("tool_calls", context, call, execution_id=execution_id, turn_id=turn_id)


def _task(context: Context, task: wire.TaskItem, execution_id: str) -> str:
    executions.check_time(task.started_at)
    executions.check_time(task.completed_at)
    return _record("tasks", context, task, execution_id=execution_id)


async def post_turn(context: Context, request: Request) -> Response:
    """Store the turn, decide, write the decision over whatever is there (hazard 3), then answer."""
    turn = await body(request, wire.Turn)
    execution = executions.execution_or_404(context, turn.execution_id)
    turn_id = _turn(context, turn, execution["id"])
    status = await decide(context.gateway, execution, turn)
    context.store.update("turns", {"decision": status}, id=turn_id)
    over = {"completed_at": now_text()} if status in {"completed", "failed"} else {}
    executions.change(context, execution["id"], {"status": status, **over})
    return reply({"success": True, "turn_id": turn_id}, 201)


async def post_tool_call(context: Context, request: Request) -> Response:
    call = await body(request, wire.ToolCall)
    execution = executions.execution_or_404(context, call.execution_id)
    return reply({"success": True, "tool_call_id": _tool_call(context, call, execution["id"])}, 201)


async def post_task(context: Context, request: Request) -> Response:
    task = await body(request, wire.TaskItem)
    execution = executions.execution_or_404(context, task.execution_id)
    return reply({"success": True, "task_id": _task(context, task, execution["id"])}, 201)


async def patch_task(context: Context, request: Request) -> Response:
    wish = await body(request, wire.TaskChange)
    task_id = uuid_text(request.path_params["task_id"])
    row = context.store.get("tasks", id=task_id)
    if row is None:
        raise Problem(404, "Task not found")
    executions.check_time(wish.completed_at)
    changes = {key: value for key, value in msgspec.to_builtins(wish).items() if value is not None}
    context.store.update("tasks", {"record": {**row["record"], **changes}}, id=task_id)
    return reply({"success": True, "task_id": task_id})


async def post_batch(context: Context, request: Request) -> Response:
    """Many rows, no decision. A row that fails is named in `errors`; the others are kept."""
    batch = await body(request, wire.Batch)
    execution = executions.execution_or_404(context, batch.execution_id)
    errors: list[str] = []

    def store_all(kind: str, items: list[Any], store: Any) -> int:
        stored = 0
        for number, item in enumerate(items):
            try:
                store(context, item, execution["id"])
                stored += 1
            except Crash as crash:
                errors.append(f"{kind} {number}: {crash}")
        return stored

    answer = {
        "success": True,
        "execution_id": execution["id"],
        "turns_created": store_all("turn", batch.turns, _turn),
        "tool_calls_created": store_all("tool call", batch.tool_calls, _tool_call),
        "tasks_created": store_all("task", batch.tasks, _task),
        "errors": errors,
    }
    answer["success"] = not errors
    return reply(answer, 201)


async def read(context: Context, request: Request) -> Response:
    """Playground only: everything that analytics hold of one execution, in order of arrival."""
    execution = executions.execution_or_404(context, request.path_params["execution_id"])
    tables = ("turns", "tool_calls", "tasks")
    return reply({table: context.store.find(table, execution_id=execution["id"]) for table in tables})
