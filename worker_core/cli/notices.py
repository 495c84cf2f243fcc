"""A worker on a machine that its provider takes away: it drains for as long as is left, then cancels what runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from worker_core.network.termination import METADATA_SERVICE, Cloud, notice_of
from worker_core.snapshot import StopMode

log = logging.getLogger(__name__)

KEPT_FOR_LEAVING: Final = timedelta(seconds=10)
"""Of what is left: cancelling, the last events, signing off."""


class Stoppable(Protocol):
    """What of an engine is needed."""

    async def stop(self, *, mode: StopMode) -> None: ...


@contextmanager
def noticing(
    engine: Stoppable, cloud: Cloud, *, drain_timeout: Callable[[], timedelta], service: str = METADATA_SERVICE
) -> Iterator[None]:
    """Inside the block the provider is asked; on the event loop that runs.

    Args:
        engine: is told to leave.
        cloud: whose metadata service there is; `none`: nothing is asked.
        drain_timeout: asked once a notice came.
        service: where it is.
    """
    if cloud == "none":
        yield
        return
    task = asyncio.create_task(_leave_on_notice(engine, cloud, drain_timeout, service), name="termination notice")
    try:
        yield
    finally:
        task.cancel()


async def _leave_on_notice(
    engine: Stoppable, cloud: Cloud, drain_timeout: Callable[[], timedelta], service: str
) -> None:
    notice = await notice_of(cloud, service=service)
    limit = drain_timeout()
    left = limit if notice.at is None else notice.at - datetime.now(UTC) - KEPT_FOR_LEAVING
    may = max(timedelta(0), min(limit, left))
    log.warning("%s: takes nothing new, running turns may end within %.0f s.", notice.why, may.total_seconds())
    await engine.stop(mode=StopMode.DRAIN)
    if may < limit:
        await asyncio.sleep(may.total_seconds())
        log.warning("%s now: cancels what still runs.", notice.why)
        await engine.stop(mode=StopMode.CANCEL)
