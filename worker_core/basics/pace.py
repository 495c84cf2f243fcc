"""Work on the loop whose amount a stranger decides: it takes a part of the time, whatever comes."""

from __future__ import annotations

import asyncio
import time
from typing import Final

AT_ONCE_SECONDS: Final = 0.005
"""Work that nobody notices: the chunks of an ordinary stream take a tenth of it."""

REST: Final = 4.0
"""Times the work's own duration that others get then: a fifth of the loop is all that one stream takes."""


class Pace:
    """For one worker, who says when he begins, and now and then asks for a rest."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def begin(self) -> None:
        """After waiting for something."""
        self._began = time.perf_counter()

    async def rest(self) -> None:
        """Returns at once while little was done."""
        spent = time.perf_counter() - self._began
        if spent >= AT_ONCE_SECONDS:
            await asyncio.sleep(REST * spent)
            self._began = time.perf_counter()
