"""How the program goes: once it is asked to, nothing calls it back, and each further time it is more urgent."""

from __future__ import annotations

import asyncio

from PySide6.QtCore import QObject, Signal

from worker_core.snapshot import StopMode


class Leaving(QObject):
    """Belongs to the GUI thread's loop."""

    hurried = Signal(object)
    """A `StopMode` more urgent than the one under way."""

    def __init__(self) -> None:
        super().__init__()
        self.mode: StopMode | None = None
        """How, as of now; None: nobody has asked for it."""

        self._asked = asyncio.Event()

    def ask(self, mode: StopMode) -> None:
        """Go, at least as urgently as this."""
        if self.mode is not None and mode <= self.mode:
            return
        again, self.mode = self.mode is not None, mode
        self._asked.set()
        if again:
            self.hurried.emit(mode)

    def escalate(self) -> None:
        """Asked to quit once more: a stop drains, then cancels, then leaves at once, as in the terminal."""
        self.ask(StopMode.DRAIN if self.mode is None else StopMode(min(self.mode + 1, StopMode.NOW)))

    async def asked(self) -> StopMode:
        """Until somebody asks."""
        await self._asked.wait()
        return self.mode or StopMode.DRAIN
