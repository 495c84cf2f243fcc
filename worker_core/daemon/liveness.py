"""Whether a worker makes progress: its event loop turns. That a process is there proves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

LOOK_EVERY_SECONDS: Final = 15.0
ANSWER_LIMIT_SECONDS: Final = 5.0
LOOKS_WITHIN_A_LIMIT: Final = 4
START_LIMIT_SECONDS: Final = 120.0
"""Until a new worker answers for the first time; it may wait for a keychain, or for a busy machine."""

_GAP: Final = 3.0
"""A look that comes so many intervals late was held up itself: the machine slept, or this process was stopped."""


class Liveness:
    """Of one worker, judged by what its control socket answers."""

    def __init__(self, *, limit_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit_seconds`: for which an event loop may stand still."""
        self.look_every_seconds = min(LOOK_EVERY_SECONDS, limit_seconds / LOOKS_WITHIN_A_LIMIT)
        self.answer_limit_seconds = min(ANSWER_LIMIT_SECONDS, self.look_every_seconds)
        self._limit = limit_seconds
        self._clock = clock
        self._last = self._looked = clock()
        self.is_up = False
        """It has answered."""

    def answered(self, silent_seconds: float) -> None:
        """It said for how long its loop surely did not turn."""
        self._look()
        self.is_up = True
        self._last = max(self._last, self._looked - silent_seconds)

    def was_silent(self) -> None:
        """It did not answer, or cannot be asked."""
        self._look()

    @property
    def still_seconds(self) -> float:
        """For how long no progress was seen."""
        return self._looked - self._last

    @property
    def is_hung(self) -> bool:
        return self.still_seconds >= (self._limit if self.is_up else max(self._limit, START_LIMIT_SECONDS))

    def _look(self) -> None:
        now = self._clock()
        if now - self._looked > _GAP * self.look_every_seconds:
            self._last = now
        self._looked = now
