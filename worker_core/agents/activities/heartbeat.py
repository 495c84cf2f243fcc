"""Activity heartbeats: how Temporal learns that a call lives, and how the call learns that it was cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from temporalio import activity

INTERVAL_SECONDS = 1.0
"""Cancellation arrives with a heartbeat's answer, so this bounds how late a call hears of it."""


class Beats:
    """The heartbeats of one attempt."""

    def __init__(self) -> None:
        self._tell: object = "under way"
        self.began = False
        """One was sent: Temporal's SDK holds the next back for a while."""

        self._since = time.monotonic()

    def now(self) -> datetime:
        """By the clock that workflows have, which is the server's: this machine's may be wrong."""
        return activity.info().started_time + timedelta(seconds=time.monotonic() - self._since)

    def send(self) -> None:
        """Now."""
        self.began = True
        activity.heartbeat(self._tell)

    def tell(self, details: object) -> None:
        """Send one now that holds this, for an attempt after this one; so do all that follow."""
        self._tell = details
        self.send()


@contextlib.asynccontextmanager
async def heartbeating(*, marked: bool = False) -> AsyncIterator[Beats]:
    """Heartbeat while the body runs.

    Args:
        marked: the first is sent at once, so that whoever loses this call knows that it was under way. Else the first
            comes after the interval: a short call has none, and each is a write of the server's.
    """
    beats = Beats()

    async def beat() -> None:
        if not marked:
            await asyncio.sleep(INTERVAL_SECONDS)
        while True:
            beats.send()
            await asyncio.sleep(INTERVAL_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield beats
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
