"""What the tray knows, as one value; icon, tooltip and menu are functions of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from desktop.look.language import tr
from desktop.system.platforms.ports import Autostart
from worker_core.basics.visible import visible_line
from worker_core.policy.question_text import in_one_line
from worker_core.snapshot import EngineSnapshot, EngineState

TEXT_LIMIT: Final = 120
"""Characters of a sentence that a tooltip or a menu shows; Windows cuts tooltips at 127."""


QUESTION_LIMIT: Final = 400
"""Characters of a question that a notification shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One question of an agent that waits for its answer."""

    approval_id: str
    title: str
    """On one line, cut to fit a menu."""

    text: str
    """On one line, cut to QUESTION_LIMIT."""

    is_whole: bool
    """`text` has all that is asked."""


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


def approvals(snapshot: EngineSnapshot) -> tuple[Approval, ...]:
    """The questions that wait, oldest first."""
    found = []
    for one in snapshot.approvals:
        text = f"{visible_line(one.tool)}  {in_one_line(one.parts)}"
        found.append(
            Approval(
                approval_id=one.id,
                title=short(text, 60),
                text=short(text, QUESTION_LIMIT),
                is_whole=not one.left_out and len(text) <= QUESTION_LIMIT,
            )
        )
    return tuple(found)


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


def short(text: str, limit: int = TEXT_LIMIT) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def moment(when: datetime, now: datetime) -> str:
    """A time of day in local time, with the day where it is not today's."""
    local, today = when.astimezone(), now.astimezone().date()
    clock = local.strftime("%H:%M")
    if local.date() == today:
        return clock
    if local.date() == today + timedelta(days=1):
        return tr("tomorrow {time}", time=clock)
    return f"{local.date().isoformat()} {clock}"


def pause_reason(until: datetime | None, now: datetime) -> str:
    """The sentence of a pause that its user chose, from the tray or from the window."""
    return tr("Paused by you until {time}.", time=moment(until, now)) if until is not None else tr("Paused by you.")


def tomorrow_morning(now: datetime) -> datetime:
    """Until when "until tomorrow" lasts: eight o'clock, local time, on the next day."""
    local = now.astimezone()
    morning = local.replace(hour=8, minute=0, second=0, microsecond=0)
    return (morning.replace(tzinfo=None) + timedelta(days=1)).astimezone()
