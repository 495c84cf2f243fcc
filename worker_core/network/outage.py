"""How an outage is logged: its beginning, a sign of life each minute, and its end with its length."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta

_REPEAT_SECONDS = 60.0


class OutageLog:
    """First failure WARNING with its cause, then at most one line a minute, one INFO on recovery."""

    def __init__(self, *, log: logging.Logger, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`what` names the loop at the beginning of each line, such as `Heartbeats of queue default`."""
        self._log = log
        self._what = what
        self._clock = clock
        self._began_at: float | None = None
        self._said_at = 0.0
        self._failures = 0

    def failed(self, sentence: str, *, retry_in_seconds: float) -> None:
        """A try failed; the next one comes in `retry_in_seconds`."""
        now = self._clock()
        self._failures += 1
        if self._began_at is None:
            self._began_at = self._said_at = now
            self._log.warning("%s: %s Next try in %.1f s.", self._what, sentence, retry_in_seconds)
        elif now - self._said_at >= _REPEAT_SECONDS:
            self._said_at = now
            self._log.warning(
                "%s: still failing after %s and %d tries. %s Next try in %.1f s.",
                self._what, self._length(now), self._failures, sentence, retry_in_seconds,
            )  # fmt: skip

    def recovered(self) -> timedelta | None:
        """A try succeeded. Returns the length of the outage, or None where there was none."""
        if self._began_at is None:
            return None
        now = self._clock()
        length = timedelta(seconds=now - self._began_at)
        self._log.info("%s: working again after %s and %d failed tries.", self._what, self._length(now), self._failures)
        self._began_at = None
        self._failures = 0
        return length

    def _length(self, now: float) -> str:
        return str(timedelta(seconds=round(now - (self._began_at or now))))
