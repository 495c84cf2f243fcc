"""A step of a procedure: its number, a tick once it is done, and what belongs to it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from desktop.look.icons import paint_icon
from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.widgets.layouts import column, row, top
from desktop.widgets.surfaces import Card
from desktop.widgets.text import Label

_SIZE = 26


class StepMark(QWidget):
    """A number in a circle, or a tick."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number, self._done = number, False
        self.setFixedSize(_SIZE, _SIZE)
        theme().changed.connect(self.update)

    def set_done(self, *, done: bool) -> None:
        self._done = done
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        colors, painter = theme().palette, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.success_soft if self._done else colors.raised))
        painter.drawEllipse(QRectF(self.rect()))
        if self._done:
            paint_icon(painter, "check", colors.success_ink, QRectF(5, 5, _SIZE - 10, _SIZE - 10))
            return
        painter.setPen(QColor(colors.muted if not self.isEnabled() else colors.text))
        painter.setFont(theme().font("strong"))
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignCenter), str(self._number))


class Step(Card):
    """One card. Put its controls into `inside`; they are shown while it is the step's turn, or when it is done."""

    def __init__(self, number: int, title: str, meaning: str) -> None:
        super().__init__()
        self._mark = StepMark(number)
        self._heading, self._meaning = Label(title, role="strong"), Label(meaning, tone="muted", wrap=True)
        self.inside = QWidget()
        self.inside.setVisible(False)
        self._again: QWidget | None = None
        words = column(self._heading, self._meaning, self.inside, gap=Space.XS)
        words.setSpacing(Space.S)
        line = row(self._mark, words, gap=Space.M)
        line.setStretch(1, 1)
        top(self._mark, line)
        self._line = line
        self.body.addLayout(line)
        self.setAccessibleName(title)

    def offer(self, again: QWidget) -> None:
        """What takes the step once more; it is there while the step is done."""
        again.hide()
        self._again = again
        self._line.addWidget(again)
        top(again, self._line)

    def open(self) -> None:
        self.inside.setVisible(True)

    def shut(self) -> None:
        self.inside.setVisible(False)

    def tick(self, said: str = "") -> None:
        """It is done; `said` takes the place of its meaning."""
        self._mark.set_done(done=True)
        if self._again is not None:
            self._again.show()
        if said:
            self._meaning.setText(said)
        self.setAccessibleDescription(tr("Done. {said}", said=said))

    def untick(self, meaning: str) -> None:
        self._mark.set_done(done=False)
        if self._again is not None:
            self._again.hide()
        self._meaning.setText(meaning)
