"""What comes out of a sandbox: waiting for it, and no more of it than is bearable."""

from __future__ import annotations

import asyncio
import socket

from worker_core.sandbox.egress.answered import Answered


class TokenBucket:
    """So many at once, and so many a second after that.

    Args:
        burst: at once.
        per_second: after that.

    """

    def __init__(self, *, burst: int, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left = float(burst)
        self._counted_at: float | None = None

    async def wait(self, now: float) -> None:
        """Wait until one more may come. `now` is the loop's clock."""
        if self._counted_at is not None:
            self._left = min(self._burst, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        self._left -= 1
        if self._left < 0:
            await asyncio.sleep(-self._left / self._per_second)


async def readable(one: socket.socket | Answered) -> None:
    """Wait until something has come."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(one, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(one)
