"""A bar for each day, with a scale, dates below, and the day's numbers under the mouse or the arrow keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFocusEvent, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.look.theme import theme
from desktop.models.usage import day_at, labelled, moved
from desktop.widgets.legend import paint_part
from worker_core.basics.quick_dataclass import dataclass

_HEIGHT: Final = 240
_LEAST_HEIGHT: Final = 200
_GAP: Final = 8
_WEEK: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A day."""

    name: str
    """The day, as it stands below."""

    said: str
    """All of its numbers."""

    value: float
    bad: float = 0.0
    """As much of the value as is shown in red."""

    parts: tuple[float, ...] = ()
    """What the value consists of, from the ground up, each in the look of its place; none: it is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleLine:
    value: float
    said: str


class BarChart(QWidget):
    """Bars from the oldest to the newest. Left, Right, Home, End and the page keys (a week) go from day to day."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setMinimumHeight(_LEAST_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self._bars: tuple[Bar, ...] = ()
        self._scale: tuple[ScaleLine, ...] = ()
        self._day: int | None = None
        theme().changed.connect(self.update)

    def show_bars(self, bars: Sequence[Bar], scale: Sequence[ScaleLine]) -> None:
        """`scale`: its lines from 0 on; the last is the top."""
        self._bars, self._scale = tuple(bars), tuple(scale)
        self._choose(self._day if self._day is None or self._day < len(bars) else None)
        self.update()

    @property
    def said(self) -> str:
        """The numbers of the day that is looked at; empty: of none."""
        return "" if self._day is None else self._bars[self._day].said

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        return QSize(400, _HEIGHT)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        steps = {
            Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_PageUp: -_WEEK, Qt.Key.Key_PageDown: _WEEK,
            Qt.Key.Key_Home: -len(self._bars), Qt.Key.Key_End: len(self._bars),
        }  # fmt: skip
        if (by := steps.get(Qt.Key(event.key()))) is None:
            super().keyPressEvent(event)
            return
        self._choose(moved(self._day, by, days=len(self._bars)))

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802 (Qt's own name)
        super().focusInEvent(event)
        if event.reason() in {Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason}:
            self._choose(moved(self._day, 0, days=len(self._bars)))

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802 (Qt's own name)
        super().focusOutEvent(event)
        self._choose(None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        area = self._area()
        self._choose(day_at(event.position().x() - area.left(), width=area.width(), days=len(self._bars)))

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's own name)
        self._choose(None)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter, area = QPainter(self), self._area()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme().font("caption"))
        self._paint_scale(painter, area)
        self._paint_days(painter, area)
        self._paint_bars(painter, area)
        if self._day is not None:
            self._paint_said(painter, area, self._day)

    # -- below ----------------------------------------------------------------------------------------------------

    def _choose(self, day: int | None) -> None:
        if day == self._day and self.accessibleDescription() == self.said:
            return
        self._day = day
        self.setAccessibleDescription(self.said)
        self.update()

    def _metrics(self) -> QFontMetrics:
        return QFontMetrics(theme().font("caption"))

    def _area(self) -> QRectF:
        metrics = self._metrics()
        left = max((metrics.horizontalAdvance(line.said) for line in self._scale), default=0) + _GAP
        above, below = metrics.height() + 12, metrics.height() + _GAP
        return QRectF(self.rect()).adjusted(left, above, -2, -below)

    def _y(self, area: QRectF, value: float) -> float:
        top = self._scale[-1].value if self._scale else 1.0
        return area.bottom() - min(1.0, max(0.0, value / top)) * area.height()

    def _paint_scale(self, painter: QPainter, area: QRectF) -> None:
        colors, height = theme().palette, self._metrics().height()
        for line in self._scale:
            y = round(self._y(area, line.value)) + 0.5
            painter.setPen(QPen(QColor(colors.line), 1))
            painter.drawLine(round(area.left()), round(y), round(area.right()), round(y))
            painter.setPen(QColor(colors.muted))
            box = QRectF(0, y - height / 2, area.left() - _GAP, height)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), line.said)

    def _paint_days(self, painter: QPainter, area: QRectF) -> None:
        metrics, count = self._metrics(), len(self._bars)
        widest = max((metrics.horizontalAdvance(bar.name) for bar in self._bars), default=0) + 1.0
        painter.setPen(QColor(theme().palette.muted))
        for place in labelled(count, width=area.width(), label_width=widest + 2 * _GAP):
            middle = area.left() + (place + 0.5) * area.width() / count
            left = min(max(area.left(), middle - widest / 2), area.right() - widest)
            box = QRectF(left, area.bottom() + _GAP / 2, widest, metrics.height())
            painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), self._bars[place].name)

    def _paint_bars(self, painter: QPainter, area: QRectF) -> None:
        if not self._bars:
            return
        colors, step = theme().palette, area.width() / len(self._bars)
        wide = max(2.0, min(28.0, step * 0.72))
        painter.setPen(Qt.PenStyle.NoPen)
        for place, bar in enumerate(self._bars):
            left = area.left() + (place + 0.5) * step - wide / 2
            if place == self._day:
                painter.setBrush(QColor(colors.selected))
                painter.drawRect(QRectF(area.left() + place * step, area.top(), step, area.height()))
            if bar.value <= 0:
                continue
            top = min(self._y(area, bar.value), area.bottom() - 2)  # what is there is seen
            if bar.parts:
                self._paint_parts(painter, area, bar, left=left, wide=wide)
                continue
            painter.setBrush(QColor(colors.accent if place != self._day else colors.accent_ink))
            painter.drawRoundedRect(QRectF(left, top, wide, area.bottom() - top), 1.5, 1.5)
            if bar.bad > 0:
                bad = min(self._y(area, bar.bad), area.bottom() - 2)
                painter.setBrush(QColor(colors.danger_ink))
                painter.drawRoundedRect(QRectF(left, bad, wide, area.bottom() - bad), 1.5, 1.5)

    def _paint_parts(self, painter: QPainter, area: QRectF, bar: Bar, *, left: float, wide: float) -> None:
        below = 0.0
        for place, value in enumerate(bar.parts):
            if value <= 0:
                continue
            bottom, below = self._y(area, below), below + value
            top = min(self._y(area, below), bottom - 1)
            # A line of the ground between two: neighbours are told apart without their colours.
            paint_part(painter, QRectF(left, top, wide, bottom - top - (1 if bottom - top > 3 and place else 0)), place)

    def _paint_said(self, painter: QPainter, area: QRectF, day: int) -> None:
        colors, metrics = theme().palette, self._metrics()
        room = self.width() - 16
        said = metrics.elidedText(self._bars[day].said, Qt.TextElideMode.ElideRight, room)
        width = metrics.horizontalAdvance(said) + 16
        middle = area.left() + (day + 0.5) * area.width() / len(self._bars)
        box = QRectF(min(max(0.0, middle - width / 2), self.width() - width), 0, width, metrics.height() + 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.text))
        painter.drawRoundedRect(box, 5, 5)
        painter.setPen(QColor(colors.window))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), said)
