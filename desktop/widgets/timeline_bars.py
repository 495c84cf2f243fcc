"""How the marks of a timeline are painted."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen, QPolygonF

from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.look.wording import duration_text
from desktop.models.timeline import TimelineSpan
from desktop.models.timeline_layout import TimelineBar

BAR: Final = 12
"""Pixels of a bar's height."""

_OF_SEVERAL: Final = 8
_LEAST_TEXT: Final = 34
_TEETH: Final = 5
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_CENTER = int(Qt.AlignmentFlag.AlignCenter)


def paint_fold(painter: QPainter, area: QRectF, words: QRectF, seconds: float) -> None:
    """Time that is left out: a band with two torn edges, and in `words` how long it is."""
    colors = theme().palette
    painter.fillRect(area, QColor(colors.raised))
    painter.setPen(QPen(QColor(colors.line_strong), 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for x in (area.left(), area.right()):
        steps = range(int(area.height() / _TEETH) + 1)
        edge = [QPointF(x + (1.5 if step % 2 else -1.5), area.top() + step * _TEETH) for step in steps]
        painter.drawPolyline(QPolygonF(edge))
    said = duration_text(seconds)
    fits = QFontMetrics(painter.font()).horizontalAdvance(said) <= words.width()
    painter.setPen(QColor(colors.muted))
    painter.drawText(words, _CENTER, said if fits else "…")


def paint_bar(painter: QPainter, bar: TimelineBar, line: QRectF, *, offset: float, several: bool) -> QRectF:
    """Draw a mark in its line, and return where. What failed is as high as the line: a colour alone is not seen by all.

    `offset` is added to its place; `several`: the line is one of several of its lane.
    """
    high = _OF_SEVERAL if several else BAR
    if bar.tone == "danger":
        high = int(line.height()) - 3
    if bar.thin and all(span.is_moment for span in bar.spans):
        return _paint_moment(painter, bar, QPointF(bar.left + offset, line.center().y()), high / 2 - 1)
    colors = theme().palette
    begin, end = max(bar.left + offset, line.left() - Space.XL), min(bar.right + offset, line.right() + Space.XL)
    shape = QRectF(begin, line.center().y() - high / 2, end - begin, high)
    ink, radius, runs = QColor(colors.ink(bar.tone)), min(3.0, shape.width() / 2), bar.spans[0].end is None
    if runs and not bar.thin:
        painter.setBrush(QColor(colors.soft(bar.tone)))
        painter.setPen(QPen(ink, 1))
        painter.drawRoundedRect(shape.adjusted(0.5, 0.5, -0.5, -0.5), radius, radius)
    else:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        painter.drawRoundedRect(shape, radius, radius)
    if not several:
        _paint_name(painter, bar.spans[0], shape.intersected(line), ink if runs else QColor(colors.window))
    return shape


def paint_outline(painter: QPainter, shape: QRectF, color: str) -> None:
    """Around a mark."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(theme().palette.window), 3))
    painter.drawRoundedRect(shape.adjusted(-1.5, -1.5, 1.5, 1.5), 4, 4)
    painter.setPen(QPen(QColor(color), 1.5))
    painter.drawRoundedRect(shape.adjusted(-2, -2, 2, 2), 4, 4)


def _paint_moment(painter: QPainter, bar: TimelineBar, middle: QPointF, radius: float) -> QRectF:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme().palette.ink(bar.tone)))
    ways = ((0, -radius), (radius, 0), (0, radius), (-radius, 0))
    painter.drawPolygon(QPolygonF([middle + QPointF(*way) for way in ways]))
    return QRectF(middle.x() - radius, middle.y() - radius, 2 * radius, 2 * radius)


def _paint_name(painter: QPainter, span: TimelineSpan, area: QRectF, ink: QColor) -> None:
    if area.width() < _LEAST_TEXT:
        return
    font = theme().font("caption")
    font.setPixelSize(min(font.pixelSize(), BAR - 2))
    said = QFontMetrics(font).elidedText(span.name, Qt.TextElideMode.ElideRight, round(area.width() - 8))
    if len(said) > 2:
        painter.setFont(font)
        painter.setPen(ink)
        painter.drawText(area.adjusted(4, -2, -4, 2), _LEFT, said)
