"""What icon and tooltip say: pure functions of `TrayFacts`, tested without Qt."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from desktop.look.language import tr
from desktop.look.wording import moment, short
from desktop.notices.questions import questions
from desktop.tray.facts import TrayFacts, troubles
from worker_core.snapshot import EngineState

COUNT_SHOWN: Final = 9
"""Above it the icon shows a plus: two digits cannot be read at 16 pixels."""


class IconState(enum.Enum):
    RUNNING = "running"
    BUSY = "busy"
    PAUSED = "paused"
    DRAINING = "draining"
    ATTENTION = "attention"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """`badge` is what stands on the icon: a count, or nothing."""

    state: IconState
    badge: str = ""


def picture(facts: TrayFacts) -> Picture:
    """What needs the user comes first, then what is going on."""
    snapshot = facts.snapshot
    running = snapshot.tasks_in_flight
    if facts.unset:
        return Picture(state=IconState.STOPPED)
    badge = "" if not running else str(running) if running <= COUNT_SHOWN else f"{COUNT_SHOWN}+"
    match snapshot.state:
        case EngineState.FAILED:
            return Picture(state=IconState.ATTENTION)
        case EngineState.STOPPED:
            return Picture(state=IconState.STOPPED)
        case EngineState.DRAINING:
            return Picture(state=IconState.DRAINING, badge=badge)
        case _ if questions(snapshot) or troubles(snapshot):
            return Picture(state=IconState.ATTENTION)
        case EngineState.PAUSED:
            return Picture(state=IconState.PAUSED, badge=badge)
        case EngineState.STARTING:
            return Picture(state=IconState.STOPPED)
        case _:
            return Picture(state=IconState.BUSY if running else IconState.RUNNING, badge=badge)


def status(facts: TrayFacts) -> str:
    """The state in a few words, such as `2 executions running`."""
    if facts.unset:
        return tr("Not set up yet")
    snapshot = facts.snapshot
    running = snapshot.tasks_in_flight
    match snapshot.state:
        case EngineState.STOPPED:
            return tr("Stopped")
        case EngineState.STARTING:
            return tr("Starting")
        case EngineState.DRAINING:
            return tr("Draining")
        case EngineState.FAILED:
            return tr("Needs attention")
        case EngineState.PAUSED if facts.paused_until is not None:
            now = facts.now or datetime.now(UTC)
            return tr("Paused until {time}", time=moment(facts.paused_until, now))
        case EngineState.PAUSED:
            return tr("Paused")
        case _ if waiting := len(questions(snapshot)):
            return tr("1 approval waiting") if waiting == 1 else tr("{count} approvals waiting", count=waiting)
        case _ if troubles(snapshot):
            return tr("Needs attention")
        case _ if running:
            return tr("1 execution running") if running == 1 else tr("{count} executions running", count=running)
        case _:
            return tr("Running")


def reason(facts: TrayFacts) -> str:
    """The sentence that says why."""
    found = troubles(facts.snapshot)
    return found[0] if found else facts.snapshot.reason


def tooltip(facts: TrayFacts) -> str:
    """State and reason in one line that every system shows whole, and that none takes for HTML, as X11 panels would."""
    name = tr("Kubiya Worker")
    head = f"{name}: {status(facts)}"
    why = reason(facts)
    return short(f"{head}. {why}" if why else head).replace("<", "‹")
