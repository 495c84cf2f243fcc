"""Steps as spans, by OpenTelemetry's conventions for generative AI. No prompt, no argument, no answer is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

from temporalio import activity

from worker_core.agents.messages import (
    Begin,
    ClaudeTurn,
    EndExecution,
    FinishTurn,
    GiveUpTurn,
    ModelCall,
    RunTool,
    Usage,
)
from worker_core.tracing.spans import record, span
from worker_core.tracing.tracer import Attribute, Span

PROVIDER = "openai"
"""Whose manner of speaking the gateway has; who serves the model behind it is not known here."""


def execution_began(begin: Begin, *, queue_id: str, began_at: datetime) -> None:
    """An execution has begun; the root of its trace is this step, since the whole may take days."""
    execution = begin.input
    attributes: dict[str, Attribute] = {
        "gen_ai.conversation.id": execution.execution_id,
        "gen_ai.agent.id": execution.entity_id,
        "kubiya.queue.id": queue_id,
    }
    if begin.home_lost:
        with span("find_home", execution_id=execution.execution_id, attributes=attributes):
            return
    record(
        "execution",
        execution_id=execution.execution_id,
        began_at=began_at,
        ended_at=datetime.now(UTC),
        attributes=attributes,
    )


def turn_ended(turn: FinishTurn | GiveUpTurn) -> None:
    """A turn is over."""
    attributes: dict[str, Attribute] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.conversation.id": turn.execution_id,
        "kubiya.turn": turn.turn,
    }
    began, ended, error = activity.info().scheduled_time, datetime.now(UTC), ""
    if isinstance(turn, FinishTurn):
        began, ended = _moment(turn.started_at) or began, _moment(turn.completed_at) or ended
        attributes |= {
            "gen_ai.request.model": turn.model,
            "gen_ai.response.finish_reasons": [turn.finish_reason],
            **_of(turn.turn_usage),
        }
    else:
        error = turn.error_type or "failed"
    record(
        "invoke_agent",
        execution_id=turn.execution_id,
        turn=turn.turn,
        began_at=began,
        ended_at=ended,
        attributes=attributes,
        error=error,
    )


@contextmanager
def execution_ends(end: EndExecution) -> Iterator[None]:
    """The last step of an execution."""
    attributes: dict[str, Attribute] = {"kubiya.outcome": end.status, "kubiya.turns": end.turns, **_of(end.usage)}
    with span("end_execution", execution_id=end.execution_id, attributes=attributes) as one:
        if end.status == "failed":
            one.failed(end.error_type or "failed")
        yield


def model_call(call: ModelCall) -> AbstractContextManager[Span]:
    """One model call, with all its tries."""
    return span(
        f"chat {call.model}",
        execution_id=call.execution_id,
        turn=call.turn,
        kind="client",
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": call.model,
            "gen_ai.conversation.id": call.execution_id,
            **_of_step(call.turn),
        },
    )


def model_answered(one: Span, *, usage: Usage, model: str, finish_reason: str) -> None:
    """What is known of the answer."""
    one.set({"gen_ai.response.model": model, "gen_ai.response.finish_reasons": [finish_reason], **_of(usage)})


def claude_turn(turn: ClaudeTurn) -> AbstractContextManager[Span]:
    """A whole turn of the runtime `claude_code`."""
    return span(
        "invoke_agent claude_code",
        execution_id=turn.execution_id,
        turn=turn.turn,
        attributes={
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": turn.persona.model,
            "gen_ai.conversation.id": turn.execution_id,
            **_of_step(turn.turn),
        },
    )


def tool_call(request: RunTool) -> AbstractContextManager[Span]:
    """One tool call; what an MCP server is asked is a span inside it."""
    name = request.mcp_tool or request.call.name
    return span(
        f"execute_tool {name}",
        execution_id=request.execution_id,
        turn=request.turn,
        attributes={
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": request.call.call_id,
            "gen_ai.tool.type": "extension" if request.mcp_server else "function",
            "gen_ai.conversation.id": request.execution_id,
            **({"kubiya.mcp.server": request.mcp_server} if request.mcp_server else {}),
            **_of_step(request.turn),
        },
    )


def _of_step(turn: int) -> dict[str, Attribute]:
    return {"kubiya.turn": turn, "kubiya.attempt": activity.info().attempt}


def _of(usage: Usage) -> dict[str, Attribute]:
    return {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
    }


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
