"""Activity heartbeats: how Temporal learns that a call lives, and how the call learns that it was cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from temporalio import activity

INTERVAL_SECONDS = 1.0
"""Cancellation arrives with a heartbeat's answer, so this bounds how late a call hears of it."""


@contextlib.asynccontextmanager
async def heartbeating(*, marked: bool = False) -> AsyncIterator[None]:
    """Heartbeat while the body runs.

    Args:
        marked: the first is sent at once, so that whoever loses this call knows that it was under way. Else the first
            comes after the interval: a short call has none, and each is a write of the server's.
    """

    async def beat() -> None:
        if not marked:
            await asyncio.sleep(INTERVAL_SECONDS)
        while True:
            activity.heartbeat("under way")
            await asyncio.sleep(INTERVAL_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
