"""What stands before items of lists: Qt's bullets are large and touch the text, its boxes have a cross for a tick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QPainter,
    QPen,
    QTextBlockFormat,
    QTextCursor,
    QTextDocument,
    QTextListFormat,
)

from desktop.look.theme import theme

ListMark = Literal["disc", "ring", "open", "done"]

_BULLETS = {
    QTextListFormat.Style.ListDisc: "disc",
    QTextListFormat.Style.ListCircle: "ring",
    QTextListFormat.Style.ListSquare: "disc",
}
_DIAMETER = 5.0
_BOX = 12.0
_BEFORE_TEXT = 11.0
"""From the middle of a mark to the text, in pixels."""


def take_marks(document: QTextDocument) -> dict[int, ListMark]:
    """The marks of a document's items, by the number of their blocks. From then on Qt draws none of them."""
    marks: dict[int, ListMark] = {}
    bullets, none = set(), QTextBlockFormat.MarkerType.NoMarker
    changing = QTextCursor(document)
    changing.beginEditBlock()
    block = document.begin()
    while block.isValid():
        listed = block.textList()
        if listed is not None:
            form, marker = listed.format(), block.blockFormat().marker()
            if marker is not none:
                marks[block.blockNumber()] = "done" if marker is QTextBlockFormat.MarkerType.Checked else "open"
                plain = QTextBlockFormat()
                plain.setMarker(none)
                QTextCursor(block).mergeBlockFormat(plain)
            elif form.style() in _BULLETS or listed.objectIndex() in bullets:
                marks[block.blockNumber()] = "ring" if form.indent() > 1 else "disc"
            if form.style() in _BULLETS:
                bullets.add(listed.objectIndex())
                form.setStyle(QTextListFormat.Style.ListStyleUndefined)
                listed.setFormat(form)
        block = block.next()
    changing.endEditBlock()
    return marks


def paint_marks(painter: QPainter, document: QTextDocument, marks: Mapping[int, ListMark], *, within: QRectF) -> None:
    """Before the first line of each item that is to be seen."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    colors, half = theme().palette, QFontMetricsF(document.defaultFont()).xHeight() / 2
    layout = document.documentLayout()
    block = document.findBlock(max(0, layout.hitTest(within.topLeft(), Qt.HitTestAccuracy.FuzzyHit)))
    while block.isValid():
        place, mark, lines = layout.blockBoundingRect(block).topLeft(), marks.get(block.blockNumber()), block.layout()
        block = block.next()
        if place.y() > within.bottom():
            break
        if mark is None or lines is None or not lines.lineCount():
            continue
        line = lines.lineAt(0)
        middle = QPointF(place.x() + line.x() - _BEFORE_TEXT, place.y() + line.y() + line.ascent() - half)
        if mark in {"disc", "ring"}:
            ring = mark == "ring"
            painter.setPen(QPen(QColor(colors.muted), 1.2) if ring else Qt.PenStyle.NoPen)
            painter.setBrush(Qt.BrushStyle.NoBrush if ring else QColor(colors.muted))
            painter.drawEllipse(middle, _DIAMETER / 2, _DIAMETER / 2)
            continue
        done = mark == "done"
        box = QRectF(middle.x() - _BOX / 2 - 1, middle.y() - _BOX / 2, _BOX, _BOX)
        painter.setPen(QPen(QColor(colors.accent if done else colors.muted), 1.2))
        painter.setBrush(QColor(colors.accent) if done else Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box, 3, 3)
        if done:
            painter.setPen(QPen(QColor(colors.on_accent), 1.6, c=Qt.PenCapStyle.RoundCap, j=Qt.PenJoinStyle.RoundJoin))
            ticks = [
                QPointF(box.left() + x * _BOX, box.top() + y * _BOX)
                for x, y in ((0.25, 0.52), (0.43, 0.7), (0.76, 0.32))
            ]
            painter.drawPolyline(ticks)
