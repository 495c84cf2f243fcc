"""What was seen of an execution's course beside its conversation: model calls that ended, and waits for a person.

Whatever was not seen to begin has no beginning here: nothing is guessed. No Qt.
"""

from __future__ import annotations

from collections import deque
from dataclasses import field
from datetime import datetime

from worker_core.basics.quick_dataclass import dataclass
from worker_core.events import ModelCalled

KEPT_STEPS = 2_000
"""Model calls, and waits, that are kept of one execution; the oldest go first."""

RESTING = frozenset({"waiting_for_input", "waiting_for_approval", "paused"})
"""A person is waited for."""

_MODEL_STEPS = frozenset({"model", "claude"})
"""Of a snapshot's `step`, by their first words."""


@dataclass(slots=True, kw_only=True, eq=False)
class Rest:
    """A stretch in which the execution stood still for a person. `until` is None while it does."""

    status: str
    since: datetime
    until: datetime | None = None


@dataclass(slots=True)
class Course:
    model_calls: deque[ModelCalled] = field(default_factory=lambda: deque(maxlen=KEPT_STEPS))
    """In the order in which they ended."""

    rest: deque[Rest] = field(default_factory=lambda: deque(maxlen=KEPT_STEPS))
    asks_since: datetime | None = None
    """Since when the model is being asked; None: it is not, or that was not seen to begin."""

    _status: str | None = None
    """None: it was never seen."""

    _asks: bool | None = None

    def seen(self, status: str, step: str, *, at: datetime) -> None:
        """A snapshot has it like this. What the first one shows began before."""
        known = self._status is not None
        if known:
            self.rests(status, at=at)
        self._status = status
        asks = any(part.strip().partition(" ")[0] in _MODEL_STEPS for part in step.split(","))
        if not asks:
            self.asks_since = None
        elif self._asks is False:
            self.asks_since = at
        self._asks = asks

    def began(self, *, at: datetime) -> None:
        """A turn begins; the model is not asked yet."""
        self.rests("running", at=at)
        self._asks = bool(self._asks)

    def rests(self, status: str, *, at: datetime) -> None:
        """It is in this status from now on. Empty: it has ended."""
        last = self.rest[-1] if self.rest else None
        if last is not None and last.until is None:
            if status == last.status:
                last.since = min(last.since, at)  # the event comes after the snapshot, and knows the time
                return
            last.until = max(last.since, at)
        if status in RESTING and status != self._status:
            self.rest.append(Rest(status=status, since=at))
        self._status = status
        if not status:
            self.left()

    def left(self) -> None:
        """Nothing runs any more."""
        self.asks_since, self._asks = None, False

    def model_called(self, event: ModelCalled) -> None:
        self.model_calls.append(event)
        if self.asks_since is not None and self.asks_since <= event.at:
            self.asks_since = None
