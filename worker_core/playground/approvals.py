"""Answers to approvals by a viewer (playground only), and the enforcer (facts: protocol, 8.10)."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from worker_core.playground import wire
from worker_core.playground.context import USER, Context, Crash, Problem
from worker_core.playground.dispatch import signal
from worker_core.playground.executions import execution_or_404
from worker_core.playground.web import body, reply

FORBIDDEN = "forbidden-by-the-enforcer"
BROKEN = "breaks-the-enforcer"


async def answer(context: Context, request: Request) -> Response:
    """Send `answer_approval` to the execution's workflow. Whether it counts is for the worker to say."""
    wish = await body(request, wire.ApprovalAnswer)
    row = execution_or_404(context, request.path_params["execution_id"])
    said = {
        "call_id": request.path_params["call_id"],
        "answer": wish.answer,
        "scope": wish.scope,
        "by": USER["user_name"],
        **({} if wish.content is None else {"content": wish.content}),
    }
    await signal(context, row, "answer_approval", said)
    return reply({"success": True, **said})


async def enforce(context: Context, request: Request) -> Response:  # noqa: ARG001 - the signature of all handlers
    """Denies arguments with `forbidden-by-the-enforcer`, fails on `breaks-the-enforcer`, allows the rest."""
    try:
        wish = msgspec.json.decode(await request.body())
        arguments = str(wish["tool"]["arguments"])
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise Problem(422, "A question names a tool with its arguments.") from error
    if BROKEN in arguments:
        raise Crash("the enforcer was asked to break")
    forbidden = FORBIDDEN in arguments
    return reply({"allow": not forbidden, "id": "playground", "policies": ["playground"] if forbidden else []})
