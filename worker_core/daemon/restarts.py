"""When a crashed worker is started again: never not at all, but later each time, until one of them ran well."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from worker_core.network.backoff import Backoff

HEALTHY_AFTER_SECONDS: Final = 600.0
"""A worker that ran so long was well: crashes before it do not count any more."""


class Restarts:
    """Of one daemon."""

    def __init__(
        self, *, first_seconds: float, limit_seconds: float, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        """`first_seconds` is the longest wait after a first crash; it doubles up to the limit."""
        self._backoff = Backoff(
            first=timedelta(seconds=first_seconds), limit=timedelta(seconds=limit_seconds), uniform=uniform
        )

    def delay_seconds(self, *, ran_seconds: float) -> float:
        """Until the next start, after one that ran so long has crashed."""
        if ran_seconds >= HEALTHY_AFTER_SECONDS:
            self._backoff.reset()
        return self._backoff.next_delay().total_seconds()
