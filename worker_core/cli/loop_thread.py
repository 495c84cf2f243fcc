"""An event loop in a thread of its own, for what must go on while the terminal waits for its user."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from typing import Any, Final, TypeVar

from worker_core.errors import KubiyaError

_T = TypeVar("_T")

CLOSE_LIMIT: Final = timedelta(seconds=10)
_LOOK_EVERY_SECONDS: Final = 0.25
"""Windows delivers Ctrl-C only between two waits of the main thread."""


class LoopThread:
    """Runs coroutines for other threads. Children that are tied to the thread live until `close`."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, _T], *, limit: timedelta) -> _T:
        """Run it there and wait for the result.

        Raises:
            KubiyaError: it took longer than `limit`; it is cancelled.
            KeyboardInterrupt: Ctrl-C; likewise.
        """
        future: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        left = limit.total_seconds()
        try:
            while True:
                try:
                    return future.result(min(left, _LOOK_EVERY_SECONDS))
                except FutureTimeout:
                    if future.done():  # it raised a TimeoutError of its own
                        raise
                    left -= _LOOK_EVERY_SECONDS
                    if left <= 0:
                        raise KubiyaError(f"It took longer than {limit.total_seconds():g} s.") from None
        finally:
            future.cancel()

    def close(self) -> None:
        """End the thread; what still runs in it is cancelled."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_LIMIT.total_seconds())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()
