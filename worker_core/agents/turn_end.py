"""What is told of a turn's end: the same, whether the workflow asks for it or the step that was answered at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypedDict, Unpack

import msgspec

from worker_core.agents.conversation import for_session, prompt_of
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.messages import UNDECIDED, FinishTurn, Message, ModelReply, ToolCall, Usage
from worker_core.basics import typed_json

LARGEST_ENDED_CHARACTERS: Final = 50_000
"""Of an answer, and of what else a turn has to store, for the turn to end with it: what is longer is stored before its
turn ends, or takes long to travel twice."""


class HowItWent(TypedDict, total=False):
    """What an end may say besides; see `FinishTurn`."""

    tool_names: tuple[str, ...]
    session_id: str
    saved: bool
    moved: bool


def finish_turn(
    execution: ExecutionInput,
    reply: ModelReply,
    *,
    turn: int,
    messages: Iterable[Message],
    response: str,
    started_at: datetime,
    completed_at: datetime,
    turn_usage: Usage,
    total_usage: Usage,
    after_sequence: int,
    **how: Unpack[HowItWent],
) -> FinishTurn:
    """The request to end a turn.

    Args:
        execution: whose turn it is.
        reply: its last answer.
        turn: from 1.
        messages: what was said since the session was last stored.
        response: the last text of the conversation that its user reads.
        started_at: when its first model call could begin.
        completed_at: when the last one had come.
        turn_usage: of all its model calls.
        total_usage: of the execution so far.
        after_sequence: number of the last event that was sent.
        how: what else there is to say.
    """
    return FinishTurn(
        execution_id=execution.execution_id,
        turn=turn,
        model=reply.model,
        messages=for_session(messages),
        started_at=started_at.isoformat(),
        completed_at=completed_at.isoformat(),
        duration_ms=round((completed_at - started_at) / timedelta(milliseconds=1)),
        turn_usage=turn_usage,
        total_usage=total_usage,
        response=response,
        finish_reason=reply.finish_reason,
        user_id=str(execution.user_metadata.get("user_id") or ""),
        unattended=execution.unattended,
        after_sequence=after_sequence,
        **how,
    )


def answer_of(reply: ModelReply, *, now: str, calls: tuple[ToolCall, ...] = ()) -> Message:
    """A model's answer as a message of its conversation.

    Args:
        reply: as it came.
        now: ISO 8601, where the session does not have it yet.
        calls: its calls, with ids that the conversation knows once.
    """
    return Message(
        role="assistant",
        content=reply.content,
        timestamp=reply.answered_at or now,
        message_id=reply.message_id,
        tool_calls=calls,
        opaque=reply.opaque if calls else {},
    )


NO_REPLY: Final = ModelReply(content="", message_id="", model="", finish_reason="")
"""In the place of a turn's last answer, before it has come."""


def of_first_answer(execution: ExecutionInput, *, began_at: str, asked_at: datetime) -> FinishTurn:
    """The request to end an execution's first turn, but for what its first answer brings.

    Args:
        execution: as it came.
        began_at: as `Begin.began_at`.
        asked_at: when the model was asked.
    """
    return finish_turn(
        execution,
        NO_REPLY,
        turn=1,
        messages=[prompt_of(execution, now=began_at)],
        response="",
        started_at=asked_at,
        completed_at=asked_at,
        turn_usage=Usage(),
        total_usage=Usage(),
        after_sequence=0,
    )


def is_last(reply: ModelReply) -> bool:
    """Whether a turn can end with an answer: nothing comes between."""
    return not (reply.tool_calls or reply.elsewhere or reply.budget) and len(reply.content) <= LARGEST_ENDED_CHARACTERS


def answer_told(details: Iterable[object]) -> ModelReply | None:
    """The answer that an attempt had, and was about to end its turn with: whether it did, is not known.

    Args:
        details: what its last heartbeat said.
    """
    told = next(iter(details), None)
    if not isinstance(told, dict):
        return None
    try:
        return replace(typed_json.convert(told, ModelReply, strict=False), decision=UNDECIDED)
    except msgspec.ValidationError:
        return None


def with_answer(ending: FinishTurn, reply: ModelReply) -> FinishTurn:
    """The whole request.

    Args:
        ending: the request, but for this.
        reply: the turn's last answer, with the time at which it had come.
    """
    completed_at = datetime.fromisoformat(reply.answered_at)
    duration = completed_at - datetime.fromisoformat(ending.started_at)
    return replace(
        ending,
        model=reply.model,
        messages=(*ending.messages, *for_session([answer_of(reply, now=reply.answered_at)])),
        completed_at=reply.answered_at,
        duration_ms=round(duration / timedelta(milliseconds=1)),
        turn_usage=ending.turn_usage + reply.usage,
        total_usage=ending.total_usage + reply.usage,
        response=reply.content or reply.remark or ending.response,
        finish_reason=reply.finish_reason,
        after_sequence=reply.last_sequence,
    )
