"""Waiting between tries: exponential with full jitter above a floor."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

SPREAD = 0.1
"""Of an interval."""


def spread(interval: timedelta, *, uniform: Callable[[float, float], float] = random.uniform) -> timedelta:
    """A little less than an interval, each time another one: a fleet that began together does not stay in step."""
    return interval * uniform(1 - SPREAD, 1)


class Backoff:
    """Delays between `floor` and a ceiling that doubles from `first` up to `limit`.

    Jitter over the whole range keeps a fleet that lost its server from coming back in step.
    """

    def __init__(
        self,
        *,
        first: timedelta = timedelta(seconds=1),
        limit: timedelta = timedelta(seconds=60),
        floor: timedelta | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`floor` is half of `first` by default. `uniform` gives a random number between two, in seconds."""
        self._first = first.total_seconds()
        self._limit = limit.total_seconds()
        self._floor = self._first / 2 if floor is None else floor.total_seconds()
        self._uniform = uniform
        self.attempts = 0

    def next_delay(self, *, retry_after_seconds: float | None = None) -> timedelta:
        """How long to wait before the next try; at least what the server asked for."""
        ceiling = min(self._first * 2.0 ** min(self.attempts, 60), self._limit)
        self.attempts += 1
        delay = self._uniform(min(self._floor, ceiling), ceiling)
        return timedelta(seconds=max(delay, retry_after_seconds or 0.0))

    def reset(self) -> None:
        """Begin again with the shortest delay."""
        self.attempts = 0
