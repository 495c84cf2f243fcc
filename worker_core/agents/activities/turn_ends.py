"""How a turn ends: finished, with the server's decision on what comes next, or given up, for its user to go on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from worker_core.agents.activities import failures, session_store
from worker_core.agents.activities.announcements import of_turn
from worker_core.agents.activities.services import Services
from worker_core.agents.messages import FinishTurn, GiveUpTurn, SaveMessages, TurnDecision
from worker_core.control_plane.models import FINAL_STATUSES, ExecutionPatch, ExecutionRecord, TurnAnalytics
from worker_core.control_plane.outbox.lane import LAST_EVENTS_LIMIT
from worker_core.events import ExecutionWaiting

DECIDED = FINAL_STATUSES | {"waiting_for_input"}
DECISION_POLLS_SECONDS = (0.1, 0.4)
"""The decision is written before the analytics call answers; these waits are only for a server that is late."""

RESPONSE_PREVIEW_LENGTH = 500
GO_ON = "Send another message: the conversation goes on from here."


async def finish(
    services: Services, turn: FinishTurn, *, repeated: bool, worker_id: str, queue_id: str
) -> TurnDecision:
    """Store the session and the numbers, and read the server's decision (protocol 8.6, design A).

    Whoever hears that the turn has ended finds it counted. `repeated`: an attempt that did not come to its end may have
    done some of it.
    """
    lane = services.outbox.lane(turn.execution_id)
    lane.advance(turn.after_sequence)
    session, metadata, *_ = await asyncio.gather(
        services.sessions.at_the_end(turn.execution_id, turn=turn.turn, changed=repeated or turn.saved),
        _metadata(services, turn),
        services.announcements.made(turn.execution_id, worker_id=worker_id),
        lane.flush(LAST_EVENTS_LIMIT),
    )
    await asyncio.gather(
        store_messages(services, turn, stored=session, repeated=repeated),
        services.client.patch_execution(
            turn.execution_id,
            ExecutionPatch(response=turn.response, usage=turn.total_usage.to_wire(), execution_metadata=metadata),
        ),
    )
    record = await _decided_before(services, turn.execution_id) if repeated else None
    if record is None:
        await services.client.record_turn(_numbers(turn))
        record = await _decided(services, turn.execution_id)
    if record.execution_metadata.get("conversation_turns") != turn.turn:  # its beginning was cut off
        metadata = {**record.execution_metadata, **of_turn(turn.execution_id, turn.turn)}
        await services.client.patch_execution(turn.execution_id, ExecutionPatch(execution_metadata=metadata))
    status = record.status if record.status in FINAL_STATUSES else "waiting_for_input"
    over = status == "completed" and bool(record.completed_at)
    if turn.unattended and status == "waiting_for_input":
        status = "completed"
    await services.budgets.end_turn(turn.execution_id, turn.turn, queue_id=queue_id, failed=False)
    if status == "waiting_for_input":  # else its end follows, which a drain waits for
        services.tracker.turn_ended(turn.execution_id)
        services.bus.publish(ExecutionWaiting(execution_id=turn.execution_id, turn=turn.turn))
    return TurnDecision(status=status, last_sequence=lane.last_sequence, recorded=over)


async def give_up(
    services: Services, turn: GiveUpTurn, *, repeated: bool, worker_id: str, queue_id: str
) -> TurnDecision:
    """A turn failed for a cause that may pass: tell viewers, keep what was said, and wait for the user.

    The server is not asked how to go on: its judgement could end the execution, and the user's own is wanted.
    """
    turn = replace(turn, error=services.redactor.mask(turn.error))
    lane = services.outbox.lane(turn.execution_id)
    lane.advance(turn.after_sequence)
    lane.publish(
        "error",
        failures.error_event(
            turn.execution_id,
            turn.error,
            category=turn.error_category or "unknown",
            error_type=turn.error_type,
            stage="turn",
            retryable=True,
            actions=(GO_ON,),
        ),
    )
    record, session, *_ = await asyncio.gather(
        services.client.get_execution(turn.execution_id),
        services.client.load_session(turn.execution_id),
        services.announcements.made(turn.execution_id, worker_id=worker_id),
        lane.flush(LAST_EVENTS_LIMIT),
    )
    await store_messages(services, turn, stored=session, repeated=repeated)
    status = record.status if record.status in FINAL_STATUSES else "waiting_for_input"
    await services.client.patch_execution(
        turn.execution_id,
        ExecutionPatch(
            status=None if status in FINAL_STATUSES else status,
            usage=turn.usage.to_wire(),
            execution_metadata={**record.execution_metadata, "latest_turn_error": turn.error},
        ),
    )
    await services.budgets.end_turn(turn.execution_id, turn.turn, queue_id=queue_id, failed=True)
    services.tracker.turn_ended(turn.execution_id)
    services.bus.publish(ExecutionWaiting(execution_id=turn.execution_id, turn=turn.turn))
    return TurnDecision(status="waiting_for_input", last_sequence=lane.last_sequence)


def _numbers(turn: FinishTurn) -> TurnAnalytics:
    return TurnAnalytics(
        execution_id=turn.execution_id,
        turn_number=turn.turn,
        turn_id=f"{turn.execution_id}_{turn.turn}",
        model=turn.model,
        started_at=turn.started_at,
        completed_at=turn.completed_at,
        duration_ms=turn.duration_ms,
        input_tokens=turn.turn_usage.prompt_tokens,
        output_tokens=turn.turn_usage.completion_tokens,
        cache_read_tokens=turn.turn_usage.cached_tokens,
        cache_creation_tokens=turn.turn_usage.cache_creation_tokens,
        total_cost=turn.turn_usage.cost,
        total_tokens=turn.turn_usage.total_tokens,
        finish_reason=turn.finish_reason,
        response_preview=turn.response[:RESPONSE_PREVIEW_LENGTH],
        tools_called_count=len(turn.tool_names),
        tools_called_names=list(dict.fromkeys(turn.tool_names)),
    )


async def _metadata(services: Services, turn: FinishTurn) -> dict[str, Any] | None:
    """What the record's metadata become; None: they stay. What is known when a turn begins was written then."""
    if not turn.session_id:
        return None
    record = await services.client.get_execution(turn.execution_id)
    return {**record.execution_metadata, "claude_code_session_id": turn.session_id}


async def store_messages(
    services: Services, turn: FinishTurn | GiveUpTurn | SaveMessages, *, stored: dict[str, Any] | None, repeated: bool
) -> None:
    """Add the messages of a turn, or of a part of it, to the session as it is stored."""
    await session_store.store(
        services,
        turn.execution_id,
        stored=stored,
        news=turn.messages,
        user_id=turn.user_id,
        turn=turn.turn,
        repeated=repeated,
    )


async def _decided_before(services: Services, execution_id: str) -> ExecutionRecord | None:
    """The record, where an attempt before this one had the server decide: the record said `running` until then.

    Asked once more, the server would decide anew, over an end that may have been told already (protocol, 8.6).
    """
    record = await services.client.get_execution(execution_id)
    return record if record.status in DECIDED else None


async def _decided(services: Services, execution_id: str) -> ExecutionRecord:
    """The record, once the server has decided. `running` means that it has not: then the user is asked."""
    for wait_seconds in (*DECISION_POLLS_SECONDS, 0.0):
        record = await services.client.get_execution(execution_id)
        if record.status in DECIDED:
            return record
        if wait_seconds:
            await asyncio.sleep(wait_seconds)
    await services.client.patch_execution(execution_id, ExecutionPatch(status="waiting_for_input"))
    return record
