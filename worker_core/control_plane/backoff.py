"""Waiting between tries: exponential with full jitter above a floor."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays in seconds: between `floor` and a ceiling that doubles from `first` up to `limit`.

    Jitter over the whole range keeps a fleet that lost its server from coming back in step.
    """

    def __init__(
        self,
        *,
        first_seconds: float = 1.0,
        limit_seconds: float = 60.0,
        floor_seconds: float | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`floor_seconds` is half of `first_seconds` by default."""
        self._first = first_seconds
        self._limit = limit_seconds
        self._floor = first_seconds / 2 if floor_seconds is None else floor_seconds
        self._uniform = uniform
        self.attempts = 0

    def next_delay(self, *, retry_after_seconds: float | None = None) -> float:
        """Seconds to wait before the next try; at least what the server asked for."""
        ceiling = min(self._first * 2.0 ** min(self.attempts, 60), self._limit)
        self.attempts += 1
        delay = self._uniform(min(self._floor, ceiling), ceiling)
        return delay if retry_after_seconds is None else max(delay, retry_after_seconds)

    def reset(self) -> None:
        """Begin again with the shortest delay."""
        self.attempts = 0
