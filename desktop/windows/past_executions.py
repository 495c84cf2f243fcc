"""Asks the control plane for what ran on the served queues before this program began, or runs on other machines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from desktop.look.language import tr
from desktop.windows.desk import Desk
from worker_core.snapshot import EngineSnapshot

log = logging.getLogger(__name__)

LISTED: Final = 100
"""Executions, of all queues together."""

LEAST: Final = 10
"""Of each queue, however many there are."""

AGAIN_AFTER_SECONDS: Final = 30.0


class PastExecutions:
    """Asks when queues begin to be served, and while something is listed that others may change; only while `is_seen`
    says that somebody sees the answer. A worker that serves has read its key: nobody is asked to unlock a keychain for
    a mere look.
    """

    def __init__(
        self, desk: Desk, *, is_seen: Callable[[], bool], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._desk, self._is_seen, self._monotonic = desk, is_seen, monotonic
        self._queue_ids: tuple[str, ...] = ()
        self._listed: tuple[str, ...] = ()
        self._asked_at: float | None = None
        self._asks = False

    def take(self, snapshot: EngineSnapshot) -> None:
        """What is served now."""
        self._queue_ids = tuple(queue.queue_id for queue in snapshot.queues)
        self.look()

    def look(self) -> None:
        """Ask, if it is time to."""
        if self._asks or not self._queue_ids or not self._is_seen():
            return
        rested = self._asked_at is None or self._monotonic() - self._asked_at >= AGAIN_AFTER_SECONDS
        if self._listed != self._queue_ids:
            wanted = rested or bool(self._listed)
        else:
            wanted = rested and any(one.is_live and not one.is_told for one in self._desk.executions.all())
        if wanted:
            self._asks, self._asked_at = True, self._monotonic()
            self._desk.background.ask(self._ask(self._queue_ids), doing=tr("list the executions"))

    async def _ask(self, queue_ids: tuple[str, ...]) -> None:
        limit = max(LEAST, LISTED // len(queue_ids))
        try:
            found = await self._desk.worker.queue_executions(queue_ids, limit=limit)
        except Exception:
            log.debug("The executions of the served queues could not be listed.", exc_info=True)
            return
        finally:
            self._asks = False
        self._listed = queue_ids
        for queue_id, records in found.items():
            self._desk.executions.remember(queue_id, records)
