"""Tells the log what the engine does: one sentence per event that a person would want to read."""

from __future__ import annotations

import logging
from collections.abc import Callable

from worker_core import events
from worker_core.events import Event, EventBus

log = logging.getLogger("worker_core")


def narrate(bus: EventBus) -> Callable[[], None]:
    """Log what `bus` carries from now on. Returns what ends this."""
    return bus.listen(_tell, only=_TOLD)


_TOLD = (
    events.QueueRegistered,
    events.ExecutionStarted,
    events.ExecutionWaiting,
    events.ExecutionFinished,
    events.ToolStarted,
    events.ToolFinished,
    events.PollingStalled,
)


def _tell(event: Event) -> None:
    match event:
        case events.QueueRegistered():
            log.info("Registered on queue %s as worker %s.", event.queue_name or event.queue_id, event.worker_id)
        case events.ExecutionStarted():
            log.info("Execution %s: turn %d begins.", event.execution_id, event.turn)
        case events.ExecutionWaiting():
            log.info("Execution %s: turn %d is done; it waits for its user.", event.execution_id, event.turn)
        case events.ExecutionFinished(error=None):
            log.info("Execution %s: %s.", event.execution_id, event.status)
        case events.ExecutionFinished():
            log.warning("Execution %s: %s. %s", event.execution_id, event.status, event.error)
        case events.ToolStarted():
            log.info("Execution %s: runs %s.", event.execution_id, event.tool_name)
        case events.ToolFinished():
            outcome = "done" if event.succeeded else "failed"
            seconds = event.duration_seconds
            log.info("Execution %s: %s %s after %.1f s.", event.execution_id, event.tool_name, outcome, seconds)
        case events.PollingStalled():
            log.warning("Queue %s: %s", event.queue_id, event.sentence)
        case _:
            pass
