"""Charts drawn with QPainter. They paint when their values change and are seen; nothing in them ticks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QLinearGradient, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Tone
from desktop.look.wording import duration_text
from worker_core.basics.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values at equal distances, the newest last; None where there is no value."""

    name: str
    values: Sequence[float | None]
    tone: Tone = "accent"


class AreaChart(QWidget):
    """One or two series over time, filled softly. `capacity` values fill the width, the newest at the right."""

    def __init__(
        self,
        name: str,
        *,
        said: Callable[[float], str],
        capacity: int = 120,
        ceiling: float | None = None,
        least: float = 1.0,
        height: int = 96,
        seconds_a_value: float | None = None,
    ) -> None:
        """`ceiling` fixes the top of the scale; without one it follows the values and is at least `least`. Where values
        are so many seconds apart, the axis says how long ago the first was.
        """
        super().__init__()
        self.setAccessibleName(name)
        self.setMinimumHeight(height)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self._said, self._capacity, self._ceiling, self._least = said, capacity, ceiling, least
        self._height, self._seconds = height, seconds_a_value
        self._series: tuple[Series, ...] = ()
        self._hover: float | None = None
        theme().changed.connect(self.update)

    def set_series(self, *series: Series) -> None:
        self._series = series
        newest = [
            f"{one.name}: {self._said(one.values[-1])}" for one in series if one.values and one.values[-1] is not None
        ]
        self.setAccessibleDescription(", ".join(newest))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        return QSize(240, self._height)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter, colors = QPainter(self), theme().palette
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        said = QFontMetrics(theme().font("caption")).height() + 4
        area = QRectF(self.rect()).adjusted(0, said, -1, -4 if self._seconds is None else -said)
        painter.setPen(QPen(QColor(colors.line), 1))
        for share in (0.0, 0.5, 1.0):
            y = round(area.bottom() - share * area.height()) + 0.5
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        top = self._top()
        for series in self._series:
            self._paint_series(painter, area, series, top)
        self._paint_scale(painter, area, top)
        if self._seconds is not None:
            self._paint_time(painter, area, self._seconds)
        if self._hover is not None:
            self._paint_hover(painter, area, top)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        self._hover = event.position().x()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's own name)
        self._hover = None
        self.update()

    # -- below ----------------------------------------------------------------------------------------------------

    def _top(self) -> float:
        if self._ceiling is not None:
            return self._ceiling
        highest = max((value for one in self._series for value in one.values if value is not None), default=0.0)
        return max(self._least, highest * 1.2)

    def _runs(self, area: QRectF, series: Series, top: float) -> list[list[QPointF]]:
        """Points of the newest values; one that is not known ends a run."""
        step = area.width() / max(1, self._capacity - 1)
        values = list(series.values)[-self._capacity :]
        first = area.right() - step * (len(values) - 1)
        runs: list[list[QPointF]] = [[]]
        for number, value in enumerate(values):
            if value is not None:
                height = min(1.0, max(0.0, value / top)) * area.height()
                runs[-1].append(QPointF(first + step * number, area.bottom() - height))
            elif runs[-1]:
                runs.append([])
        return runs

    def _paint_series(self, painter: QPainter, area: QRectF, series: Series, top: float) -> None:
        runs = [run for run in self._runs(area, series, top) if run]
        for run in runs:
            if len(run) > 1:
                self._paint_run(painter, area, series, run)
        if runs and (len(runs) > 1 or len(runs[-1]) > 1):
            newest = runs[-1][-1]
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme().palette.ink(series.tone)))
            painter.drawEllipse(QPointF(min(newest.x(), area.right() - 2), newest.y()), 2.6, 2.6)

    def _paint_run(self, painter: QPainter, area: QRectF, series: Series, points: list[QPointF]) -> None:
        line = _smooth(points)
        ink = QColor(theme().palette.ink(series.tone))
        under = QPainterPath(line)
        under.lineTo(points[-1].x(), area.bottom())
        under.lineTo(points[0].x(), area.bottom())
        under.closeSubpath()
        shade = QLinearGradient(0, area.top(), 0, area.bottom())
        for at, alpha in ((0.0, 0.20 if series is self._series[0] else 0.08), (1.0, 0.0)):
            color = QColor(ink)
            color.setAlphaF(alpha)
            shade.setColorAt(at, color)
        painter.fillPath(under, shade)
        painter.setPen(QPen(ink, 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(line)

    def _paint_scale(self, painter: QPainter, area: QRectF, top: float) -> None:
        painter.setFont(theme().font("caption"))
        painter.setPen(QColor(theme().palette.muted))
        said = self._said(top)
        height = QFontMetrics(painter.font()).height()
        painter.drawText(
            QRectF(area.left(), area.top() - height - 2, 140, height), int(Qt.AlignmentFlag.AlignLeft), said
        )

    def _paint_time(self, painter: QPainter, area: QRectF, seconds: float) -> None:
        below = QRectF(area.left(), area.bottom() + 2, area.width(), self.height() - area.bottom() - 2)
        painter.drawText(below, int(Qt.AlignmentFlag.AlignLeft), self._ago(self._capacity, seconds))
        painter.drawText(below, int(Qt.AlignmentFlag.AlignRight), tr("now"))

    @staticmethod
    def _ago(values: int, seconds: float) -> str:
        return tr("{time} ago", time=duration_text(float(round(values * seconds))))

    def _paint_hover(self, painter: QPainter, area: QRectF, top: float) -> None:
        assert self._hover is not None
        colors, parts, x, ago = theme().palette, [], self._hover, 0
        for series in self._series:
            values = list(series.values)[-self._capacity :]
            step = area.width() / max(1, self._capacity - 1)
            number = round(len(values) - 1 - (area.right() - self._hover) / step)
            if 0 <= number < len(values) and (value := values[number]) is not None:
                ago = len(values) - 1 - number
                x = area.right() - step * ago
                y = area.bottom() - min(1.0, value / top) * area.height()
                painter.setPen(QPen(QColor(colors.surface), 2))
                painter.setBrush(QColor(colors.ink(series.tone)))
                painter.drawEllipse(QPointF(x, y), 4, 4)
                parts.append(f"{series.name} {self._said(value)}" if len(self._series) > 1 else self._said(value))
        if not parts:
            return
        if self._seconds is not None and ago:
            parts.append(self._ago(ago, self._seconds))
        said, font = "   ".join(parts), theme().font("caption")
        metrics = QFontMetrics(font)
        width = metrics.horizontalAdvance(said) + 16
        box = QRectF(min(max(0.0, x - width / 2), self.width() - width), 0, width, metrics.height() + 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.text))
        painter.drawRoundedRect(box, 5, 5)
        painter.setFont(font)
        painter.setPen(QColor(colors.window))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), said)


class Meter(QWidget):
    """A thin bar from 0 to 1."""

    def __init__(self, name: str, *, tone: Tone = "accent") -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setFixedHeight(6)
        self._value, self._tone = 0.0, tone
        theme().changed.connect(self.update)

    def set_value(self, value: float, *, tone: Tone | None = None) -> None:
        self._value, self._tone = min(1.0, max(0.0, value)), tone or self._tone
        self.setAccessibleDescription(f"{self._value:.0%}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter, colors, area = QPainter(self), theme().palette, QRectF(self.rect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.selected))
        painter.drawRoundedRect(area, 3, 3)
        if self._value > 0:
            painter.setBrush(QColor(colors.accent if self._tone == "accent" else colors.ink(self._tone)))
            painter.drawRoundedRect(QRectF(0, 0, max(6.0, area.width() * self._value), 6), 3, 3)


SPARK_POINTS = 40
"""The newest values that a sparkline shows."""


def paint_sparkline(
    painter: QPainter, area: QRectF, values: Sequence[float | None], *, tone: Tone = "accent", least: float = 4.0
) -> None:
    """A line without a scale for a row of a list, filled softly; a hairline where there are no two values yet.

    Args:
        painter: antialiased.
        area: that the line fills from left to right with SPARK_POINTS values, the newest at the right.
        values: None where there is no value.
        tone: of the line.
        least: what reaches the top where no value is higher.
    """
    painter.setPen(QPen(QColor(theme().palette.line_strong), 1))
    painter.drawLine(area.bottomLeft(), area.bottomRight())
    newest = list(values)[-SPARK_POINTS:]
    top = max((least, *(value for value in newest if value is not None)))
    step, height = area.width() / (SPARK_POINTS - 1), area.height() - 2
    points = [
        QPointF(area.right() - step * (len(newest) - 1 - place), area.bottom() - max(0.0, value) / top * height)
        for place, value in enumerate(newest)
        if value is not None
    ]
    if len(points) < 2 or not any(newest):
        return
    line = _smooth(points)
    under = QPainterPath(line)
    under.lineTo(points[-1].x(), area.bottom())
    under.lineTo(points[0].x(), area.bottom())
    ink = QColor(theme().palette.ink(tone))
    shade = QColor(ink)
    shade.setAlphaF(0.12)
    painter.fillPath(under, shade)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(ink, 1.4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    painter.drawPath(line)


def _smooth(points: list[QPointF]) -> QPainterPath:
    """A curve through the points that never overshoots them: its handles are level."""
    path = QPainterPath(points[0])
    for before, after in itertools.pairwise(points):
        middle = (before.x() + after.x()) / 2
        path.cubicTo(QPointF(middle, before.y()), QPointF(middle, after.y()), after)
    return path
