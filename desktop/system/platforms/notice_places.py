"""Where notifications are: at which server, by which of its numbers. Knows neither a bus nor Qt.

A number is told by the answer to `Notify`. A server that is slow may show one, and tell what became of it, before it
answers: that is kept until the number is known, a while long.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

KNOWN: Final = 200
"""Notifications that are thought to be on the screen: some servers never say that one has gone."""

EARLY: Final = 64
"""Signals that are kept until their numbers are known; others' are among them, and the oldest go first."""

EARLY_SECONDS: Final = 60.0
"""What was picked longer ago than that is not done any more."""


class NoticePlace(NamedTuple):
    """`server` by its unique name; the number is its own."""

    server: str
    number: int


class Fate(NamedTuple):
    """What became of one: `picked` is the action's name; None: it was closed."""

    picked: str | None
    token: str = ""


class _Early(NamedTuple):
    at: float
    place: NoticePlace
    fate: Fate


class NoticePlaces:
    """Keys of notifications by their places. Of one thread."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now` in seconds, of any beginning."""
        self._now = now
        self._up: dict[str, None] = {}
        """Keys of those that are to be on the screen, as far as is known; the oldest first."""

        self._shown: dict[NoticePlace, tuple[str, int]] = {}
        """Their keys, and the turns they were shown in."""

        self._turn = 0
        self._unanswered: dict[int, str] = {}
        """Turns that no server has answered, with their keys."""

        self._early: deque[_Early] = deque(maxlen=EARLY)

    def want(self, key: str) -> None:
        """It is to be on the screen."""
        self._up[key] = None
        while len(self._up) > KNOWN:
            self.forget(next(iter(self._up)))

    def ask(self, key: str) -> int:
        """A server is asked to show it. Returns the turn: of two with one key, that of the later turn stays."""
        self._turn += 1
        self._unanswered[self._turn] = key
        return self._turn

    def refused(self, turn: int) -> None:
        """No answer will come."""
        self._unanswered.pop(turn, None)
        if not self._unanswered:
            self._early.clear()

    def is_there(self, key: str, turn: int, place: NoticePlace) -> tuple[list[NoticePlace], list[Fate]]:
        """A server shows it; once is enough. A number of 0 is none: notify-osd's dialogs have no other.

        Returns:
            Places to close at, and what became of it before the answer came.
        """
        same = [one for one in self.of(key) if one.server == place.server and one != place]
        older = [one for one in same if self._shown[one][1] < turn]
        for one in older:
            del self._shown[one]
        fates = self._take_early(place) if place.number else []
        self.refused(turn)
        if not place.number:
            return older, fates
        if len(older) < len(same):
            return [*older, place], fates
        self._shown[place] = (key, turn)
        return older, fates

    def early(self, place: NoticePlace, fate: Fate) -> None:
        """What became of one at a place that is nobody's yet; it is kept where an answer is still to come."""
        if self._unanswered:
            self._early.append(_Early(self._now(), place, fate))

    def key(self, place: NoticePlace) -> str | None:
        """None: it is not known, or another program's."""
        return self._shown[place][0] if place in self._shown else None

    def of(self, key: str) -> list[NoticePlace]:
        """All places of one."""
        return [place for place, (shown, _) in self._shown.items() if shown == key]

    def is_wanted(self, key: str) -> bool:
        return key in self._up

    def missing(self, server: str) -> list[str]:
        """Keys of those that are to be on the screen, and that a server does not have."""
        there = {key for place, (key, _) in self._shown.items() if place.server == server}
        return [key for key in self._up if key not in there]

    def closed(self, place: NoticePlace) -> None:
        """It is there no more; where it is nowhere else, and is not being shown anew, it is over."""
        if place not in self._shown:
            return
        key, _ = self._shown.pop(place)
        if not self.of(key) and key not in self._unanswered.values():
            self._up.pop(key, None)

    def forget(self, key: str) -> list[NoticePlace]:
        """It is not to be on the screen any more. Returns where it was."""
        self._up.pop(key, None)
        places = self.of(key)
        for place in places:
            del self._shown[place]
        return places

    def clear(self) -> None:
        """The bus is gone, and with it what was there."""
        self._up.clear()
        self._shown.clear()
        self._unanswered.clear()
        self._early.clear()

    def _take_early(self, place: NoticePlace) -> list[Fate]:
        since = self._now() - EARLY_SECONDS
        here = [one for one in self._early if one.place == place]
        self._early = deque((one for one in self._early if one.place != place), EARLY)
        return [one.fate for one in here if one.fate.picked is None or one.at >= since]
