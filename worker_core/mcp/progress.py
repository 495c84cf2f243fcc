"""What a server says of a call's progress, as often as somebody can look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

WINDOW_SECONDS: Final = 0.5
LATER_WINDOW_SECONDS: Final = 5.0
"""Between two messages that are passed on: at first, and when there were `SOON` of them."""

SOON: Final = 20


class Coalesced:
    """Passes the first message on at once, and then the newest of each window. Belongs to one loop."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._newest: tuple[Any, ...] | None = None
        self._told = 0
        self._window: asyncio.TimerHandle | None = None

    def hear(self, *message: Any) -> None:
        self._newest = message
        if self._window is None:
            self._pass_on()

    def end(self) -> None:
        """Pass on what is left."""
        if self._window is not None:
            self._window.cancel()
        if self._newest is not None:
            self._tell(*self._newest)
            self._newest = None

    def _pass_on(self) -> None:
        self._window = None
        if self._newest is None:
            return
        message, self._newest = self._newest, None
        self._told += 1
        seconds = WINDOW_SECONDS if self._told <= SOON else LATER_WINDOW_SECONDS
        self._window = asyncio.get_running_loop().call_later(seconds, self._pass_on)
        self._tell(*message)
