"""What a person asks of the worker, carried out beside the window: a button starts it, a banner tells if it failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QObject, Signal

from desktop.look.language import fact, tr
from worker_core.basics.tasks import TaskKeeper
from worker_core.errors import KubiyaError

log = logging.getLogger(__name__)

Run = Callable[[Coroutine[Any, Any, None]], object]


class Background(QObject):
    """Starts coroutines on the running loop, keeps them alive, and says in a sentence what went wrong."""

    failed = Signal(str)

    def __init__(self, parent: QObject | None = None, *, run: Run | None = None) -> None:
        """`run` starts a coroutine; by default as a task of the running loop."""
        super().__init__(parent)
        self._tasks = TaskKeeper()
        self._run = run

    def ask(self, work: Coroutine[Any, Any, object], *, doing: str, done: Callable[[], object] | None = None) -> None:
        """Do it. `doing` completes "Could not …" where the error has no sentence of its own."""
        carried = self._carry_out(work, doing, done)
        if self._run is not None:
            self._run(carried)
            return
        task = asyncio.ensure_future(carried)
        task.add_done_callback(lambda _: work.close())  # one that is cancelled before its first step never came to it
        self._tasks.start(task, name="window")

    async def _carry_out(
        self, work: Coroutine[Any, Any, object], doing: str, done: Callable[[], object] | None
    ) -> None:
        try:
            await work
        except KubiyaError as error:
            self.failed.emit(fact(error))
        except Exception as error:
            log.warning("Could not %s.", doing, exc_info=True)
            self.failed.emit(tr("Could not {doing}: {why}.", doing=doing, why=str(error)[:300] or type(error).__name__))
        else:
            if done is not None:
                done()
