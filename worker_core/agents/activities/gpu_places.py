"""How many tool calls are given GPUs at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from worker_core.basics.durations import duration_as_typed
from worker_core.basics.threads import uninterrupted

if TYPE_CHECKING:
    from worker_core.settings import Settings


def longest_wait(settings: Settings) -> timedelta:
    """Of a call for a place with a GPU."""
    return timedelta() if settings.gpu == "off" or settings.gpu_calls is None else settings.tool_timeout


class NoPlace(Exception):
    """None became free in time. Nothing was run."""


class GpuPlaces:
    """How many calls have GPUs at once. Used in one loop."""

    def __init__(self) -> None:
        self._taken = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def place(self, settings: Callable[[], Settings], *, say: Callable[[str], None]) -> AsyncIterator[None]:
        """Hold a place meanwhile. A limit that was raised is seen when a place becomes free.

        Args:
            settings: as they are now.
            say: tells whoever looks on that the call waits.

        Raises:
            NoPlace: after `longest_wait`; the message is a sentence for the model.
        """

        def is_free() -> bool:
            most = settings().gpu_calls
            return most is None or self._taken < most

        async with self._freed:
            if not is_free():
                say(f"Waits for a GPU. Calls that have one now: {self._taken}.")
                limit = longest_wait(settings())
                try:
                    async with asyncio.timeout(limit.total_seconds()):
                        await self._freed.wait_for(is_free)
                except TimeoutError:
                    raise NoPlace(
                        f"Nothing was run: for {duration_as_typed(limit)}, other calls had all places with a GPU. Do "
                        "something else meanwhile, or try again later."
                    ) from None
            self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            await uninterrupted(self._tell())

    async def _tell(self) -> None:
        async with self._freed:
            self._freed.notify_all()
