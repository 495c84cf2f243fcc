"""Asks the control plane for what events do not tell of an execution: its agent's name, its request, its tokens."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from desktop.models.conversation import Item
from desktop.windows.desk import Desk

log = logging.getLogger(__name__)

REMEMBERED = 2_000


class Describing:
    """Asks once per execution and status, and only while `looks` says that somebody sees the answer."""

    def __init__(self, desk: Desk, *, looks: Any) -> None:
        """`looks` is a function without arguments."""
        self._desk, self._looks = desk, looks
        self._asked: dict[tuple[str, str], None] = {}
        desk.store.listen(self._heard)

    def catch_up(self) -> None:
        """The person looks again: ask for what was missed."""
        for one in self._desk.store.all()[:50]:
            self._heard(one.execution_id, None)

    def _heard(self, execution_id: str, item: Item | None) -> None:
        archive, one = self._desk.archive, self._desk.store.get(execution_id)
        if item is not None or archive is None or one is None or not self._looks():
            return
        key = (execution_id, one.status)
        if key in self._asked:
            return
        self._asked[key] = None
        if len(self._asked) > REMEMBERED:
            del self._asked[next(iter(self._asked))]

        async def describe() -> None:
            try:
                record = await archive.get_execution(execution_id)
            except Exception:
                log.debug("Execution %s could not be described.", execution_id, exc_info=True)
                return
            self._desk.store.describe(execution_id, as_fields(record))

        self._desk.background.ask(describe(), doing="describe an execution")


def as_fields(record: Any) -> Mapping[str, Any]:
    """A record of the client as a mapping."""
    if isinstance(record, Mapping):
        return record
    return {name: getattr(record, name) for name in getattr(record, "__struct_fields__", ())}
