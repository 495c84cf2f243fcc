"""The palette of commands: a field, and below it what was found."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QModelIndex, QObject, Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.models.command_list import CommandList, CommandRole
from desktop.models.commands import SHOWN, CommandIndex, NamedCommand
from desktop.notices.action import Action
from desktop.widgets.command_rows import CommandDelegate, row_height
from desktop.widgets.layouts import column, row
from desktop.widgets.lists import RowList
from desktop.widgets.overlay import Overlay
from desktop.widgets.surfaces import Icon, Line
from desktop.widgets.text import ElidedLabel, Label
from desktop.windows.bindings import said_keys

WIDEST = 640
ROWS = 9
"""Seen at once; the others are scrolled to."""

LONGEST = 200
"""Characters that can be typed."""

_MOVES = {
    Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_Tab: 1, Qt.Key.Key_Backtab: -1,
    Qt.Key.Key_PageDown: ROWS - 1, Qt.Key.Key_PageUp: 1 - ROWS,
}  # fmt: skip


class CommandPalette(Overlay):
    """The field keeps the focus; arrows choose a row, Enter or a click picks it."""

    picked = Signal(object)
    """A `NamedCommand`. The palette is closed by then."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window, name=tr("Commands"), widest=WIDEST)
        self._index = CommandIndex(())
        self._unknown: Callable[[str], NamedCommand | None] = lambda _: None
        self.field = QLineEdit()
        self.field.setProperty("variant", "bare")
        self.field.setMaxLength(LONGEST)
        self.field.setPlaceholderText(tr("A command, an execution, a queue or a setting"))
        self.field.setAccessibleName(tr("Search commands"))
        self.field.installEventFilter(self)
        self.field.textChanged.connect(self._find)
        self._model = CommandList(self)
        self.list = RowList(tr("Commands"), self._model, CommandDelegate())
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setSelectionMode(RowList.SelectionMode.SingleSelection)
        self.list.chosen.connect(self._pick)
        self.list.selectionModel().currentChanged.connect(self._say)
        self._none = Label(tr("Nothing matches"), tone="muted")
        self._none.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._none.setMinimumHeight(2 * row_height())
        hint = ElidedLabel(
            tr("Arrows choose, Enter does it, Escape closes. {keys} shows all keys.", keys=said_keys(Action.KEYS)),
            role="small",
            tone="muted",
        )
        head = row(Icon("search", size=18), self.field, gap=Space.M, margins=(Space.L + 4, Space.M, Space.L, Space.M))
        middle = column(self.list, self._none, margins=(0, Space.S, 0, Space.S))
        for part in (head, middle):
            self.body.addLayout(part)
            self.body.addWidget(Line())
        self.body.setStretch(2, 1)
        self.body.addLayout(row(hint, margins=(Space.L + 4, Space.S, Space.L, Space.S)))

    def offer(self, index: CommandIndex, *, unknown: Callable[[str], NamedCommand | None]) -> None:
        """Open with these; `unknown` may make a command of what was typed where nothing is found."""
        self._index, self._unknown = index, unknown
        self.field.clear()
        self._find("")
        self.open_on(self.field)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if watched is self.field and isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress:
            if (step := _MOVES.get(Qt.Key(event.key()))) is not None:
                self._move(step)
                return True
            if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
                self._pick(self.list.currentIndex())
                return True
        return super().eventFilter(watched, event)

    # -- below ----------------------------------------------------------------------------------------------------

    def height_for(self, room: int) -> int:
        return min(room, ROWS * row_height() + 2 * Space.S + 94)

    def _find(self, typed: str) -> None:
        found = self._index.find(typed)
        if not found and (asked := self._unknown(typed)) is not None:
            found = [asked]
        self._model.show(found[:SHOWN])
        self.list.setVisible(bool(found))
        self._none.setVisible(not found)
        if found:
            self.list.setCurrentIndex(self._model.index(0))
            self.list.scrollToTop()

    def _move(self, step: int) -> None:
        """From the last row to the first, and back; a page at a time stops at the ends."""
        rows = self._model.rowCount()
        if not rows:
            return
        at = self.list.currentIndex().row() + step
        at = at % rows if abs(step) == 1 else max(0, min(rows - 1, at))
        self.list.setCurrentIndex(self._model.index(at))

    def _pick(self, index: QModelIndex) -> None:
        command = index.data(CommandRole) if index.isValid() else None
        if isinstance(command, NamedCommand):
            self.close()
            self.picked.emit(command)

    def _say(self, index: QModelIndex) -> None:
        """The field has the focus, so a screen reader is told which row is chosen."""
        if index.isValid() and self.isVisible() and QAccessible.isActive():
            said = str(index.data(int(Qt.ItemDataRole.AccessibleTextRole)))
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self.list, said))
