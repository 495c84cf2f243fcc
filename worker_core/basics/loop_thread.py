"""A thread with a stock event loop of its own: for all MCP sessions, for the runtime `claude_code`, for the playground.

Their SDKs need anyio's kind of loop, decode what strangers send, and take half a second to import: none of that belongs
on the engine's loop, which may be Qt's. The playground goes on while a terminal waits for its user.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from typing import Any, TypeVar

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_P = TypeVar("_P")

AFTER_CANCEL = timedelta(seconds=2)
"""How long a cancelled call waits for what it started; the rest of it ends behind our back."""

CLOSE_LIMIT = timedelta(seconds=5)

LOOK_EVERY_SECONDS = 0.25
"""Windows delivers Ctrl-C only between two waits of the main thread."""


class ThreadClosed(Exception):
    """The thread ends: what was asked of it was cancelled."""


class TookTooLong(Exception):
    """A call did not end within its limit; the text is a sentence."""


class LoopThread:
    """Started at the first call; may be closed and used again. Children that are tied to the thread live until then."""

    def __init__(self, name: str) -> None:
        """`name`: of the thread, for people."""
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def is_running(self) -> bool:
        return self._loop is not None

    async def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine there. Cancelling this cancels that, and waits a moment for it.

        Raises:
            ThreadClosed: the thread is being closed.
            RuntimeError: no thread can be started.
        """
        here = asyncio.get_running_loop()
        over = asyncio.Event()
        begun: list[asyncio.Task[_T]] = []

        def ended(task: asyncio.Task[_T]) -> None:
            if not task.cancelled():
                task.exception()  # whoever was cancelled meanwhile does not ask for it
            with contextlib.suppress(RuntimeError):  # our loop is gone
                here.call_soon_threadsafe(over.set)

        def begin() -> None:
            begun.append(asyncio.ensure_future(work))
            begun[0].add_done_callback(ended)

        def cancel() -> None:
            begun[0].cancel()

        loop, _ = self._post(lambda loop: loop.call_soon_threadsafe(begin), work)
        try:
            await over.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(RuntimeError, TimeoutError):
                loop.call_soon_threadsafe(cancel)
                async with asyncio.timeout(AFTER_CANCEL.total_seconds()):
                    await over.wait()
            raise
        if begun[0].cancelled():
            raise ThreadClosed
        return begun[0].result()

    def call(self, work: Coroutine[Any, Any, _T], *, limit: timedelta) -> _T:
        """Run a coroutine there and block for its result.

        Raises:
            TookTooLong: it took longer than `limit`; it is cancelled.
            KeyboardInterrupt: Ctrl-C; likewise.
            ThreadClosed: the thread is being closed.
        """
        _, future = self._post(lambda loop: asyncio.run_coroutine_threadsafe(work, loop), work)
        try:
            return _result(future, limit)
        except CancelledError:
            raise ThreadClosed from None
        finally:
            future.cancel()

    def close(self) -> None:
        """End the thread; what still runs in it is cancelled. Blocks for a moment: call it from another thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(CLOSE_LIMIT.total_seconds())
            if thread.is_alive():
                log.warning("The thread %r did not end in time; it is left behind.", self._name)

    def _post(
        self, post: Callable[[asyncio.AbstractEventLoop], _P], work: Coroutine[Any, Any, Any]
    ) -> tuple[asyncio.AbstractEventLoop, _P]:
        with self._lock:  # whatever is posted comes before the stop
            if self._loop is None:
                loop = _new_loop()
                thread = threading.Thread(target=_live, args=(loop,), name=self._name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    loop.close()
                    work.close()
                    raise
                self._loop, self._thread = loop, thread
            return self._loop, post(self._loop)


def _result(future: Future[_T], limit: timedelta) -> _T:
    left = limit.total_seconds()
    while True:
        try:
            return future.result(min(left, LOOK_EVERY_SECONDS))
        except FutureTimeout:
            if future.done():  # it raised a TimeoutError of its own
                raise
            left -= LOOK_EVERY_SECONDS
            if left <= 0:
                raise TookTooLong(f"It took longer than {limit.total_seconds():g} s.") from None


def _new_loop() -> asyncio.AbstractEventLoop:
    # Not by the policy: where the engine runs on Qt, that one makes Qt's loops.
    if sys.platform == "win32":
        return asyncio.ProactorEventLoop()
    return asyncio.SelectorEventLoop()


def _live(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        if left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=CLOSE_LIMIT.total_seconds() / 2))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
