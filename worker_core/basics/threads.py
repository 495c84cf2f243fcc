"""What runs in a thread of asyncio's, and what has to come to its end."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_Given = TypeVar("_Given")


def in_thread(work: Callable[[], _Given]) -> asyncio.Future[_Given]:
    """Begin something in a thread, where nothing holds it back.

    It is no task, as one of `asyncio.to_thread` would be: the end of a loop cancels every task, and then nobody would
    learn what the thread began.
    """
    return asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, work)


async def apart(work: Callable[[], _Given], *, name: str) -> _Given:
    """Do something in a thread of its own that nobody waits for at the program's end: it may hang."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Given] = loop.create_future()

    def tell(outcome: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(lambda: None if done.done() else outcome())

    def run() -> None:
        try:
            found = work()
        except BaseException as error:  # noqa: BLE001 -- whoever waits is told
            refused = error
            tell(lambda: done.set_exception(refused))
        else:
            tell(lambda: done.set_result(found))

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done


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
