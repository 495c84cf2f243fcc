"""Tasks that nobody waits for: begun, kept until they have ended, and ended with their owner."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any


class TaskKeeper:
    """Of one owner, on one event loop. A loop itself keeps only weak references to its tasks, so that one that nobody
    holds may vanish in the middle. What a task raises is told by the loop, as that of any task.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[Any]] = set()

    def __len__(self) -> int:
        """How many have not ended."""
        return len(self._tasks)

    def start(self, work: Awaitable[object], *, name: str = "") -> None:
        """Begin `work` on the running loop. `name`: of the task, for people."""
        task = asyncio.ensure_future(work)
        if name and isinstance(task, asyncio.Task):
            task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ended(self) -> None:
        """Until all have ended. Raises what the first that failed has raised."""
        await asyncio.gather(*self._tasks)

    def cancel(self) -> None:
        """Cancel all that have not ended."""
        for task in tuple(self._tasks):
            task.cancel()

    async def end(self, *, limit: timedelta) -> None:
        """Cancel them and wait until they have ended, for `limit` at most."""
        self.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=limit.total_seconds())


def retrieved(task: asyncio.Future[Any]) -> None:
    """A done callback for what may fail while nobody waits: else its error would be told as "never retrieved"."""
    if not task.cancelled():
        task.exception()
