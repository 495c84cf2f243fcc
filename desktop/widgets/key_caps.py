"""Keys as they look on a keyboard: small boxes, one for each way to say the same."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from desktop.look.theme import theme
from desktop.look.tokens import Space

_PADDING = 6


def caps_size(keys: Sequence[str]) -> QSize:
    """How much room they take."""
    metrics = QFontMetrics(theme().font("caption"))
    height = metrics.height() + 6
    widths = [max(height, metrics.horizontalAdvance(one) + 2 * _PADDING) for one in keys]
    return QSize(sum(widths) + Space.XS * max(0, len(widths) - 1), height)


def paint_caps(painter: QPainter, right: float, middle: float, keys: Sequence[str]) -> None:
    """Draw them so that they end at `right`, around the height `middle`."""
    colors, font = theme().palette, theme().font("caption")
    metrics, whole = QFontMetrics(font), caps_size(keys)
    left = right - whole.width()
    painter.setFont(font)
    for one in keys:
        width = max(whole.height(), metrics.horizontalAdvance(one) + 2 * _PADDING)
        box = QRectF(left + 0.5, middle - whole.height() / 2 + 0.5, width - 1, whole.height() - 1)
        painter.setPen(QColor(colors.line_strong))
        painter.setBrush(QColor(colors.sunken))
        painter.drawRoundedRect(box, 5, 5)
        painter.setPen(QColor(colors.muted))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), one)
        left += width + Space.XS


class KeyCaps(QWidget):
    """Some keys; a screen reader says them."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__()
        self._keys = tuple(keys)
        self.setAccessibleName(", ".join(keys))
        self.setFixedSize(caps_size(self._keys))
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_caps(painter, self.width(), self.height() / 2, self._keys)
