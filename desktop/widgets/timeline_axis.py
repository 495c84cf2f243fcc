"""The time below a timeline, painted: lines at round times with what they are, and folds with how long they are."""

from __future__ import annotations

import bisect
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen

from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.models.time_scale import TimeScale
from desktop.models.timeline_text import clock_text
from desktop.widgets.timeline_bars import paint_fold

_TICKS_APART: Final = 86
_CENTER = int(Qt.AlignmentFlag.AlignCenter)


def axis_height() -> int:
    """Pixels below the plot."""
    return QFontMetrics(theme().font("caption")).height() + 6


def paint_axis(painter: QPainter, scale: TimeScale, *, plot: QRectF, offset: float) -> None:
    """Paint it in `plot` and below it, in the painter's font. `offset` is added to a place in the scale."""
    colors = theme().palette
    since, until = scale.at_of(plot.left() - offset), scale.at_of(plot.right() - offset)
    step, ticks = scale.ticks(least_pixels=_TICKS_APART, since=since, until=until)
    times = _Times(painter, top=plot.bottom() + 2, height=axis_height() - 3, step=step)
    for piece in scale.pieces:
        area = QRectF(piece.left + offset, plot.top(), piece.right - piece.left, plot.height() + axis_height())
        if area.right() <= plot.left() or area.left() >= plot.right():
            continue
        if piece.folded:
            words = QRectF(area.left(), times.top, area.width(), times.height)
            paint_fold(painter, area, words, piece.end - piece.begin)
            continue
        times.begin(area.intersected(plot))
        any_said = False
        for at in ticks[bisect.bisect_left(ticks, piece.begin) : bisect.bisect_right(ticks, piece.end)]:
            x = scale.x_of(at) + offset
            if times.area.left() <= x <= times.area.right():
                painter.setPen(QPen(QColor(colors.line), 1))
                painter.drawLine(QPointF(round(x) + 0.5, plot.top()), QPointF(round(x) + 0.5, plot.bottom() + 3))
                any_said = times.say(at, x, centered=True) or any_said
        if not any_said:
            times.say(scale.at_of(times.area.left() - offset), times.area.left() + Space.XS, centered=False)


class _Times:
    """The words of an axis. The first time of another day says the day."""

    def __init__(self, painter: QPainter, *, top: float, height: float, step: float) -> None:
        self.top, self.height, self.area = top, height, QRectF()
        self._painter, self._step = painter, step
        self._metrics = QFontMetrics(painter.font())
        self._day, self._free = "", 0.0

    def begin(self, area: QRectF) -> None:
        """What is said next is said between the ends of this."""
        self.area, self._free = area, area.left()

    def say(self, at: float, x: float, *, centered: bool) -> bool:
        """Between what was said last and the end of the piece, or not at all."""
        dated = clock_text(at, step=self._step, with_day=True)
        said = dated if self._day and not dated.startswith(self._day) else clock_text(at, step=self._step)
        width = self._metrics.horizontalAdvance(said) + 1
        begin = max(self.area.left(), x - width / 2) if centered else x
        if begin < self._free or begin + width > self.area.right():
            return False
        self._painter.setPen(QColor(theme().palette.muted))
        self._painter.drawText(QRectF(begin, self.top, width, self.height), _CENTER, said)
        self._free, self._day = begin + width + Space.S, dated.partition(" ")[0]
        return True
