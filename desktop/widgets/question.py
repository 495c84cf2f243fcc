"""What a tool call would do, part by part: each argument beside its name, all of it to be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout

from desktop.look.asked import part_name, part_text
from desktop.look.language import number_text, tr
from desktop.look.tokens import Space
from desktop.widgets.buttons import Button
from desktop.widgets.code import CodeText
from desktop.widgets.layouts import column, row
from desktop.widgets.text import Label
from worker_core.snapshot import QuestionPart

LINES_SHOWN = 14
"""Of one part at once; the rest is scrolled to."""

LINES_SHOWN_NARROW = 10

NAME_WIDTH = 120


class QuestionView(QFrame):
    """Shows the parts; where some is left out, says how much, and has a button that asks for the whole."""

    def __init__(self, parts: Sequence[QuestionPart], *, read: Callable[[], object], narrow: bool = False) -> None:
        """`narrow`: names stand above what they name, not beside it."""
        super().__init__()
        self._narrow = narrow
        self.setProperty("ground", "sunken")
        self._parts: tuple[QuestionPart, ...] = ()
        self._rows: list[tuple[Label, CodeText]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(14, 10, 10, 10)
        self._grid.setHorizontalSpacing(Space.M)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self._missing = Label(role="small", tone="warning", wrap=narrow)
        self.whole = Button(tr("Read it whole"), icon="file")
        self.whole.clicked.connect(lambda: read())
        self._rest = QFrame()
        self._rest.setLayout(
            column(self._missing, self.whole, gap=Space.XS)
            if narrow
            else row(self._missing, None, self.whole, gap=Space.M)
        )
        self.show_parts(parts)

    def show_parts(self, parts: Sequence[QuestionPart]) -> None:
        """Show these instead of what is shown."""
        parts = tuple(parts)
        if parts == self._parts:
            return
        self._parts = parts
        for name, text in self._rows:
            for widget in (name, text):
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        self._grid.removeWidget(self._rest)
        self._rows = [self._row(number, part) for number, part in enumerate(parts)]
        left_out = sum(part.left_out for part in parts)
        self._missing.setText(tr("{count} more characters are not shown here.", count=number_text(left_out)))
        self._rest.setVisible(bool(left_out))
        self._grid.addWidget(self._rest, 2 * len(parts), 0, 1, 2)

    def _row(self, number: int, part: QuestionPart) -> tuple[Label, CodeText]:
        said, told = part_name(part), part_text(part)
        name = Label(said, role="caption", tone="muted", wrap=True)
        text = CodeText(said, lines=LINES_SHOWN_NARROW if self._narrow else LINES_SHOWN, wraps=True)
        more = tr("{count} more characters", count=number_text(part.left_out)) if part.left_out else ""
        text.show_text(f"{told} … ({more})" if more else told)
        if self._narrow:
            self._grid.addWidget(name, 2 * number, 0, 1, 2)
            self._grid.addWidget(text, 2 * number + 1, 0, 1, 2)
        else:
            name.setFixedWidth(NAME_WIDTH)
            self._grid.addWidget(name, 2 * number, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(text, 2 * number, 1)
        return name, text
