"""A timeline's spans as a table, for eyes that want exact numbers and for screen readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.look.language import tr
from desktop.look.wording import count_text
from desktop.models.timeline import TimelineSpan
from desktop.models.timeline_text import begun_text, cost_text, lane_text, length_text, read_text

_Index = QModelIndex | QPersistentModelIndex

_TOP: Final = QModelIndex()


class TimelineTable(QAbstractTableModel):
    """A row for each span, as they began."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._spans: tuple[TimelineSpan, ...] = ()
        self._now = 0.0

    def show_spans(self, spans: Sequence[TimelineSpan], *, now: float) -> None:
        """Rows of which something is known already stay where they are."""
        known, self._now = len(self._spans), now
        if tuple(spans[:known]) == self._spans:
            if len(spans) > known:
                self.beginInsertRows(QModelIndex(), known, len(spans) - 1)
                self._spans = tuple(spans)
                self.endInsertRows()
            return
        self.beginResetModel()
        self._spans = tuple(spans)
        self.endResetModel()

    def tick(self, *, now: float) -> None:
        """What runs has grown."""
        self._now = now
        for number, span in enumerate(self._spans):
            if span.end is None:
                self.dataChanged.emit(self.index(number, 0), self.index(number, self.columnCount() - 1))

    def span_of(self, row: int) -> TimelineSpan:
        return self._spans[row]

    def rowCount(self, parent: _Index = _TOP) -> int:  # noqa: N802 (Qt's own name)
        return 0 if parent.isValid() else len(self._spans)

    def columnCount(self, parent: _Index = _TOP) -> int:  # noqa: N802 (Qt's own name)
        return 0 if parent.isValid() else len(self._columns())

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:  # noqa: N802 (Qt's own name)
        if role != Qt.ItemDataRole.DisplayRole or orientation is not Qt.Orientation.Horizontal:
            return None
        return self._columns()[section]

    def data(self, index: _Index, role: int = 0) -> Any:
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        span = self._spans[index.row()]
        return (
            lane_text(span.lane),
            f"{span.name}  ·  {span.about}" if span.about else span.name,
            begun_text(span, self._now),
            length_text(span, self._now),
            span.outcome,
            read_text(span),
            count_text(span.tokens_out) if span.tokens_out else "",
            cost_text(span),
        )[index.column()]

    @staticmethod
    def _columns() -> tuple[str, ...]:
        used = (tr("Tokens in"), tr("Tokens out"), tr("Cost"))
        return (tr("Kind"), tr("Name"), tr("Began"), tr("Length"), tr("Outcome"), *used)
