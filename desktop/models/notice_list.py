"""What was said as a list model: titles of sections, and under each its items."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.look.language import number_text, tr
from desktop.look.wording import clock_text, tooltip_text, when_text
from desktop.notices.inbox import InboxItem, InboxSection
from desktop.notices.notice import Level

ItemRole = int(Qt.ItemDataRole.UserRole) + 1
"""An `InboxItem`; None: the row is a title."""

_NO_PARENT = QModelIndex()


class NoticeList(QAbstractListModel):
    """Titles can be neither chosen nor reached by keys."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[str | InboxItem] = []

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NO_PARENT) -> int:  # noqa: N802 (Qt's own name)
        return 0 if parent.isValid() else len(self._rows)

    def flags(self, index: QModelIndex | QPersistentModelIndex) -> Qt.ItemFlag:
        if self._row(index) is None or isinstance(self._row(index), str):
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> object:
        one = self._row(index)
        if isinstance(one, str):
            return one if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole} else None
        if one is None:
            return None
        if role == ItemRole:
            return one
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{one.notice.title}. {one.notice.body}"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{state_text(one)}. {one.notice.title}. {one.notice.body} {time_text(one)}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip_text(one.notice.body)
        return None

    def show(self, sections: Sequence[InboxSection]) -> None:
        """These alone."""
        rows: list[str | InboxItem] = []
        for section in sections:
            rows += [section.title, *section.items]
        if rows == self._rows:
            return
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def place_of(self, thing: str) -> QModelIndex:
        """Where the item of a thing is; not valid where there is none."""
        for place, one in enumerate(self._rows):
            if isinstance(one, InboxItem) and one.notice.thing == thing:
                return self.index(place, 0)
        return QModelIndex()

    def _row(self, index: QModelIndex | QPersistentModelIndex) -> str | InboxItem | None:
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None


def state_text(item: InboxItem) -> str:
    """In a word what it is."""
    if item.snoozed_until is not None:
        return tr("Snoozed")
    if item.is_over:
        return tr("Over")
    return {Level.NEWS: tr("News"), Level.PROBLEM: tr("Problem"), Level.QUESTION: tr("Question")}[item.notice.level]


def time_text(item: InboxItem) -> str:
    """When it was told last and how often, or until when it is put off."""
    if item.snoozed_until is not None:
        return tr("until {time}", time=when_text(item.snoozed_until))
    told = clock_text(item.notice.at) if item.under_its_day else when_text(item.notice.at)
    return tr("{n} times, last {time}", n=number_text(item.count), time=told) if item.count > 1 else told
