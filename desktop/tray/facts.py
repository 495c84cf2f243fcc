"""What the tray knows, as one value; icon, tooltip and menu are functions of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from desktop.system.platforms.ports import Autostart
from worker_core.snapshot import EngineSnapshot, EngineState


@dataclass(frozen=True, slots=True, kw_only=True)
class TrayFacts:
    """`snapshot` is the worker's own word; the rest is the tray's."""

    snapshot: EngineSnapshot
    attached: bool = False
    paused_until: datetime | None = None
    autostart: Autostart = Autostart.OFF
    snoozed_until: datetime | None = None
    unset: bool = False
    """Nobody has said yet what to serve."""

    now: datetime | None = None
    """For words such as "tomorrow"; None: the present."""


def troubles(snapshot: EngineSnapshot) -> tuple[str, ...]:
    """Sentences about what is wrong although the worker runs."""
    found = []
    if snapshot.state in {EngineState.RUNNING, EngineState.PAUSED}:
        found += [queue.reason for queue in snapshot.queues if not queue.polling and queue.reason]
    if snapshot.outbox.interrupted_reason:
        found.append(snapshot.outbox.interrupted_reason)
    if snapshot.sandbox.name == "refused":
        found.append(snapshot.sandbox.reason)
    return tuple(dict.fromkeys(found))
