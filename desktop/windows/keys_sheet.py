"""The sheet of keys: all of them by group, from the table that binds them."""

from __future__ import annotations

from itertools import groupby

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.models.commands import folded
from desktop.widgets.buttons import IconButton
from desktop.widgets.key_caps import KeyCaps
from desktop.widgets.layouts import column, row
from desktop.widgets.overlay import Overlay
from desktop.widgets.surfaces import Line
from desktop.widgets.text import Label, widget
from desktop.windows.bindings import Binding, bindings
from desktop.windows.page import scroll_area

WIDEST = 560


class KeyLine(QWidget):
    """What is done, and with which keys."""

    def __init__(self, binding: Binding) -> None:
        super().__init__()
        self._words = folded(" ".join((binding.group, binding.title, *binding.said)))
        self.setAccessibleName(", ".join((binding.title, *binding.said)))
        whole = row(Label(binding.title, wrap=True), KeyCaps(binding.said), gap=Space.L, margins=(0, 4, 0, 4))
        whole.setStretch(0, 1)
        self.setLayout(whole)

    def matches(self, words: list[str]) -> bool:
        return all(word in self._words for word in words)


class KeysSheet(Overlay):
    """Searched by what is done, by group and by key."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window, name=tr("Keys"), widest=WIDEST)
        self.field = QLineEdit()
        self.field.setProperty("variant", "search")
        self.field.setFixedWidth(theme().scaled(220))
        self.field.setMaxLength(100)
        self.field.setPlaceholderText(tr("Search keys"))
        self.field.setAccessibleName(tr("Search keys"))
        self.field.textChanged.connect(self._narrow)
        self.field.installEventFilter(self)
        close = IconButton("close", tr("Close"))
        close.clicked.connect(self.close)
        margins = (Space.XL, Space.L, Space.L, Space.M)
        self.body.addLayout(row(Label(tr("Keys"), role="title"), None, self.field, close, margins=margins))
        self.body.addWidget(Line())
        inside = widget("clear")
        lines = column(gap=0, margins=(Space.XL, Space.S, Space.XL, Space.L))
        self._groups: list[tuple[QWidget, list[KeyLine]]] = []
        for group, members in groupby(bindings(), key=lambda one: one.group):
            title = Label(group, role="small", tone="muted")
            title.setContentsMargins(0, Space.M, 0, Space.XS)
            lines.addWidget(title)
            made = [KeyLine(one) for one in members]
            for line in made:
                lines.addWidget(line)
            self._groups.append((title, made))
        self._none = Label(tr("Nothing matches"), tone="muted")
        self._none.setMinimumHeight(80)
        self._none.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._none.hide()
        lines.addWidget(self._none)
        lines.addStretch(1)
        inside.setLayout(lines)
        self._area = scroll_area(inside)
        self.body.addWidget(self._area, 1)

    @property
    def shown(self) -> list[str]:
        """What is seen, as a screen reader says it."""
        return [line.accessibleName() for _, lines in self._groups for line in lines if not line.isHidden()]

    def open(self) -> None:
        self.field.clear()
        self._area.verticalScrollBar().setValue(0)
        self.open_on(self.field)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        """The keys that a line of text has no use for scroll."""
        if watched is self.field and isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress:
            bar = self._area.verticalScrollBar()
            steps = {
                Qt.Key.Key_Down: 40, Qt.Key.Key_Up: -40,
                Qt.Key.Key_PageDown: bar.pageStep(), Qt.Key.Key_PageUp: -bar.pageStep(),
            }  # fmt: skip
            if (step := steps.get(Qt.Key(event.key()))) is not None:
                bar.setValue(bar.value() + step)
                return True
        return super().eventFilter(watched, event)

    def _narrow(self, typed: str) -> None:
        words, some = folded(typed).split(), False
        for title, lines in self._groups:
            for line in lines:
                line.setVisible(line.matches(words))
            seen = not all(line.isHidden() for line in lines)
            title.setVisible(seen)
            some = some or seen
        self._none.setVisible(not some)
