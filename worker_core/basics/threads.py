"""What runs in a thread of asyncio's, and what has to come to its end."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_Given = TypeVar("_Given")


def in_thread(work: Callable[[], _Given]) -> asyncio.Future[_Given]:
    """Begin something in a thread, where nothing holds it back.

    It is no task, as one of `asyncio.to_thread` would be: the end of a loop cancels every task, and then nobody would
    learn what the thread began.
    """
    return asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, work)


async def uninterrupted(work: Coroutine[Any, Any, _Given]) -> _Given:
    """Let something short come to its end even if we are cancelled meanwhile, however often; then be cancelled."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
