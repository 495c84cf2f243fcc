"""The executions as a Qt list model, with a filter for text and for what runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.look.wording import status_text
from desktop.models.conversation_items import Item
from desktop.models.executions import Execution, ExecutionStore

ExecutionRole = Qt.ItemDataRole.UserRole + 1
_Index = QModelIndex | QPersistentModelIndex


class ExecutionListModel(QAbstractListModel):
    """Follows a store. Rows keep their place while they only change; new ones come with one insert each."""

    def __init__(
        self,
        store: ExecutionStore,
        parent: QObject | None = None,
        *,
        limit: int = 0,
        pick: Callable[[list[Execution]], list[Execution]] | None = None,
    ) -> None:
        """`limit` above 0 shows only the first ones of those that `pick` picks of all, in its order."""
        super().__init__(parent)
        self._store, self._pick = store, pick
        self._limit = limit
        self._text = ""
        self._live_only = False
        self._rows: list[Execution] = []
        self._stop = store.listen(self._heard)
        self.refresh()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008, N802 (Qt's own name and default)
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= index.row() < len(self._rows):
            return None
        one = self._rows[index.row()]
        if role == ExecutionRole:
            return one
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return f"{one.name}, {status_text(one.status)}"
        return None

    def set_filter(self, *, text: str = "", live_only: bool = False) -> None:
        self._text, self._live_only = text.lower(), live_only
        self.refresh()

    def row_of(self, execution_id: str) -> int:
        """Its row, or -1."""
        return next((row for row, one in enumerate(self._rows) if one.execution_id == execution_id), -1)

    def refresh(self) -> None:
        """Bring rows into the store's order; a selection survives."""
        known = self._store.all()
        wanted = [one for one in (self._pick(known) if self._pick else known) if self._passes(one)]
        wanted = wanted[: self._limit] if self._limit else wanted
        if wanted == self._rows:
            return
        if len(wanted) == len(self._rows) and {id(one) for one in wanted} == {id(one) for one in self._rows}:
            self._reorder(wanted)
            return
        kept = {one.execution_id for one in wanted}
        for row in range(len(self._rows) - 1, -1, -1):
            if self._rows[row].execution_id not in kept:
                self.beginRemoveRows(QModelIndex(), row, row)
                del self._rows[row]
                self.endRemoveRows()
        shown = {one.execution_id for one in self._rows}
        fresh = [one for one in wanted if one.execution_id not in shown]
        if fresh:
            self.beginInsertRows(QModelIndex(), 0, len(fresh) - 1)
            self._rows[:0] = fresh
            self.endInsertRows()
        if wanted != self._rows:
            self._reorder(wanted)

    def stop(self) -> None:
        self._stop()

    def _reorder(self, wanted: list[Execution]) -> None:
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        places = {one.execution_id: row for row, one in enumerate(wanted)}
        after = [self.index(places[self._rows[index.row()].execution_id]) for index in before]
        self._rows = wanted
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _passes(self, one: Execution) -> bool:
        if self._live_only and not one.is_live:
            return False
        if not self._text:
            return True
        return self._text in f"{one.title} {one.execution_id} {one.agent} {one.queue} {one.status}".lower()

    def _heard(self, execution_id: str, item: Item | None) -> None:
        row = self.row_of(execution_id)
        if row >= 0 and item is not None:
            index = self.index(row)
            self.dataChanged.emit(index, index)
            return
        self.refresh()
        if (row := self.row_of(execution_id)) >= 0:
            self.dataChanged.emit(self.index(row), self.index(row))
