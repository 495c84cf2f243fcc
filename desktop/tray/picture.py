"""What icon and tooltip say: pure functions of `TrayFacts`, tested without Qt."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Final

from desktop.look.language import tr
from desktop.look.standing import explanation, headline
from desktop.look.wording import short
from desktop.notices.questions import questions
from desktop.tray.facts import TrayFacts
from worker_core.basics.quick_dataclass import dataclass
from worker_core.summary import Standing, summary

COUNT_SHOWN: Final = 9
"""Above it the icon shows a plus: two digits cannot be read at 16 pixels."""


class IconState(enum.Enum):
    RUNNING = "running"
    BUSY = "busy"
    PAUSED = "paused"
    DRAINING = "draining"
    ATTENTION = "attention"
    CUT_OFF = "cut off"
    """It tries again by itself."""

    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """`badge` is what stands on the icon: a count, or nothing."""

    state: IconState
    badge: str = ""


def picture(facts: TrayFacts) -> Picture:
    """What needs the user comes first, then what is going on."""
    if facts.unset:
        return Picture(state=IconState.STOPPED)
    said = summary(facts.snapshot)
    running = said.running
    badge = "" if not running else str(running) if running <= COUNT_SHOWN else f"{COUNT_SHOWN}+"
    match said.standing:
        case Standing.STOPPED | Standing.STARTING:
            return Picture(state=IconState.STOPPED)
        case Standing.DRAINING:
            return Picture(state=IconState.DRAINING, badge=badge)
        case Standing.NO_CONTROL_PLANE | Standing.NO_TEMPORAL:
            return Picture(state=IconState.CUT_OFF)
        case Standing.PAUSED:
            return Picture(state=IconState.PAUSED, badge=badge)
        case Standing.BUSY:
            return Picture(state=IconState.BUSY, badge=badge)
        case Standing.IDLE:
            return Picture(state=IconState.RUNNING, badge=badge)
        case _:
            return Picture(state=IconState.ATTENTION)


def status(facts: TrayFacts) -> str:
    """The state in a few words, such as `2 tasks run`."""
    if facts.unset:
        return tr("Not set up yet")
    now = facts.now or datetime.now(UTC)
    return headline(summary(facts.snapshot), paused_until=facts.paused_until, now=now)


def reason(facts: TrayFacts, *, lasting: bool = False) -> str:
    """The sentence that says why; `lasting` as for `explanation`."""
    said = summary(facts.snapshot)
    if said.standing is Standing.QUESTIONS:
        return questions(facts.snapshot)[0].title
    return explanation(said, facts.now or datetime.now(UTC), lasting=lasting)


def tooltip(facts: TrayFacts) -> str:
    """State and reason in one line that every system shows whole, and that none takes for HTML, as X11 panels would."""
    name = tr("Kubiya Worker")
    head = f"{name}: {status(facts)}"
    why = reason(facts, lasting=True)
    return short(f"{head}. {why}" if why else head).replace("<", "‹")
