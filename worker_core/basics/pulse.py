"""Whether an event loop still turns, asked from another thread and only when somebody wants to know.

It is the one notion of progress that the status server, the control socket and service managers are answered by: a loop
that turns can be steered, whatever the network does; one that does not turn is beyond help from inside.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable


class Pulse:
    """Nothing ticks: each question leaves a call on the loop behind, and the next one sees whether it was made.

    Several threads may ask: a silence that one of them noticed counts for all.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._loop = loop
        self._clock = clock
        self._asked: float | None = None

    def silent_seconds(self) -> float:
        """For how long the loop surely did not turn; 0 where it did since the last question."""
        now, asked = self._clock(), self._asked
        if asked is not None:
            return now - asked
        self._asked = now
        with contextlib.suppress(RuntimeError):  # the loop is closed: then nothing answers
            self._loop.call_soon_threadsafe(self._answer)
        return 0.0

    def _answer(self) -> None:
        self._asked = None
