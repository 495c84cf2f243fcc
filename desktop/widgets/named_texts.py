"""Texts to read: their names on the left, the one that was chosen on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QPlainTextEdit, QWidget

from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.widgets.layouts import row

LINE_HEIGHT: Final = 32


class NamedTexts(QWidget):
    def __init__(
        self, texts: Sequence[tuple[str, Callable[[], str]]], *, names_are: str, text_is: str, wide: int = 250
    ) -> None:
        """Nothing is read before it is chosen; the first one is at once.

        Args:
            texts: what stands in the list, and what gives the text.
            names_are: what a screen reader calls the list.
            text_is: and the text.
            wide: of the list, in logical pixels.
        """
        super().__init__()
        self._texts = texts
        self.names = QListWidget()
        self.names.setAccessibleName(names_are)
        self.names.setFixedWidth(wide)
        for name, _ in texts:
            line = QListWidgetItem(name)
            line.setSizeHint(QSize(0, LINE_HEIGHT))  # the style is not known yet, which would give it its own
            self.names.addItem(line)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setProperty("variant", "field")
        self.text.setAccessibleName(text_is)
        self.text.setFont(theme().font("code"))
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.names.currentRowChanged.connect(self._show)
        inside = row(self.names, self.text, gap=Space.M)
        inside.setStretch(1, 1)
        self.setLayout(inside)
        self.names.setCurrentRow(0)

    def _show(self, place: int) -> None:
        if 0 <= place < len(self._texts):
            self.text.setPlainText(self._texts[place][1]())
