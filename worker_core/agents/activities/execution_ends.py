"""How an execution ends: its last word, to viewers and to the control plane; what was kept for it here is let go."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from worker_core.agents.activities import failures, session_store
from worker_core.agents.activities.services import Services
from worker_core.agents.messages import EndExecution
from worker_core.control_plane.models import FINAL_STATUSES, ExecutionPatch
from worker_core.control_plane.outbox.lane import LAST_EVENTS_LIMIT, Lane
from worker_core.events import ExecutionFinished
from worker_core.workspaces.sweeping import mark_ended


async def finish(services: Services, end: EndExecution, *, queue_id: str, repeated: bool, begun: bool) -> None:
    """The last word about an execution. A status that is final already is left as it is.

    Args:
        services: of the engine.
        end: what became of it.
        queue_id: whose execution it was.
        repeated: this step was tried before.
        begun: it has begun on this machine.
    """
    mask = services.redactor.mask
    end = replace(end, error=mask(end.error), response=mask(end.response))
    lane = services.outbox.lane(end.execution_id)
    lane.advance(end.after_sequence)
    if end.error:
        lane.publish(
            "error",
            failures.error_event(
                end.execution_id,
                end.error,
                category=end.error_category or "unknown",
                error_type=end.error_type,
                stage="execution",
            ),
        )
    if begun:
        await services.announcements.settled(end.execution_id)
    if end.recorded:
        await lane.flush(LAST_EVENTS_LIMIT)
    else:
        await _record(services, end, lane, repeated=repeated)
    with contextlib.suppress(OSError):  # it is swept later then
        await asyncio.to_thread(mark_ended, services.workspaces, end.execution_id, end.status)
    if end.status != "completed":  # else its last turn was counted
        await services.budgets.end_turn(end.execution_id, end.turns, queue_id=queue_id, failed=end.status == "failed")
    await services.budgets.forget(end.execution_id)
    await services.mcp.end(end.execution_id)
    agent_id = services.tracker.ended(end.execution_id)
    services.environments.forget(end.execution_id)
    services.announcements.forget(end.execution_id)
    services.sessions.forget(end.execution_id)
    services.spent.forget(end.execution_id)
    services.journal.forget(end.execution_id)
    services.permissions.book.forget(end.execution_id)
    services.bus.publish(
        ExecutionFinished(
            execution_id=end.execution_id,
            status=end.status,
            error=end.error or None,
            queue_id=queue_id,
            agent_id=agent_id,
        )
    )


async def _record(services: Services, end: EndExecution, lane: Lane, *, repeated: bool) -> None:
    """What the control plane does not know of an end: whatever it did not decide itself."""
    record, stored, _ = await asyncio.gather(
        services.client.get_execution(end.execution_id),
        services.client.load_session(end.execution_id) if end.messages else _nothing(),
        lane.flush(LAST_EVENTS_LIMIT),
    )
    if end.messages:
        await session_store.store(
            services,
            end.execution_id,
            stored=stored,
            news=end.messages,
            user_id=end.user_id,
            turn=end.turns,
            repeated=repeated,
        )
    metadata: dict[str, Any] = {
        **record.execution_metadata,
        "workflow_completed": end.status == "completed",
        "total_conversation_turns": end.turns,
        "was_interrupted": end.interrupted,
    }
    if end.error:
        metadata |= {"workflow_error": end.error, "error_type": end.error_type}
    other_final = record.status in FINAL_STATUSES and record.status != end.status
    await services.client.patch_execution(
        end.execution_id,
        ExecutionPatch(
            status=None if other_final else end.status,
            completed_at=datetime.now(UTC).isoformat(),
            response=end.response or None,
            error_message=end.error or None,
            usage=end.usage.to_wire(),
            execution_metadata=metadata,
        ),
    )


async def _nothing() -> None:
    return None
