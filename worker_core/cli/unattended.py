"""Says to whoever waits for an execution that no worker is there to take it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from worker_core.basics.plain import one_line
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.errors import KubiyaError

PATIENCE: Final = timedelta(seconds=3)
"""A worker that is there has taken an execution by then; one that is busy counts as a worker all the same."""


@asynccontextmanager
async def noticed(
    client: ControlPlaneClient, execution_id: str, queue_id: str, *, say: Callable[[str], None]
) -> AsyncIterator[None]:
    """Inside the block, `say` hears a sentence once where the execution waits and its queue has no worker."""
    task = asyncio.create_task(_look(client, execution_id, queue_id, say), name="unattended")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _look(client: ControlPlaneClient, execution_id: str, queue_id: str, say: Callable[[str], None]) -> None:
    await asyncio.sleep(PATIENCE.total_seconds())
    with suppress(KubiyaError):  # it is a remark: what is wrong with the control plane, the stream says
        record = await client.get_execution(execution_id)
        if record.status != "pending":
            return
        queue = await client.queue(queue_id)
        if queue.active_workers == 0:
            name = one_line(queue.name, 60) or queue_id
            say(
                f"No worker serves the queue {name} now. The execution waits until one does: "
                f"kubiya-worker start --queue-id {queue_id}"
            )
