"""Asks the control plane for what events do not tell of an execution: its agent's name, its request, its tokens."""

from __future__ import annotations

import logging
from collections.abc import Callable

from desktop.look.language import tr
from desktop.models.conversation_items import Item
from desktop.windows.desk import Desk

log = logging.getLogger(__name__)

REMEMBERED = 2_000


class Describing:
    """Asks once per execution and status, and only while `is_seen` says that somebody sees the answer."""

    def __init__(self, desk: Desk, *, is_seen: Callable[[], bool]) -> None:
        self._desk, self._is_seen = desk, is_seen
        self._asked: dict[tuple[str, str], None] = {}
        desk.executions.listen(self._heard)

    def catch_up(self, *, of: int = 50) -> None:
        """The person looks again: ask for what was missed, `of` so many executions."""
        for one in self._desk.executions.all()[:of]:
            self._heard(one.execution_id, None)

    def _heard(self, execution_id: str, item: Item | None) -> None:
        one = self._desk.executions.get(execution_id)
        if item is not None or one is None or not one.is_told or not self._is_seen():
            return  # of one that nobody told of, the list says all that is shown
        key = (execution_id, one.status)
        if key in self._asked:
            return
        self._asked[key] = None
        if len(self._asked) > REMEMBERED:
            del self._asked[next(iter(self._asked))]

        async def describe() -> None:
            try:
                record = await self._desk.worker.get_execution(execution_id)
            except Exception:
                log.debug("Execution %s could not be described.", execution_id, exc_info=True)
                return
            self._desk.executions.describe(execution_id, record)

        self._desk.background.ask(describe(), doing=tr("describe an execution"))
