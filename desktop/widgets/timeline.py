"""An execution's timeline, painted: a line for each kind of span, time below. It paints what is seen of it, and nothing
in it ticks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QSizePolicy, QToolTip

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.look.wording import duration_text, tooltip_text
from desktop.models.time_scale import TimeScale, scale_of
from desktop.models.timeline import LaneName, TimelineSpan, busy_times, seconds_in
from desktop.models.timeline_layout import TimelineBar, TimelineRow, bars_of, rows_of
from desktop.models.timeline_text import lane_text, span_lines, span_text
from desktop.widgets.timeline_axis import axis_height, paint_axis
from desktop.widgets.timeline_bars import BAR, paint_bar, paint_outline

ONE_LINE: Final = 22
"""Pixels of a lane, and of each of its lines where it has several."""

OF_SEVERAL: Final = 14

_LEADS_TO_ITEMS = frozenset[LaneName]({"model", "retry"})
_NEAR = 3
_ZOOM_STEP = 1.6
_FINEST_PIXELS_PER_SECOND = 4_000.0
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class Timeline(QAbstractScrollArea):
    """Shows spans. The arrow keys go from one to the next, Enter and a click choose one, + and - (or Ctrl with the
    wheel) zoom, 0 shows all. Its accessible name is what the current span says.
    """

    chosen = Signal(object, bool)
    """The `TimelineSpan`, and whether a key chose it."""

    zoomed = Signal(float)
    """1.0: all of it is shown."""

    told = Signal(str)
    """What the span below the pointer, or else the current one, says; empty: there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.viewport().setAutoFillBackground(False)
        self._spans: tuple[TimelineSpan, ...] = ()
        self._rows: dict[LaneName, tuple[TimelineRow, ...]] = {}
        self._sums: dict[LaneName, str] = {}
        self._now = 0.0
        self._zoom = 1.0
        self._scale: TimeScale | None = None
        self._current: int | None = None
        self._hovered: TimelineSpan | None = None
        self._labels = 0
        self.setAccessibleName(tr("Timeline"))
        self.horizontalScrollBar().valueChanged.connect(lambda *_: self.viewport().update())
        theme().changed.connect(self.viewport().update)

    # -- public ---------------------------------------------------------------------------------------------------

    def show_spans(self, spans: Sequence[TimelineSpan], *, now: float | None = None) -> None:
        """Show these, which are ordered by their beginning. The current one stays the current one."""
        before = self.current
        self._spans = tuple(spans)
        self._rows = rows_of(self._spans)
        self._current = None
        if before is not None:
            same = (number for number, span in enumerate(self._spans) if _same(span, before))
            self._current = next(same, None)
        self._hovered = None
        self.tick(now=now)
        self._tell()

    def tick(self, *, now: float | None = None) -> None:
        """What runs has grown."""
        bar = self.horizontalScrollBar()
        followed = bar.value() >= bar.maximum()
        self._now = datetime.now(UTC).timestamp() if now is None else now
        self._lay_out()
        if followed:
            bar.setValue(bar.maximum())
        self.viewport().update()

    def go_to(self, key: str) -> bool:
        """Make the span of an item of the conversation the current one, of several its own rather than that of the
        model call which led to it. False: it has none.
        """
        own = [number for number, span in enumerate(self._spans) if span.key == key]
        if own:
            self._step_to(min(own, key=lambda number: self._spans[number].lane in _LEADS_TO_ITEMS))
        return bool(own)

    @property
    def spans(self) -> tuple[TimelineSpan, ...]:
        return self._spans

    @property
    def now(self) -> float:
        """Up to when what runs is drawn, in seconds since 1970."""
        return self._now

    @property
    def runs(self) -> bool:
        """Something in it grows."""
        return any(span.end is None for span in self._spans)

    @property
    def current(self) -> TimelineSpan | None:
        """Where the keyboard is."""
        return None if self._current is None else self._spans[self._current]

    @property
    def zoom(self) -> float:
        return self._zoom

    def zoom_in(self) -> None:
        self._zoom_to(self._zoom * _ZOOM_STEP, self._plot().center().x())

    def zoom_out(self) -> None:
        self._zoom_to(self._zoom / _ZOOM_STEP, self._plot().center().x())

    def fit(self) -> None:
        """Show all of it."""
        self._zoom_to(1.0, 0)

    def bar_at(self, point: QPointF) -> TimelineBar | None:
        """What is drawn there."""
        if self._scale is None or not self._plot().adjusted(-_NEAR, 0, _NEAR, 0).contains(point):
            return None
        for row, area in self._lines():
            if area.top() <= point.y() < area.bottom():
                near = [bar for bar in self._bars(row) if bar.left - _NEAR <= self._inside(point) <= bar.right + _NEAR]
                return min(near, key=lambda bar: _distance(bar, self._inside(point)), default=None)
        return None

    # -- its size -------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        metrics = QFontMetrics(theme().font("caption"))
        self._sums = {
            lane: duration_text(total) if (total := seconds_in(_all(rows), self._now)) > 0 else ""
            for lane, rows in self._rows.items()
        }
        names = max((metrics.horizontalAdvance(lane_text(lane)) for lane in self._rows), default=0)
        sums = max((metrics.horizontalAdvance(said) for said in self._sums.values()), default=0)
        self._labels = Space.S + names + Space.M + sums + Space.M
        seen = self._plot().width()
        self._scale = scale_of(busy_times(self._spans, self._now), width=seen, zoom=self._zoom)
        bar = self.horizontalScrollBar()
        bar.setPageStep(round(seen))
        bar.setSingleStep(max(1, round(seen / 12)))
        bar.setRange(0, max(0, round(self._scale.width - seen)) if self._scale is not None else 0)
        height = sum(_height(rows) for rows in self._rows.values()) + axis_height() + 2
        height += bar.sizeHint().height() if bar.maximum() else 0
        if self.height() != height or self.minimumHeight() != height:
            self.setFixedHeight(height)

    def _plot(self) -> QRectF:
        """Where time is drawn."""
        area = QRectF(self.viewport().rect())
        return area.adjusted(self._labels, 1, -Space.S, -axis_height() - 1)

    def _offset(self) -> float:
        """What is added to a place in the scale."""
        return self._plot().left() - self.horizontalScrollBar().value()

    def _inside(self, point: QPointF) -> float:
        return point.x() - self._offset()

    def _lines(self) -> Iterator[tuple[TimelineRow, QRectF]]:
        """Each line and where it is."""
        plot = self._plot()
        top = plot.top()
        for rows in self._rows.values():
            each = ONE_LINE if len(rows) == 1 else OF_SEVERAL
            pad = (_height(rows) - each * len(rows)) / 2
            for number, row in enumerate(rows):
                yield row, QRectF(plot.left(), top + pad + number * each, plot.width(), each)
            top += _height(rows)

    def _bars(self, row: TimelineRow) -> list[TimelineBar]:
        """Of what is seen now."""
        if self._scale is None:
            return []
        first = self.horizontalScrollBar().value()
        since, until = self._scale.at_of(first - 2), self._scale.at_of(first + self._plot().width() + 2)
        return bars_of(row.within(since, until), x_of=self._scale.x_of, now=self._now)

    def _zoom_to(self, zoom: float, x: float) -> None:
        """What stands at `x` stays there."""
        if self._scale is None:
            return
        plot, bar = self._plot(), self.horizontalScrollBar()
        at = self._scale.at_of(x - self._offset())
        most = max(1.0, _FINEST_PIXELS_PER_SECOND * (self._scale.end - self._scale.begin) / max(1.0, plot.width()))
        self._zoom = min(max(1.0, zoom), most)
        self._lay_out()
        self.zoomed.emit(self._zoom)
        bar.setValue(round(self._scale.x_of(at) - (x - plot.left())))
        self.viewport().update()

    # -- painting -------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        if self._scale is None:
            return
        painter, plot = QPainter(self.viewport()), self._plot()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_lanes(painter)
        painter.setClipRect(plot.adjusted(-1, 0, 1, axis_height() + 1))
        paint_axis(painter, self._scale, plot=plot, offset=self._offset())
        painter.setClipRect(plot.adjusted(-BAR / 2, 0, BAR / 2, 0))
        chosen = None
        for row, area in self._lines():
            for bar in self._bars(row):
                shape = paint_bar(painter, bar, area, offset=self._offset(), several=area.height() < ONE_LINE)
                if self.current is not None and any(one is self.current for one in bar.spans):
                    chosen = shape
                elif self._hovered is not None and self._hovered in bar.spans:
                    paint_outline(painter, shape, theme().palette.muted)
        if chosen is not None:
            paint_outline(painter, chosen, theme().palette.accent_ink if self.hasFocus() else theme().palette.muted)
        painter.setClipping(False)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme().palette.accent_ink), 1))
            painter.drawRoundedRect(QRectF(self.viewport().rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)

    def _paint_lanes(self, painter: QPainter) -> None:
        colors, plot = theme().palette, self._plot()
        painter.setFont(theme().font("caption"))
        top = plot.top()
        for lane, rows in self._rows.items():
            area = QRectF(Space.S, top, self._labels - Space.S - Space.M, _height(rows))
            painter.setPen(QColor(colors.text))
            painter.drawText(area, _LEFT, lane_text(lane))
            painter.setPen(QColor(colors.muted))
            painter.drawText(area, _RIGHT, self._sums[lane])
            top += _height(rows)
            painter.setPen(QPen(QColor(colors.line), 1))
            painter.drawLine(QPointF(plot.left(), round(top) + 0.5), QPointF(plot.right(), round(top) + 0.5))

    # -- hands ----------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._lay_out()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 (Qt's own name)
        turned = event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._zoom_to(self._zoom * _ZOOM_STEP ** (turned.y() / 120), event.position().x())
            event.accept()
        elif self.horizontalScrollBar().maximum():
            bar = self.horizontalScrollBar()
            bar.setValue(bar.value() - (turned.x() or turned.y()))
            event.accept()
        else:
            event.ignore()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        bar = self.bar_at(event.position())
        self._hover(None if bar is None else _foremost(bar))

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        if event.button() == Qt.MouseButton.LeftButton and (bar := self.bar_at(event.position())) is not None:
            self._go_to(_foremost(bar))
            self.chosen.emit(_foremost(bar), False)

    def viewportEvent(self, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if event.type() is QEvent.Type.Leave:
            self._hover(None)
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            bar = self.bar_at(QPointF(event.pos()))
            if bar is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), tooltip_text("\n".join(self.lines_of(bar))), self.viewport())
            return True
        return super().viewportEvent(event)

    def lines_of(self, bar: TimelineBar) -> tuple[str, ...]:
        """What is said of a mark."""
        more = len(bar.spans) - 1
        also = (tr("And {n} more at this place: zoom in to tell them apart.", n=more),) if more else ()
        return (*span_lines(_foremost(bar), self._now), *also)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        if not self._spans:
            super().keyPressEvent(event)
            return
        last = len(self._spans) - 1
        match event.key():
            case Qt.Key.Key_Left:
                self._step_to(last if self._current is None else max(0, self._current - 1))
            case Qt.Key.Key_Right:
                self._step_to(0 if self._current is None else min(last, self._current + 1))
            case Qt.Key.Key_Home:
                self._step_to(0)
            case Qt.Key.Key_End:
                self._step_to(last)
            case Qt.Key.Key_Up | Qt.Key.Key_Down:
                self._change_lane(-1 if event.key() == Qt.Key.Key_Up else 1)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space if self.current is not None:
                self.chosen.emit(self.current, True)
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self.zoom_in()
            case Qt.Key.Key_Minus:
                self.zoom_out()
            case Qt.Key.Key_0:
                self.fit()
            case _:
                super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802 (Qt's own name)
        super().focusInEvent(event)
        came_by_key = event.reason() in {Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason}
        if came_by_key and self._current is None and self._spans:
            self._step_to(len(self._spans) - 1)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802 (Qt's own name)
        super().focusOutEvent(event)
        self.viewport().update()

    # -- the current one ------------------------------------------------------------------------------------------

    def _step_to(self, number: int) -> None:
        self._current = number
        self._bring_into_view(self._spans[number])
        self._tell()
        self.viewport().update()

    def _go_to(self, span: TimelineSpan) -> None:
        self._step_to(next(number for number, one in enumerate(self._spans) if one is span))

    def _change_lane(self, by: int) -> None:
        """To the span of the next lane that is nearest in time."""
        lanes = list(self._rows)
        if self.current is None:
            self._step_to(0)
            return
        place, begin = lanes.index(self.current.lane) + by, self.current.begin
        if 0 <= place < len(lanes):
            self._go_to(min(_all(self._rows[lanes[place]]), key=lambda span: abs(span.begin - begin)))

    def _bring_into_view(self, span: TimelineSpan) -> None:
        if self._scale is None:
            return
        bar, seen = self.horizontalScrollBar(), self._plot().width()
        begin, end = self._scale.x_of(span.begin), self._scale.x_of(span.until(self._now))
        if end > bar.value() + seen or begin < bar.value():
            bar.setValue(round(begin - Space.XL if end - begin > seen else (begin + end - seen) / 2))

    def _hover(self, span: TimelineSpan | None) -> None:
        if span is not self._hovered:
            self._hovered = span
            self.viewport().setCursor(Qt.CursorShape.ArrowCursor if span is None else Qt.CursorShape.PointingHandCursor)
            self._tell()
            self.viewport().update()

    def _tell(self) -> None:
        said = self._hovered or self.current
        self.told.emit("" if said is None else span_text(said, self._now))
        here = self.current
        name = tr("Timeline") if here is None else f"{lane_text(here.lane)}: {span_text(here, self._now)}"
        if name != self.accessibleName():
            self.setAccessibleName(name)


def _all(rows: Sequence[TimelineRow]) -> list[TimelineSpan]:
    return [span for row in rows for span in row.spans]


def _height(rows: Sequence[TimelineRow]) -> int:
    return ONE_LINE if len(rows) == 1 else OF_SEVERAL * len(rows) + 4


def _same(one: TimelineSpan, other: TimelineSpan) -> bool:
    return (one.lane, one.begin, one.key) == (other.lane, other.begin, other.key)


def _foremost(bar: TimelineBar) -> TimelineSpan:
    """The one that gave the mark its tone."""
    return next(span for span in bar.spans if span.tone == bar.tone)


def _distance(bar: TimelineBar, x: float) -> float:
    return max(bar.left - x, x - bar.right, 0.0)
