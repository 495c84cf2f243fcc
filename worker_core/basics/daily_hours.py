"""Hours of each day, by the clock on the wall: `22:00-07:00`."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded

_WRITTEN: Final = re.compile(r"\s*(\d{1,2}):(\d\d)\s*[-–]\s*(\d{1,2}):(\d\d)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class DailyHours:
    """From one minute to another of the same day, or of the next where the second comes first."""

    begin: time
    end: time
    """The first minute that is not of them."""

    @classmethod
    def read(cls, text: str) -> DailyHours:
        """As somebody writes them.

        Raises:
            ValueError: they are none; the message goes on from "X is Y; ".
        """
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(worded("hours are written as 22:00-07:00"))
        try:
            begin, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
        except ValueError:
            raise ValueError(worded("hours are written as 22:00-07:00")) from None
        if begin == end:
            raise ValueError(worded("they end when they begin"))
        return cls(begin, end)

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"

    def hold(self, now: datetime) -> bool:
        """Whether `now`, as the clock on the wall shows it, is within them."""
        clock = now.time()
        if self.begin < self.end:
            return self.begin <= clock < self.end
        return clock >= self.begin or clock < self.end

    def left(self, now: datetime) -> timedelta:
        """How long they still hold, 0 where they do not.

        Args:
            now: of this machine's time zone. Where its clocks are changed in between, what is left is longer or
                shorter by that.
        """
        if not self.hold(now):
            return timedelta()
        over = datetime.combine(now.date(), self.end)
        if over <= now.replace(tzinfo=None):
            over += timedelta(days=1)
        return max(over.replace(tzinfo=now.tzinfo) - now, timedelta(seconds=1))
