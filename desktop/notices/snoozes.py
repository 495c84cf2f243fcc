"""Things that the person has put off: until when, over restarts. Knows no Qt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

LONGEST_WAIT: Final = timedelta(minutes=10)
"""Timers do not count the time that a machine sleeps, so they are set anew that often while something is put off."""

MOST: Final = 200
"""That are kept; the ones that come back first go."""


class Alarm(Protocol):
    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Alarm]
"""Calls after so many seconds, unless it is cancelled."""


def on_the_loop(seconds: float, call: Callable[[], None]) -> Alarm:
    """By the running loop. Raises RuntimeError: there is none."""
    return asyncio.get_running_loop().call_later(seconds, call)


class Snoozes:
    """Until when each thing is put off."""

    def __init__(self, *, now: Callable[[], datetime], later: Later, back: Callable[[list[str]], None]) -> None:
        """`back` hears of those whose time is over; they are put off no more by then."""
        self._until: dict[str, datetime] = {}
        self._now, self._later, self._back = now, later, back
        self._keep: Callable[[str], object] = lambda _: None
        self._alarm: Alarm | None = None

    def keep(self, kept: str, write: Callable[[str], object]) -> None:
        """Go on with what was given to `write` last, from the first look on."""
        for line in kept.splitlines():
            when, _, thing = line.partition("\t")
            try:
                until = datetime.fromisoformat(when)
            except ValueError:
                continue
            if thing and until.tzinfo is not None:
                self._until[thing] = until
        self._keep = write

    def until(self, thing: str) -> datetime | None:
        """None: it is not put off."""
        return self._until.get(thing)

    def put_off(self, thing: str, until: datetime | None) -> None:
        """None takes it up again; `back` does not hear of it."""
        self._until.pop(thing, None)
        if until is not None:
            self._until[thing] = until
        self._changed()

    def forget(self, wanted: Callable[[str], bool]) -> None:
        """All but those that are wanted."""
        self._until = {thing: until for thing, until in self._until.items() if wanted(thing)}
        self._changed()

    def look(self) -> None:
        """Bring back what it is time for, and ring when it is next."""
        now = self._now()
        over = [thing for thing, until in self._until.items() if until <= now]
        if over:
            for thing in over:
                del self._until[thing]
            self._changed()
            self._back(over)
        elif self._alarm is None:
            self._arm()

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _changed(self) -> None:
        kept = sorted(self._until.items(), key=lambda one: one[1])[-MOST:]
        self._until = dict(kept)
        self._keep("".join(f"{until.isoformat(timespec='seconds')}\t{thing}\n" for thing, until in kept))
        self._arm()

    def _arm(self) -> None:
        self.close()
        if self._until:
            left = min(self._until.values()) - self._now()
            wait = min(max(left, timedelta(0)) + timedelta(seconds=1), LONGEST_WAIT)
            self._alarm = self._later(wait.total_seconds(), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.look()
