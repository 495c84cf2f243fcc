"""What a worker's summary is called in the window, the menu and at the icon: a headline, and the sentence below it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from desktop.look.language import retold, tr
from desktop.look.tokens import Tone
from desktop.look.wording import moment
from worker_core.basics.sentences import again, without
from worker_core.summary import Standing, Summary

_ICONS: Final = {
    Standing.STOPPED: "power",
    Standing.STARTING: "refresh",
    Standing.NO_CONTROL_PLANE: "refresh",
    Standing.NO_TEMPORAL: "refresh",
    Standing.BUSY: "check",
    Standing.IDLE: "check",
    Standing.PAUSED: "pause",
    Standing.DRAINING: "clock",
    Standing.QUESTIONS: "approvals",
    Standing.LOCKED: "key",
}


def headline(said: Summary, *, paused_until: datetime | None, now: datetime) -> str:
    """A few words, such as `16 tasks run, 126 wait`."""
    match said.standing:
        case Standing.FAILED | Standing.NOT_SERVED | Standing.EVENTS_HELD:
            return tr("Needs attention")
        case Standing.STOPPED:
            return tr("Stopped")
        case Standing.DRAINING:
            return tr("Draining")
        case Standing.QUESTIONS:
            one = said.questions == 1
            return tr("1 question waits for you") if one else tr("{n} questions wait for you", n=said.questions)
        case Standing.ASKS_ABOUT_SANDBOX:
            return tr("May tools run without a sandbox?")
        case Standing.LOCKED:
            return tr("Unlock your keychain to go on")
        case Standing.NO_CONTROL_PLANE:
            return tr("No control plane")
        case Standing.NO_TEMPORAL:
            return tr("No Temporal")
        case Standing.NO_TOOLS:
            return tr("Tools are not started")
        case Standing.PAUSED if paused_until is not None:
            return tr("Paused until {time}", time=moment(paused_until, now))
        case Standing.PAUSED:
            return tr("Paused")
        case Standing.STARTING:
            return tr("Starting")
        case Standing.BUSY:
            return _at_work(said)
        case Standing.IDLE:
            return tr("Running")


def explanation(said: Summary, now: datetime, *, lasting: bool = False) -> str:
    """The sentence that says why, and what comes next; empty where the headline says it all.

    Args:
        said: the summary.
        now: of the words.
        lasting: they stay on the screen without being drawn anew: they say when, not how soon.
    """
    if (trouble := said.trouble) is not None:
        if trouble.what == "temporal_silent":
            return tr("Temporal does not answer since {time}; trying again.", time=moment(trouble.since, now))
        if trouble.next_try_at is None:
            return retold(trouble.sentence, trouble.said)
        left = round((trouble.next_try_at - now).total_seconds())
        if lasting:
            when = tr("Next try at {time}.", time=f"{trouble.next_try_at.astimezone():%H:%M:%S}")
        else:
            when = tr("Next try in {n} s.", n=left) if left > 0 else tr("Trying now.")
        return f"{retold(trouble.sentence, trouble.said)} {when}"
    if said.standing is Standing.LOCKED:
        return tr("It asks in a window of its own, and has the worker's key. The worker starts once it is unlocked.")
    if said.standing is Standing.BUSY and said.waiting:
        return tr("All {n} places are taken.", n=said.places)
    return retold(without(again(said.sentence, said.said), said.repair))


def tone_of(said: Summary) -> Tone:
    """Its colour."""
    match said.standing:
        case Standing.FAILED:
            return "danger"
        case Standing.STOPPED:
            return "neutral"
        case Standing.STARTING:
            return "accent"
        case Standing.BUSY | Standing.IDLE:
            return "success"
        case _:
            return "warning"


def icon_of(said: Summary) -> str:
    """Its mark, of the icon set."""
    return _ICONS.get(said.standing, "alert")


def unprotected() -> str:
    """The warning that stays as long as tools run without a sandbox."""
    return tr("Tools run without a sandbox")


def _at_work(said: Summary) -> str:
    if said.waiting:
        one = said.running == 1
        return (
            tr("1 task runs, {waiting} wait", waiting=said.waiting)
            if one
            else tr("{n} tasks run, {waiting} wait", n=said.running, waiting=said.waiting)
        )
    return tr("1 task runs") if said.running == 1 else tr("{n} tasks run", n=said.running)
