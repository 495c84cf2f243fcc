"""The notices as a list model, newest first."""

from __future__ import annotations

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.look.wording import tooltip_text
from desktop.notices.notifications import HISTORY, Notice

NoticeRole = int(Qt.ItemDataRole.UserRole) + 1
_NO_PARENT = QModelIndex()


class NoticeList(QAbstractListModel):
    """At most `HISTORY`; older ones fall out at the end."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._notices: list[Notice] = []

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NO_PARENT) -> int:  # noqa: N802 (Qt's own name)
        return 0 if parent.isValid() else len(self._notices)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> object:
        if not index.isValid() or index.row() >= len(self._notices):
            return None
        notice = self._notices[index.row()]
        if role == NoticeRole:
            return notice
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return f"{notice.title}. {notice.body}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip_text(notice.body)
        return None

    def show(self, notices: list[Notice]) -> None:
        """These alone, oldest first."""
        self.beginResetModel()
        self._notices = list(reversed(notices))[:HISTORY]
        self.endResetModel()

    def add(self, notice: Notice) -> None:
        """A new one."""
        self.beginInsertRows(_NO_PARENT, 0, 0)
        self._notices.insert(0, notice)
        self.endInsertRows()
        if len(self._notices) > HISTORY:
            self.beginRemoveRows(_NO_PARENT, HISTORY, HISTORY)
            self._notices.pop()
            self.endRemoveRows()
