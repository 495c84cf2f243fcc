"""Names of hosts, looked up in threads of their own.

The system's resolver cannot be interrupted, and a name whose server says nothing holds its thread for half a minute. So
no thread that others wait for is used, and each asker has a few of its own: who asks for a hundred such names waits in
his own line.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import field
from typing import Any, Final, TypeVar

from worker_core.basics.quick_dataclass import dataclass

_Result = TypeVar("_Result")

MOST_OF_ONE: Final = 4
"""Look-ups of one asker at the same time; more of them wait."""

MOST: Final = 64
"""Threads of all askers. An asker who has none then is refused: only names that nobody answers last so long."""


@dataclass(slots=True)
class _Question:
    ask: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    given_up: bool = False

    def settle(self, result: Any, error: Exception | None) -> None:
        def tell() -> None:
            if self.answer.done():
                return
            if error is None:
                self.answer.set_result(result)
            else:
                self.answer.set_exception(error)

        with contextlib.suppress(RuntimeError):  # its loop is gone
            self.loop.call_soon_threadsafe(tell)


@dataclass(slots=True)
class _Line:
    waiting: deque[_Question] = field(default_factory=deque)
    threads: int = 0


class Names:
    """May be used from any loop."""

    def __init__(self, *, most_of_one: int = MOST_OF_ONE, most: int = MOST) -> None:
        self._most_of_one = most_of_one
        self._most = most
        self._threads = 0
        self._lines: dict[Hashable, _Line] = {}
        self._lock = threading.Lock()

    async def look_up(self, ask: Callable[[], _Result], *, asker: Hashable) -> _Result:
        """What `ask` returns, which is called in a thread and may block. A cancelled one is left to its thread.

        Args:
            ask: asks the resolver.
            asker: who waits for it, such as the id of an execution.

        Raises:
            OSError: too many are under way that nobody answers; or what `ask` raises.
        """
        loop = asyncio.get_running_loop()
        question = _Question(ask, loop, loop.create_future())
        with self._lock:
            line = self._lines.setdefault(asker, _Line())
            line.waiting.append(question)
            if not self._attended(asker, line):
                line.waiting.pop()
                if not line.threads:
                    del self._lines[asker]
                raise OSError("too many names are being looked up that no name server answers")
        try:
            return await question.answer  # type: ignore[no-any-return]
        finally:
            question.given_up = True

    def _attended(self, asker: Hashable, line: _Line) -> bool:
        """Start another thread where one is due. False: nobody would ever come to the line."""
        if line.threads < self._most_of_one and self._threads < self._most:
            try:
                threading.Thread(target=self._work, args=(asker, line), name="names", daemon=True).start()
            except RuntimeError:  # no more threads
                return line.threads > 0
            line.threads += 1
            self._threads += 1
        return line.threads > 0

    def _work(self, asker: Hashable, line: _Line) -> None:
        while True:
            with self._lock:
                while line.waiting and line.waiting[0].given_up:
                    line.waiting.popleft()
                if not line.waiting:
                    line.threads -= 1
                    self._threads -= 1
                    if not line.threads:
                        del self._lines[asker]
                    return
                question = line.waiting.popleft()
            try:
                result = question.ask()
            except Exception as error:  # noqa: BLE001 - whoever asked hears of it
                question.settle(None, error)
            else:
                question.settle(result, None)


NAMES: Final = Names()
"""For the whole process."""
