"""A choice of which one option is whatever is typed: its field appears below when it is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLineEdit, QWidget

from desktop.widgets.choice import Choice
from desktop.widgets.layouts import column

_TYPED: Final = "\0"
"""The value of the option that stands for the field: nobody types it."""


class ChoiceOrText(QWidget):
    """`given` tells what the person wants: an option's value, or a text. Choosing the field alone wants nothing yet."""

    given = Signal(str)

    def __init__(
        self, name: str, options: Sequence[tuple[str, str]], *, typed: str, field: str, example: str, width: int
    ) -> None:
        """A choice and a field that is not seen yet.

        Args:
            name: what is chosen.
            options: values with their texts.
            typed: the text of the option that stands for the field.
            field: what is typed, for those who hear it.
            example: shown in the empty field.
            width: of the field, in pixels.
        """
        super().__init__()
        self._values = {value for value, _ in options}
        self._shown = ""
        self.choice = Choice(name, [*options, (_TYPED, typed)])
        self.choice.setFixedWidth(160)
        self.field = QLineEdit()
        self.field.setAccessibleName(field)
        self.field.setPlaceholderText(example)
        self.field.setFixedWidth(width)
        self.field.hide()
        both = column(self.choice, self.field)
        for part in (self.choice, self.field):
            both.setAlignment(part, Qt.AlignmentFlag.AlignRight)
        self.setLayout(both)
        self.setFocusProxy(self.choice)
        self.choice.currentIndexChanged.connect(lambda *_: self._chosen())
        self.field.editingFinished.connect(self._typed)

    @property
    def value(self) -> str:
        """What is chosen or typed now."""
        return self.field.text().strip() if self.choice.chosen == _TYPED else self.choice.chosen

    def show_value(self, value: str) -> None:
        """The value in force. A field that waits for its first letter goes on waiting while that stays the same."""
        waits = self.choice.chosen == _TYPED and not self.field.text()
        if waits and value == self._shown:
            return
        self._shown = value
        own = value not in self._values
        self.choice.blockSignals(True)
        self.choice.choose(_TYPED if own else value)
        self.choice.blockSignals(False)
        self.field.setText(value if own else "")
        self.field.setVisible(own)

    def _chosen(self) -> None:
        typed = self.choice.chosen == _TYPED
        self.field.setVisible(typed)
        if typed:
            self.field.setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self.field.clear()
            self.given.emit(self.choice.chosen)

    def _typed(self) -> None:
        if self.value or self._shown not in self._values:
            self.given.emit(self.value)
