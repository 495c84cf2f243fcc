"""The commands that were found, as a Qt list model."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.models.commands import NamedCommand

CommandRole = int(Qt.ItemDataRole.UserRole) + 1
_NO_PARENT = QModelIndex()


class CommandList(QAbstractListModel):
    """Shows what it is given; a row's accessible text has its title, its kind and its keys."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._commands: Sequence[NamedCommand] = ()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NO_PARENT) -> int:  # noqa: N802 (Qt's own name)
        return 0 if parent.isValid() else len(self._commands)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> object:
        if not index.isValid() or index.row() >= len(self._commands):
            return None
        one = self._commands[index.row()]
        if role == CommandRole:
            return one
        if role in {Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole}:
            return ", ".join(part for part in (one.title, one.about, one.kind, *one.keys) if part)
        return None

    def show(self, commands: Sequence[NamedCommand]) -> None:
        """These alone, in this order."""
        self.beginResetModel()
        self._commands = commands
        self.endResetModel()
