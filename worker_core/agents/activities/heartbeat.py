"""Activity heartbeats: how Temporal learns that a call lives, and how the call learns that it was cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from temporalio import activity

INTERVAL_SECONDS = 1.0
"""Cancellation arrives with a heartbeat's answer, so this bounds how late a call hears of it."""


@contextlib.asynccontextmanager
async def heartbeating() -> AsyncIterator[None]:
    """Heartbeat while the body runs. The first is sent at once and marks the call as under way."""

    async def beat() -> None:
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
