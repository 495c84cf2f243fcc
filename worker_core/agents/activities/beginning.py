"""How an execution begins here: what is known of it, who takes part, and what its viewers are told first."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from worker_core.agents import compaction
from worker_core.agents.activities import claude_turn, failures
from worker_core.agents.activities.announcements import Opening
from worker_core.agents.activities.call_limits import longest_call, with_longest
from worker_core.agents.activities.gpu_places import longest_wait
from worker_core.agents.activities.participants import assemble, equipped, unhonoured
from worker_core.agents.activities.services import QueueContext, Services
from worker_core.agents.activities.working_folder import with_folders, working_folders
from worker_core.agents.conversation import from_session
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.messages import Begin, Begun, Message, Timeouts
from worker_core.basics.tasks import retrieved
from worker_core.control_plane.models import FINAL_STATUSES
from worker_core.control_plane.outbox.lane import LAST_EVENTS_LIMIT, Lane
from worker_core.events import ExecutionStarted
from worker_core.hooks.occasion import HookFailed
from worker_core.settings import Settings

log = logging.getLogger(__name__)

MODEL_CALLS_PER_TURN: Final = 50
"""Default of `max_turns` in the agent's configuration; the existing worker's default (protocol, section 9.2)."""


async def begin_here(services: Services, queue: QueueContext, begin: Begin, *, answered: bool = False) -> Begun:
    """Make this machine an execution's home.

    Args:
        services: of the engine.
        queue: where it came from.
        begin: the execution, and whether it had another home.
        answered: an earlier attempt had its model's answer, and was about to end with it.

    Raises:
        ApplicationError: it has ended already, or its owner's hook refuses it.
        ControlPlaneError: what it takes could not be asked for.
        LedgerError: it is limited, and what it spends cannot be kept.
    """
    execution, settings = begin.input, services.settings
    preparing = asyncio.create_task(queue.gateway().prepare())
    preparing.add_done_callback(retrieved)  # the first model call reports what went wrong
    folders = await working_folders(services, execution, queue_id=queue.queue_id)
    record, cast, session = await asyncio.gather(
        services.client.get_execution(execution.execution_id),
        assemble(services, execution, queue.gateway()),
        services.sessions.read(execution.execution_id, turn=1),
    )
    if record.status in FINAL_STATUSES and not (begin.home_lost or answered):
        raise ApplicationError(
            f"The execution is already {record.status}; it is not begun again.",
            type="AlreadyFinal",
            non_retryable=True,
        )
    lane = services.outbox.lane(execution.execution_id)
    lane.advance(begin.after_sequence)
    services.announcements.begin(
        Opening.of(execution, model=cast.persona.model),
        record,
        worker_id=queue.worker_id(),
        repeated=begin.home_lost or activity.info().attempt > 1,
    )
    remarks = _Remarks(lane, execution.execution_id)
    cast, unconnected = await equipped(
        services, execution.execution_id, cast, tell=lambda said: remarks.tell("mcp_connection", said, "info")
    )
    runtime, instead = claude_turn.choose_runtime(services, execution, model=cast.persona.model)
    wrong_limits = await services.budgets.begin(
        execution.execution_id,
        agent_id=execution.entity_id,
        wished=execution.config.get("budget"),
        agent_name=record.entity_name,
        queue_id=queue.queue_id,
        queue_name=queue.name(),
    )
    for one in folders.told:
        remarks.tell("configuration", one.sentence, "info" if one.is_honoured else "warning")
    remarks.warn("skill_loading", *cast.unknown, *([instead] if instead else []))
    remarks.warn("configuration", *wrong_limits)
    remarks.warn("mcp_connection", *unconnected)
    if runtime == "default":
        remarks.warn("configuration", *unhonoured(cast))
    cast = await with_folders(services, execution.execution_id, cast, folders)
    cast = with_longest(cast, settings, queue_id=queue.queue_id)
    await remarks.delivered()
    if not begin.home_lost:  # the last thing that can fail: a later try of this step would run it again
        await _owners_hook(services, execution, queue_id=queue.queue_id)
    services.bus.publish(ExecutionStarted(execution_id=execution.execution_id, queue_id=queue.queue_id, turn=1))
    earlier = _earlier(session, except_id=f"{execution.execution_id}_user_1")
    return Begun(
        home_queue=queue.home_queue,
        host_id=services.host_id,
        persona=cast.persona,
        members=cast.members,
        earlier=tuple(compaction.bounded(earlier, limit_tokens=settings.context_limit_tokens)),
        timeouts=_timeouts(settings),
        model_call_limit=_positive(execution.config.get("max_turns")) or MODEL_CALLS_PER_TURN,
        context_limit_tokens=settings.context_limit_tokens,
        last_sequence=lane.last_sequence,
        runtime=runtime,
    )


class _Remarks:
    """What viewers are told besides: what could not be honoured of an execution's configuration, and the like."""

    def __init__(self, lane: Lane, execution_id: str) -> None:
        self._lane = lane
        self._execution_id = execution_id
        self._before = lane.last_sequence

    def tell(self, category: str, sentence: str, severity: str = "warning") -> None:
        self._lane.publish(
            "error",
            failures.error_event(self._execution_id, sentence, category=category, severity=severity, stage="begin"),
        )

    def warn(self, category: str, *sentences: str) -> None:
        """Viewers, and whoever reads the log."""
        for sentence in sentences:
            log.warning("Execution %s: %s", self._execution_id, sentence)
            self.tell(category, sentence)

    async def delivered(self) -> None:
        if self._lane.last_sequence > self._before:
            await self._lane.flush(LAST_EVENTS_LIMIT)


async def _owners_hook(services: Services, execution: ExecutionInput, *, queue_id: str) -> None:
    try:
        await services.hooks.before_execution(execution.execution_id, queue_id=queue_id, agent_id=execution.entity_id)
    except HookFailed as error:
        log.error("Execution %s: %s", execution.execution_id, error.sentence)
        raise ApplicationError(error.sentence, "configuration", type="HookFailed", non_retryable=True) from error


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        model_call=(settings.model_timeout + settings.model_wait).total_seconds(),
        model_attempts=settings.model_attempts,
        tool_attempts=settings.tool_attempts,
        tool_call=(longest_call(settings) + longest_wait(settings)).total_seconds() + 60.0,
        home_lost_after=settings.home_lost_after.total_seconds(),
    )


def _earlier(session: dict[str, Any] | None, *, except_id: str) -> tuple[Message, ...]:
    records = (session or {}).get("messages") or ()
    return from_session((record for record in records if isinstance(record, dict)), except_ids=frozenset({except_id}))


def _positive(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
