"""Pauses that end by themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from worker_core.basics.tasks import TaskKeeper
from worker_core.errors import KubiyaError

log = logging.getLogger(__name__)

RECHECK: Final = timedelta(hours=1)
"""A sleeping machine's timers stand still: a long pause looks at the wall clock this often."""


class TimedPause:
    """Calls `resume` when its time has come. Belongs to one event loop."""

    def __init__(self, *, resume: Callable[[], Awaitable[None]]) -> None:
        self._resume = resume
        self._until: datetime | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks = TaskKeeper()

    @property
    def until(self) -> datetime | None:
        return self._until

    def set(self, until: datetime | None) -> None:
        """From now on until then (aware); None: whatever pause there is, it does not end by itself."""
        self._until = until
        self.look()

    def look(self) -> None:
        """Whether it is time; to be called as well when the machine wakes."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._until is not None:
            left = min(max(self._until - datetime.now(UTC), timedelta(0)), RECHECK)
            self._alarm = asyncio.get_running_loop().call_later(left.total_seconds(), self._rings)

    def close(self) -> None:
        self.set(None)
        self._tasks.cancel()

    def _rings(self) -> None:
        if self._until is not None and datetime.now(UTC) >= self._until:
            self._tasks.start(self._go_on(), name="end of a pause")
        else:
            self.look()

    async def _go_on(self) -> None:
        try:
            await self._resume()
        except KubiyaError as error:
            log.error("The pause is over, but the worker could not be resumed: %s", error.sentence)
