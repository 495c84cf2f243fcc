"""The lines of the log: one exact line each, in which ids are short and lead to the lines that have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QHelpEvent, QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QToolTip

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.models.log_lines import LineRole, LogModel
from desktop.widgets.delegates import level_tone, paint_ground, say_line
from desktop.widgets.lists import LineTable
from worker_core.logs.ring import LogLine

_ID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_LEVELS = {"WARNING": "warn", "CRITICAL": "fatal"}
_Index = QModelIndex | QPersistentModelIndex

SHOWN = 600
"""Characters of a line that are drawn."""

_MARGIN = 16
_GAP = 14
"""Pixels behind the time and behind the level."""


class LogTable(LineTable):
    """`asked` comes with a click on an id, with that id, and with Enter, without one."""

    asked = Signal(QModelIndex, str)

    def __init__(self, model: LogModel) -> None:
        super().__init__(tr("Log lines"), model, LogDelegate())
        self.setSelectionMode(LogTable.SelectionMode.ExtendedSelection)
        self._pressed = ""

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and self.currentIndex().isValid():
            self.asked.emit(self.currentIndex(), "")
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        plain = event.button() is Qt.MouseButton.LeftButton and not event.modifiers()
        self._pressed = self._id_at(event.position().toPoint()) if plain else ""
        if not self._pressed:
            super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        pressed, self._pressed = self._pressed, ""
        if not pressed:
            super().mouseReleaseEvent(event)
        elif self._id_at(event.position().toPoint()) == pressed:
            self.asked.emit(self.indexAt(event.position().toPoint()), pressed)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        if self._pressed:
            return  # no lines are chosen by dragging from an id
        super().mouseMoveEvent(event)
        if self._id_at(event.position().toPoint()):
            self.viewport().setCursor(Qt.CursorShape.PointingHandCursor)
        else:
            self.viewport().unsetCursor()

    def viewportEvent(self, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            if found := self._id_at(event.pos()):
                QToolTip.showText(event.globalPos(), tr("Only lines with {id}", id=found), self.viewport())
            else:
                QToolTip.hideText()
            return True
        return super().viewportEvent(event)

    def _id_at(self, place: QPoint) -> str:
        index = self.indexAt(place)
        line: LogLine | None = index.data(LineRole) if index.isValid() else None
        if line is None:
            return ""
        area = text_area(self.visualRect(index))
        boxes = (id_ for box, _, id_ in laid_out(line, area) if id_ and box.contains(place))
        return next(boxes, "")


class LogDelegate(QStyledItemDelegate):
    """Time, level and text on one line, with the search's hits marked."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802 (Qt's own name)
        return QSize(200, QFontMetrics(theme().font("code")).height() + 7)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        line: LogLine | None = index.data(LineRole)
        if line is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option, 6)
        colors, code = theme().palette, theme().font("code")
        area = text_area(option.rect)
        wide = column_widths()
        time = QRect(option.rect.left() + _MARGIN, area.top(), wide[0], area.height())
        say_line(painter, time, f"{line.at.astimezone():%H:%M:%S}", code, colors.muted)
        tone = level_tone(line.level)
        level = QRect(time.right() + 1, area.top(), wide[1], area.height())
        say_line(painter, level, _LEVELS.get(line.level, line.level.lower()), code, colors.ink(tone))
        model = index.model()
        if isinstance(model, LogModel) and model.pattern is not None:
            self._mark(painter, area, "".join(text for text, _ in pieces(line)), model.pattern, code)
        plain = colors.muted if tone == "neutral" and line.level == "DEBUG" else colors.text
        for box, text, id_ in laid_out(line, area):
            box.setRight(
                area.right()
            )  # only the area's edge cuts: fonts that stand in are wider than they are said to be
            say_line(painter, box, text, code, colors.accent_ink if id_ else plain)
        painter.restore()

    @staticmethod
    def _mark(painter: QPainter, area: QRect, text: str, pattern: re.Pattern[str], font: QFont) -> None:
        metrics = QFontMetrics(font)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme().palette.hit))
        for number, hit in enumerate(pattern.finditer(text)):
            if number == 20:
                break
            left = area.left() + metrics.horizontalAdvance(text[: hit.start()])
            width = metrics.horizontalAdvance(hit.group())
            if width and left < area.right():
                box = QRectF(left - 1, area.top() + 3, min(width + 2, area.right() - left), area.height() - 6)
                painter.drawRoundedRect(box, 3, 3)


def text_area(row: QRect) -> QRect:
    """Where a row has its message."""
    return row.adjusted(_MARGIN + sum(column_widths()), 0, -_MARGIN, 0)


def column_widths() -> tuple[int, int]:
    """Of the time and of the level, in pixels."""
    return _widths_in(theme().font("code").toString())


@lru_cache(maxsize=4)
def _widths_in(font: str) -> tuple[int, int]:
    """In a font, as Qt writes it."""
    made = QFont()
    made.fromString(font)
    metrics = QFontMetrics(made)
    return metrics.horizontalAdvance("00:00:00") + _GAP, metrics.horizontalAdvance("error") + _GAP


def laid_out(line: LogLine, area: QRect) -> Iterator[tuple[QRect, str, str]]:
    """Each piece of a line that is to be seen, with its place; as `pieces`."""
    metrics, left = QFontMetrics(theme().font("code")), area.left()
    for text, id_ in pieces(line):
        if left >= area.right():
            return
        width = metrics.horizontalAdvance(text)
        right = min(left + width, area.right() + 1)
        yield QRect(left, area.top(), right - left, area.height()), text, id_
        left += width


def pieces(line: LogLine) -> list[tuple[str, str]]:
    """What a row says, in order: text, and of an id the whole of it. Ids are drawn by their beginnings, as everywhere
    else, so that the message has the room.
    """
    first, *rest = line.message[:SHOWN].split("\n", 1)
    found: list[tuple[str, str]] = []
    at = 0
    for one in _ID.finditer(first) if "-" in first else ():
        found += [(first[at : one.start()], ""), (one[1], one[0])]
        at = one.end()
    found.append((first[at:] + (f"   ⤶ +{line.message.count(chr(10))}" if rest else ""), ""))
    return [(text, id_) for text, id_ in found if text]


def ids_of(line: LogLine, *, most: int) -> list[str]:
    """The ids that its message has anywhere, each once."""
    return list(dict.fromkeys(one[0] for one in _ID.finditer(line.message[: 4 * SHOWN])))[:most]
