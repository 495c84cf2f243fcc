"""Small marks of state: a pill with a dot, and a dot alone."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.look.theme import theme
from desktop.look.tokens import Tone

_PAD = 8
_HEIGHT_PAD = 7


def pill_size(text: str, *, dot: bool = True) -> QSize:
    metrics = QFontMetrics(theme().font("caption"))
    width = metrics.horizontalAdvance(text) + 2 * _PAD + (11 if dot else 0)
    return QSize(width + 1, metrics.height() + _HEIGHT_PAD)


def paint_pill(painter: QPainter, area: QRectF, text: str, tone: Tone, *, dot: bool = True) -> None:
    """A pill inside `area`; also used by list delegates."""
    colors = theme().palette
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colors.soft(tone)))
    painter.drawRoundedRect(area, area.height() / 2, area.height() / 2)
    left = area.left() + _PAD
    if dot:
        paint_dot(painter, QPointF(left + 3, area.center().y()), tone, radius=3)
        left += 11
    painter.setFont(theme().font("caption"))
    painter.setPen(QColor(colors.ink(tone)))
    painter.drawText(
        QRectF(left, area.top(), area.right() - left, area.height()),
        int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft),
        text,
    )


def paint_dot(painter: QPainter, middle: QPointF, tone: Tone, *, radius: float = 4) -> None:
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme().palette.ink(tone)))
    painter.drawEllipse(middle, radius, radius)


class Pill(QWidget):
    """A word of state in its tone."""

    def __init__(self, text: str = "", *, tone: Tone = "neutral", dot: bool = True) -> None:
        super().__init__()
        self._text, self._tone, self._dot = text, tone, dot
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(text)
        theme().changed.connect(self.update)

    @property
    def text(self) -> str:
        return self._text

    def say(self, text: str, tone: Tone) -> None:
        text = text[:60]
        if (text, tone) != (self._text, self._tone):
            self._text, self._tone = text, tone
            self.setAccessibleName(text)
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        return pill_size(self._text, dot=self._dot)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        paint_pill(QPainter(self), QRectF(self.rect()), self._text, self._tone, dot=self._dot)


class Dot(QWidget):
    """A point of colour with a soft ring."""

    def __init__(self, *, tone: Tone = "neutral", size: int = 10) -> None:
        super().__init__()
        self._tone = tone
        self.setFixedSize(size + 6, size + 6)
        theme().changed.connect(self.update)

    @property
    def tone(self) -> Tone:
        return self._tone

    def set_tone(self, tone: Tone) -> None:
        if tone != self._tone:
            self._tone = tone
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter, colors = QPainter(self), theme().palette
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        middle, radius = QPointF(self.width() / 2, self.height() / 2), self.width() / 2
        ring = QColor(colors.ink(self._tone))
        ring.setAlphaF(0.18)
        painter.setBrush(ring)
        painter.drawEllipse(middle, radius, radius)
        painter.setBrush(QColor(colors.ink(self._tone)))
        painter.drawEllipse(middle, radius - 4, radius - 4)
