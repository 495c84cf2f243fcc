"""Says in time that the API key will end. Only keys that carry their end (JSON web tokens) can be watched.

Nothing is asked: the date stands in the key. It is not proof of anything (the signature is not looked at); the control
plane decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from desktop.look.language import tr
from desktop.look.wording import moment_text
from desktop.notices.action import Action
from desktop.notices.notice import Level, Notice
from worker_core.secrets import Secret, expires_at

WARNINGS: Final = (timedelta(days=7), timedelta(days=1), timedelta(0))
_KEY: Final = "key"
"""The thing that notices tell of."""

LONGEST_WAIT: Final = timedelta(days=1)
"""Timers do not count the time that a machine sleeps, so they are set anew once a day."""


class KeyWatch:
    """One key at a time."""

    def __init__(
        self,
        *,
        say: Callable[[Notice], None],
        told: Callable[[], str],
        remember: Callable[[str], None],
        stand: Callable[[str, Notice | None], None] = lambda _thing, _notice: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`told` gives back what was given to `remember` last, also over a restart: each warning comes once. `stand`
        hears at each look which of them holds.
        """
        self._say = say
        self._stand = stand
        self._told = told
        self._remember = remember
        self._now = now
        self._ends: datetime | None = None
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, key: Secret) -> None:
        """This key from now on."""
        self._ends = expires_at(key)
        self.look()

    def look(self) -> None:
        """Warn where it is time to, and look again when it is next."""
        self.close()
        if self._ends is None:
            self._stand(_KEY, None)
            return
        left = self._ends - self._now()
        due = [warning for warning in WARNINGS if left <= warning]
        if due:
            mark = f"{self._ends.isoformat()} {min(due).days}"
            if self._told() != mark:
                self._remember(mark)
                self._say(_notice(self._ends, left))
        self._stand(_KEY, _notice(self._ends, left) if due else None)
        coming = [left - warning for warning in WARNINGS if left > warning]
        if coming:
            wait = min(min(coming) + timedelta(seconds=1), LONGEST_WAIT)
            self._timer = asyncio.get_running_loop().call_later(wait.total_seconds(), self.look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _notice(ends: datetime, left: timedelta) -> Notice:
    day = moment_text(ends)
    if left <= timedelta(0):
        title, body = (
            tr("Your API key has ended"),
            tr("It ended on {day}. Make a new one on the control plane.", day=day),
        )
    else:
        title = tr("Your API key ends soon")
        body = tr("It ends on {day}. Make a new one on the control plane before that.", day=day)
    return Notice(
        title=title, body=body, level=Level.PROBLEM, action=Action.SETTINGS, target="key", about=_KEY, stands=True
    )
