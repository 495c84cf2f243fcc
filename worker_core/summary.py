"""What a snapshot comes to: icon, tooltip, menu, window and `status` all ask here, and say it in their own words."""

from __future__ import annotations

import enum

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Phrase, again, settle
from worker_core.snapshot import EngineSnapshot, EngineState, QueueView, Trouble


class Standing(enum.Enum):
    """From what needs its owner most to what needs him least; one of them holds."""

    FAILED = "failed"
    STOPPED = "stopped"
    DRAINING = "draining"
    QUESTIONS = "questions"
    ASKS_ABOUT_SANDBOX = "asks about sandbox"
    """There is none, and whether tools may run without waits for an answer."""

    LOCKED = "locked"
    """The keychain waits to be unlocked; then it goes on by itself."""

    NO_CONTROL_PLANE = "no control plane"
    NO_TEMPORAL = "no temporal"
    NOT_SERVED = "not served"
    """A queue is not polled, and trying again is no help."""

    NO_TOOLS = "no tools"
    """There is no sandbox, and tools are not started without."""

    EVENTS_HELD = "events held"
    PAUSED = "paused"
    STARTING = "starting"
    BUSY = "busy"
    IDLE = "idle"


CALM = frozenset(
    {Standing.STOPPED, Standing.DRAINING, Standing.PAUSED, Standing.STARTING, Standing.BUSY, Standing.IDLE}
)
"""All others need their owner, or at least his patience."""

TRIES_AT_START = 2
"""One try that fails at a start is no trouble yet: the next one comes within seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The one thing to say, with its values."""

    standing: Standing
    questions: int = 0
    running: int = 0
    """Tasks at work here."""

    places: int = 0
    waiting: int = 0
    """Tasks that wait in the queues, while all places here are taken: with one free, none waits for long."""

    sentence: str = ""
    """The worker's own, in English, where there is more to say than the values."""

    repair: str = ""
    """The end of `sentence` that says what can be done in a terminal."""

    trouble: Trouble | None = None
    unprotected: bool = False
    """Tools run without a sandbox. Said beside whatever else there is."""

    said: tuple[Phrase, ...] = ()
    """What `sentence` is made of, for other languages; empty: it is said in English."""

    def __post_init__(self) -> None:
        settle(self, "sentence")

    @property
    def needs_attention(self) -> bool:
        return self.standing not in CALM


def summary(snapshot: EngineSnapshot) -> Summary:
    """What is to be said of it."""
    trouble = _trouble(snapshot)
    standing, sentence = _standing(snapshot, trouble)
    full = 0 < snapshot.executions_limit <= snapshot.tasks_in_flight
    known = [queue.statistics for queue in snapshot.queues if queue.statistics is not None]
    return Summary(
        standing=standing,
        questions=len(snapshot.approvals),
        running=snapshot.tasks_in_flight,
        places=snapshot.executions_limit,
        waiting=sum(one.backlog for one in known) if full else 0,
        sentence=sentence,
        repair=_repair(snapshot, standing),
        trouble=trouble if standing in {Standing.NO_CONTROL_PLANE, Standing.NO_TEMPORAL} else None,
        unprotected=snapshot.sandbox.name == "none",
    )


def _standing(snapshot: EngineSnapshot, trouble: Trouble | None) -> tuple[Standing, str]:
    reason = again(snapshot.reason, snapshot.said)
    match snapshot.state:
        case EngineState.FAILED:
            return Standing.FAILED, reason
        case EngineState.STOPPED:
            return Standing.STOPPED, reason
        case EngineState.DRAINING:
            return Standing.DRAINING, reason
        case _ if snapshot.approvals:
            return Standing.QUESTIONS, ""
        case _ if snapshot.sandbox.name == "asked":
            return Standing.ASKS_ABOUT_SANDBOX, again(snapshot.sandbox.reason, snapshot.sandbox.said)
        case _ if snapshot.trouble is not None and snapshot.trouble.what == "keychain":
            return Standing.LOCKED, again(snapshot.trouble.sentence, snapshot.trouble.said)
        case _ if trouble is not None:
            return (Standing.NO_CONTROL_PLANE if trouble.what == "control_plane" else Standing.NO_TEMPORAL), again(
                trouble.sentence, trouble.said
            )
        case _ if refused := _not_served(snapshot):
            return Standing.NOT_SERVED, again(refused.reason, refused.said)
        case _ if snapshot.sandbox.name == "refused":
            return Standing.NO_TOOLS, again(snapshot.sandbox.reason, snapshot.sandbox.said)
        case _ if snapshot.outbox.interrupted_reason:
            return Standing.EVENTS_HELD, again(snapshot.outbox.interrupted_reason, snapshot.outbox.said)
        case EngineState.PAUSED:
            return Standing.PAUSED, reason
        case EngineState.STARTING:
            return Standing.STARTING, reason
        case _:
            return (Standing.BUSY, "") if snapshot.tasks_in_flight else (Standing.IDLE, reason)


def _repair(snapshot: EngineSnapshot, standing: Standing) -> str:
    match standing:
        case Standing.FAILED:
            return snapshot.repair
        case Standing.NOT_SERVED if (refused := _not_served(snapshot)) is not None:
            return refused.repair
        case _:
            return ""


def _trouble(snapshot: EngineSnapshot) -> Trouble | None:
    """That of the queue which is longest in it."""
    known = (queue.trouble for queue in snapshot.queues if queue.trouble is not None)
    if snapshot.state is EngineState.STARTING:
        known = (one for one in known if one.tries >= TRIES_AT_START)
    return min(known, key=lambda one: one.since, default=None)


def _not_served(snapshot: EngineSnapshot) -> QueueView | None:
    """The first queue of which that is so."""
    if snapshot.state is EngineState.STARTING:
        return None
    return next((queue for queue in snapshot.queues if not queue.polling and queue.reason), None)
