"""A connection that is lost is told when it has been for a minute, once, and when it is back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from desktop.look.language import retold, tr
from desktop.notices.notice import Level, Notice
from desktop.notices.snoozes import Alarm, Later
from worker_core.events import EngineStateChanged, Event, HeartbeatFailed, HeartbeatSent, PollingStalled, PollingStarted
from worker_core.snapshot import EngineSnapshot, EngineState

LOST_AFTER: Final = timedelta(minutes=1)
CONNECTION: Final = "connection"
"""What its notices tell of."""

_TRIED_AGAIN: Final = frozenset({"control_plane", "temporal", "temporal_silent"})


class ConnectionLoss:
    """What is broken, and whether it was told."""

    def __init__(self, *, say: Callable[[Notice], None], over: Callable[[], None], later: Later) -> None:
        """`over`: it does not need the person any more."""
        self.is_told = False
        self._say, self._over, self._later = say, over, later
        self._troubles: dict[tuple[str, str], str] = {}
        """Sentences, by what is broken and its queue."""

        self._alarm: Alarm | None = None

    def hear(self, event: Event) -> None:
        """A worker that stops has no connection to lose."""
        match event:
            case EngineStateChanged(after=EngineState.FAILED | EngineState.STOPPED | EngineState.DRAINING):
                self.forget()
            case HeartbeatFailed() | PollingStalled():
                self._trouble((type(event).__name__, event.queue_id), retold(event.sentence, event.said))
            case HeartbeatSent():
                self._better((HeartbeatFailed.__name__, event.queue_id))
            case PollingStarted():
                self._better((PollingStalled.__name__, event.queue_id))

    def look(self, snapshot: EngineSnapshot) -> None:
        """What the worker tries again and again, from the first try on."""
        found: dict[tuple[str, str], str] = {
            (one.trouble.what, one.queue_id): retold(one.trouble.sentence, one.trouble.said)
            for one in snapshot.queues
            if one.trouble is not None and snapshot.state not in {EngineState.FAILED, EngineState.STOPPED}
        }
        for what, sentence in found.items():
            self._trouble(what, sentence)
        for what in [one for one in self._troubles if one[0] in _TRIED_AGAIN and one not in found]:
            self._better(what)

    def forget(self) -> None:
        """All is well, or nobody wants to be connected."""
        self._troubles.clear()
        self.is_told = False
        self._over()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _trouble(self, what: tuple[str, str], sentence: str) -> None:
        self._troubles[what] = sentence
        if self._alarm is None and not self.is_told:
            self._alarm = self._later(LOST_AFTER.total_seconds(), self._tell)

    def _better(self, what: tuple[str, str]) -> None:
        if self._troubles.pop(what, None) is None or self._troubles:
            return
        was_told = self.is_told
        self.forget()
        if was_told:
            body = tr("The worker is connected again.")
            self._say(Notice(title=tr("Connection restored"), body=body, level=Level.NEWS, about=CONNECTION))

    def _tell(self) -> None:
        """The minute is over, and something is still broken."""
        self._alarm = None
        if not self._troubles or self.is_told:
            return
        self.is_told = True
        sentence = next(iter(self._troubles.values()))
        title = tr("Connection lost for more than a minute")
        self._say(Notice(title=title, body=sentence, level=Level.PROBLEM, about=CONNECTION, stands=True))
