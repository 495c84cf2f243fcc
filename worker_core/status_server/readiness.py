"""Whether a worker is ready, and if not, the one reason.

It *lives* as long as its event loop turns (`basics/pulse.py`), whatever happens outside of it, so that nobody restarts
what a restart would not help. It is *ready* while it takes work.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from worker_core.basics.quick_dataclass import dataclass
from worker_core.snapshot import EngineSnapshot, EngineState, QueueView

Readiness = Literal["starting", "draining", "credentials", "paused", "stalled", "serving"]
"""By priority; ready is `serving` alone. `draining`: it leaves, or has left. `credentials`: the control plane or
Temporal refuses its key. `stalled`: the event loop does not turn, or no queue's polls are answered.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long there may be no progress. A silent loop is noticed by whoever asks again meanwhile."""

    ready: timedelta = timedelta(seconds=5)
    """Of the event loop, before it is not ready."""

    healthy: timedelta = timedelta(seconds=30)
    """Of the event loop, before the process is to be started anew."""

    polls: timedelta = timedelta(seconds=130)
    """Between two polls of a queue that were answered. A long poll takes 60 to 70 s, and answers are looked for every
    20 s; they are often seen a look late."""


def readiness(snapshot: EngineSnapshot, *, clock: float, silent_seconds: float, patience: Patience) -> Readiness:
    """The first reason that holds, in the order of `Readiness`.

    Args:
        snapshot: the engine's.
        clock: `time.monotonic()` now.
        silent_seconds: of its event loop.
        patience: how long there may be no progress.
    """
    match snapshot.state:
        case EngineState.STARTING:
            return "starting"
        case EngineState.STOPPED if snapshot.since is None:
            return "starting"
        case EngineState.DRAINING | EngineState.STOPPED | EngineState.FAILED:
            return "draining"
        case _:
            pass
    serves = any(_progresses(queue, clock=clock, patience=patience) for queue in snapshot.queues)
    if not serves and any(queue.credentials_refused for queue in snapshot.queues):
        return "credentials"
    if snapshot.state is EngineState.PAUSED:
        return "paused"
    return "serving" if serves and silent_seconds < patience.ready.total_seconds() else "stalled"


def _progresses(queue: QueueView, *, clock: float, patience: Patience) -> bool:
    if not queue.polling or queue.credentials_refused or queue.last_poll_clock is None:
        return False
    return clock - queue.last_poll_clock < patience.polls.total_seconds()
