"""Time that nobody sets, and what time of day it is at the least.

A machine's clock may be a day or a century ahead for a while: an empty battery, a virtual machine that was resumed, a
hand in the settings. What is removed on its word then is gone when it is put right.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

TRUSTED_AFTER_SECONDS: Final = 3600.0
"""A clock that nobody sets for so long is believed where there is no other to hold it against."""

_DRIFT_SECONDS: Final = 60.0
"""More between two looks is no clock that runs fast: it was set."""

FIRST_TIME: Final = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
"""Before this program was written: what is dated so was made while the machine did not know the time."""


def steady() -> float:
    """Seconds since some moment of the past: they go on while the machine sleeps, and nobody sets them."""
    if sys.platform == "linux":
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
    elif sys.platform == "darwin":
        now = time.clock_gettime(time.CLOCK_MONOTONIC)  # `time.monotonic` stands still there in sleep
    else:
        now = time.monotonic()
    return now


def follow_time_zone() -> None:
    """Go by the time zone that the machine has now.

    The C library of Linux reads it once: whoever travels would have yesterday's quiet hours, and days that begin at
    another hour.
    """
    if sys.platform != "win32":
        time.tzset()


def last_used(path: Path, now: float) -> float:
    """When a file or folder was changed last. What is dated before any time that can be is dated anew: to `now`.

    Raises:
        OSError: it is not there, or cannot be dated.
    """
    used = path.lstat().st_mtime
    if used >= FIRST_TIME:
        return used
    if os.utime in os.supports_follow_symlinks:  # Windows has links for few, and no call that would date one
        os.utime(path, (now, now), follow_symlinks=False)
    return now


class LeastTime:
    """What time of day it is at the least, for whoever removes what is old.

    The earlier one of the machine's clock and another's. Without another, the machine's, once nobody has set it for an
    hour.
    """

    def __init__(
        self,
        *,
        other: Callable[[], datetime | None],
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady,
    ) -> None:
        """Nothing is asked yet but the machine.

        Args:
            other: another machine's clock; None: it has not said.
            wall: this machine's, in seconds since the epoch.
            steady: seconds that nobody sets.
        """
        self._other, self._wall, self._steady = other, wall, steady
        self._since = (wall(), steady())

    def now(self) -> float | None:
        """In seconds since the epoch. None: nobody knows it well enough."""
        wall, passed = self._wall(), self._steady() - self._since[1]
        if abs(wall - self._since[0] - passed) > _DRIFT_SECONDS + passed / 1000:
            self._since, passed = (wall, self._steady()), 0.0
        if (other := self._other()) is not None:
            return min(wall, other.timestamp())
        return wall if passed >= TRUSTED_AFTER_SECONDS else None
