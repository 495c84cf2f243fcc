"""A diagram in a conversation: drawn in the colours of the theme, with its source at hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.models.diagrams import Diagram, Flowchart, FlowEdge, SequenceDiagram, Shape, in_words
from desktop.models.flow_layout import Area, FlowPlaces, place_flowchart
from desktop.models.layers import Point, Size
from desktop.models.mermaid import read
from desktop.models.sequence_layout import LOOP, SequencePlaces, place_sequence
from desktop.widgets.buttons import Button
from desktop.widgets.code import CodeBlock

SMALLEST: Final = 0.7
"""Of its own size; a diagram that is wider than that lets it be is scrolled sideways."""

DESCRIBED: Final = 2_000
"""Characters of what a screen reader is told."""

_WORDS_WIDE: Final = 190
"""Pixels where the system's font has 13; longer words go over several lines."""

_EDGE: Final = 10
_CENTERED: Final = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)


class DiagramBlock(CodeBlock):
    """The diagram of a text in Mermaid; its source where that is wanted, or no diagram that is drawn here."""

    def __init__(self) -> None:
        super().__init__(language="mermaid", name=tr("Diagram, as its source ({language})", language="Mermaid"))
        self._canvas = DiagramView()
        self._drawn: Diagram | None = None
        self._area = _Sideways(self._canvas)
        self._source = Button(tr("Source"), variant="quiet", tip=tr("Show what the diagram is drawn from"))
        self._source.setCheckable(True)
        self._source.toggled.connect(self._show_either)
        self.head.insertWidget(2, self._source)
        self.body.addWidget(self._area)
        self._show_either()

    def show_text(self, text: str) -> None:
        super().show_text(text)
        diagram = read(text)
        if diagram != self._drawn:
            self._drawn = diagram
            self._canvas.show_diagram(diagram)
        self._show_either()

    def _show_either(self, *_: object) -> None:
        drawn = self._drawn is not None
        as_source = self._source.isChecked() or not drawn
        self._source.setVisible(drawn)
        self.text.setVisible(as_source)
        self._area.setVisible(not as_source)
        kind = tr("Flowchart") if isinstance(self._drawn, Flowchart) else tr("Sequence diagram")
        self.say(kind if drawn else tr("Not drawn, as its source ({language})", language="Mermaid"))


class _Sideways(QScrollArea):
    """As high as what it has; the wheel goes on to the page."""

    def __init__(self, canvas: DiagramView) -> None:
        super().__init__()
        self._canvas = canvas
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(tr("Diagram"))
        self.setWidget(canvas)
        self.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        canvas.setAutoFillBackground(False)
        self.viewport().setAutoFillBackground(False)
        canvas.changed = self._fit

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 (Qt's own name)
        if event.angleDelta().x() and self.horizontalScrollBar().maximum():
            super().wheelEvent(event)
        else:
            event.ignore()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self._canvas.fit(self.viewport().width())
        bar = self.horizontalScrollBar().sizeHint().height() if self._canvas.width() > self.viewport().width() else 0
        height = self._canvas.height() + bar
        if height != self.height():
            self.setFixedHeight(height)


class DiagramView(QWidget):
    """One diagram, no wider than it is told while that is readable."""

    def __init__(self) -> None:
        super().__init__()
        self._diagram: Diagram | None = None
        self._places: FlowPlaces | SequencePlaces | None = None
        self._scale = 1.0
        self.changed: Callable[[], object] = lambda: None
        """Called when it has another size of its own."""

        self.setAccessibleName(tr("Diagram"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        theme().changed.connect(self.update)

    def show_diagram(self, diagram: Diagram | None) -> None:
        """Lay it out and draw it; None: nothing."""
        self._diagram = diagram
        kind = tr("Flowchart") if isinstance(diagram, Flowchart) else tr("Sequence diagram")
        self.setAccessibleName(kind if diagram is not None else tr("Diagram"))
        said = ". ".join(in_words(diagram)) if diagram is not None else ""
        self.setAccessibleDescription(said if len(said) <= DESCRIBED else said[: DESCRIBED - 1] + "…")
        match diagram:
            case Flowchart():
                self._places = self._flow(diagram)
            case SequenceDiagram():
                self._places = self._sequence(diagram)
            case None:
                self._places = None
        self.updateGeometry()
        self.update()
        self.changed()

    def fit(self, width: int) -> None:
        """Take this width as far as words stay readable."""
        own = self.sizeHint()
        self._scale = min(1.0, max(SMALLEST, (width - 1) / max(1, own.width())))
        self.resize(math.ceil(own.width() * self._scale), math.ceil(own.height() * self._scale))

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        width, height = self._places.size if self._places is not None else (0.0, 0.0)
        return QSize(math.ceil(width) + 2 * _EDGE, math.ceil(height) + 2 * _EDGE)

    # -- sizes ----------------------------------------------------------------------------------------------------

    def _flow(self, chart: Flowchart) -> FlowPlaces:
        words, small = theme().font("body"), theme().font("small")
        labels = {edge.text: measure(edge.text, small) for edge in chart.edges if edge.text}
        return place_flowchart(
            chart,
            sizes={one.id: _around(one.shape, measure(one.text, words)) for one in chart.nodes},
            labels={text: (width + 10, height + 4) for text, (width, height) in labels.items()},
            titles={one.id: measure(one.text, theme().font("caption")) for one in chart.groups},
        )

    def _sequence(self, diagram: SequenceDiagram) -> SequencePlaces:
        small, strong = theme().font("small"), theme().font("medium")
        heads = {}
        for number, one in enumerate(diagram.participants):
            width, height = measure(one.text, strong)
            heads[number] = (max(72.0, width + 28), height + 16)
        texts = {getattr(step, name, "") for step in diagram.steps for name in ("text", "kind")}
        words = {text: measure(text, small) if text else (0.0, 0.0) for text in texts}
        return place_sequence(diagram, heads=heads, words=words)

    # -- painting -------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.hasFocus():
            painter.setPen(QColor(theme().palette.accent_ink))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        painter.scale(self._scale, self._scale)
        painter.translate(_EDGE, _EDGE)
        if isinstance(self._diagram, Flowchart) and isinstance(self._places, FlowPlaces):
            _paint_flow(painter, self._diagram, self._places)
        elif isinstance(self._places, SequencePlaces):
            _paint_sequence(painter, self._diagram, self._places)  # type: ignore[arg-type]


def measure(text: str, font: QFont) -> Size:
    """How large words are, over lines where they are long."""
    wide = theme().scaled(_WORDS_WIDE)
    box = QFontMetricsF(font).boundingRect(QRectF(0, 0, wide, 10_000), _CENTERED, text or " ")
    return math.ceil(box.width()) + 1, math.ceil(box.height())


def _around(shape: Shape, words: Size) -> Size:
    """How large a shape is with such words in it."""
    width, height = words
    match shape:
        case "diamond":
            return width * 1.25 + height * 1.2 + 26, height * 1.5 + 34
        case "circle" | "double":
            side = math.hypot(width, height) + (24 if shape == "double" else 16)
            return side, side
        case "hexagon" | "leaning" | "trapezoid" | "flag":
            return width + 56, height + 20
        case "cylinder":
            return max(width + 32, 64), height + 34
        case "subroutine" | "stadium":
            return width + 44, height + 20
        case _:
            return max(width + 30, 56), height + 20


def _rect(area: Area) -> QRectF:
    return QRectF(area.x, area.y, area.width, area.height)


def _outline(shape: Shape, box: QRectF) -> QPainterPath:
    path = QPainterPath()
    left, right, top, bottom, middle = box.left(), box.right(), box.top(), box.bottom(), box.center()
    match shape:
        case "round":
            path.addRoundedRect(box, 10, 10)
        case "stadium":
            path.addRoundedRect(box, box.height() / 2, box.height() / 2)
        case "circle" | "double":
            path.addEllipse(box)
        case "cylinder":
            bow = 8.0
            path.moveTo(left, top + bow)
            path.arcTo(QRectF(left, top, box.width(), 2 * bow), 180, -180)
            path.lineTo(right, bottom - bow)
            path.arcTo(QRectF(left, bottom - 2 * bow, box.width(), 2 * bow), 0, -180)
            path.closeSubpath()
            path.moveTo(left, top + bow)
            path.arcTo(QRectF(left, top, box.width(), 2 * bow), 180, 180)
        case "diamond":
            _corners(path, (middle.x(), top), (right, middle.y()), (middle.x(), bottom), (left, middle.y()))
        case "hexagon":
            _corners(
                path, (left + 16, top), (right - 16, top), (right, middle.y()), (right - 16, bottom),
                (left + 16, bottom), (left, middle.y()),
            )  # fmt: skip
        case "leaning":
            _corners(path, (left + 16, top), (right, top), (right - 16, bottom), (left, bottom))
        case "trapezoid":
            _corners(path, (left + 16, top), (right - 16, top), (right, bottom), (left, bottom))
        case "flag":
            _corners(path, (left, top), (right, top), (right, bottom), (left, bottom), (left + 14, middle.y()))
        case _:
            path.addRoundedRect(box, 5, 5)
            if shape == "subroutine":
                for x in (left + 8, right - 8):
                    path.moveTo(x, top)
                    path.lineTo(x, bottom)
    if shape == "double":
        path.addEllipse(box.adjusted(4, 4, -4, -4))
    return path


def _corners(path: QPainterPath, *points: Point) -> None:
    path.addPolygon(QPolygonF([QPointF(*one) for one in points]))
    path.closeSubpath()


def _paint_flow(painter: QPainter, chart: Flowchart, places: FlowPlaces) -> None:
    colors = theme().palette
    for group in chart.groups:
        area = _rect(places.areas[group.id])
        painter.setPen(QPen(QColor(colors.line_strong), 1))
        painter.setBrush(QColor(colors.raised))
        painter.drawRoundedRect(area, 9, 9)
        painter.setFont(theme().font("caption"))
        painter.setPen(QColor(colors.muted))
        above = area.adjusted(14, 9, -10, 0)
        painter.drawText(above, int(Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap), group.text)
    for route in places.routes:
        if route.edge.line != "hidden":
            _paint_line(painter, route.edge, _curve(route.points, sideways=places.is_sideways))
    for node in chart.nodes:
        box = _rect(places.areas[node.id])
        painter.setPen(QPen(QColor(colors.edge), 1.2))
        painter.setBrush(QColor(colors.surface))
        painter.drawPath(_outline(node.shape, box))
        painter.setFont(theme().font("body"))
        painter.setPen(QColor(colors.text))
        inside = box.adjusted(0, 8, 0, 0) if node.shape == "cylinder" else box
        _write(painter, inside.center(), node.text, theme().font("body"), colors.text)
    for route in places.routes:
        if route.label is not None and route.edge.line != "hidden":
            _write(painter, QPointF(*route.label), route.edge.text, theme().font("small"), colors.muted, ground=True)


def _write(painter: QPainter, middle: QPointF, text: str, font: QFont, color: str, *, ground: bool = False) -> None:
    """Words around a point, as they were measured."""
    if not text:
        return
    width, height = measure(text, font)
    box = QRectF(middle.x() - width / 2, middle.y() - height / 2, width, height)
    if ground:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme().palette.sunken))
        painter.drawRoundedRect(box.adjusted(-4, -1, 4, 1), 4, 4)
    painter.setFont(font)
    painter.setPen(QColor(color))
    painter.drawText(box.adjusted(-1, 0, 1, 0), _CENTERED, text)


def _curve(points: tuple[Point, ...], *, sideways: bool) -> QPainterPath:
    """Through all points, straight down (or sideways) at its ends, and turning no more than it has to in between."""
    turned = [(y, x) for x, y in points] if sideways else list(points)
    slopes = [0.0] * len(turned)
    for number in range(1, len(turned) - 1):
        (x, y), (u, v), (s, t) = turned[number - 1 : number + 2]
        before, after = (u - x) / ((v - y) or 1e-6), (s - u) / ((t - v) or 1e-6)
        slopes[number] = 0.0 if before * after <= 0 else 2 * before * after / (before + after)
    path = QPainterPath(QPointF(*points[0]))
    for ((x, y), (u, v)), (leaves, comes) in zip(pairwise(turned), pairwise(slopes), strict=True):
        third = (v - y) / 3 if len(turned) > 2 else (v - y) / 2
        controls = [(x + leaves * third, y + third), (u - comes * third, v - third), (u, v)]
        path.cubicTo(*(QPointF(b, a) if sideways else QPointF(a, b) for a, b in controls))
    return path


def _paint_line(painter: QPainter, edge: FlowEdge, path: QPainterPath) -> None:
    color = QColor(theme().palette.muted)
    pen = QPen(color, 2.4 if edge.line == "thick" else 1.3)
    if edge.line == "dotted":
        pen.setDashPattern([3, 3])
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(path)
    length = max(path.length(), 0.1)
    for end, at, near in ((edge.ends, 1.0, 1 - min(1.0, 9 / length)), (edge.begins, 0.0, min(1.0, 9 / length))):
        _paint_end(painter, end, tip=path.pointAtPercent(at), behind=path.pointAtPercent(near), color=color)


def _paint_end(painter: QPainter, end: str, *, tip: QPointF, behind: QPointF, color: QColor) -> None:
    """What stands at an end of a line that comes from `behind`."""
    if not end:
        return
    away = math.atan2(tip.y() - behind.y(), tip.x() - behind.x())
    painter.setPen(QPen(color, 1.3))
    painter.setBrush(color)
    if end == "circle":
        painter.drawEllipse(QPointF(tip.x() - 4 * math.cos(away), tip.y() - 4 * math.sin(away)), 3.6, 3.6)
        return
    sides = [
        QPointF(tip.x() - 9 * math.cos(away + turn), tip.y() - 9 * math.sin(away + turn)) for turn in (0.42, -0.42)
    ]
    if end == "arrow":
        painter.drawPolygon(QPolygonF([tip, *sides]))
    elif end == "open":
        painter.drawPolyline(QPolygonF([sides[0], tip, sides[1]]))
    else:
        middle = (sides[0] + sides[1]) / 2
        for turn in (math.pi / 4, -math.pi / 4):
            along = QPointF(5 * math.cos(away + turn), 5 * math.sin(away + turn))
            painter.drawLine(middle - along, middle + along)


def _paint_sequence(painter: QPainter, diagram: SequenceDiagram, places: SequencePlaces) -> None:
    colors, small = theme().palette, theme().font("small")
    height = places.size[1]
    for frame in places.frames:
        area = _rect(frame.area)
        painter.setPen(QPen(QColor(colors.line_strong), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(area, 7, 7)
    for x, head in zip(places.lifelines, places.heads, strict=True):
        pen = QPen(QColor(colors.line_strong), 1.2)
        pen.setDashPattern([4, 4])
        painter.setPen(pen)
        painter.drawLine(QPointF(x, head.y + head.height), QPointF(x, height))
    for frame in places.frames:
        _paint_frame(painter, frame.kind, frame.text, frame.parts, _rect(frame.area))
    for participant, head in zip(diagram.participants, places.heads, strict=True):
        painter.setPen(QPen(QColor(colors.edge), 1.2))
        painter.setBrush(QColor(colors.surface))
        painter.drawRoundedRect(_rect(head), 6, 6)
        _write(painter, _rect(head).center(), participant.text, theme().font("medium"), colors.text)
    for remark, place in places.remarks:
        painter.setPen(QPen(QColor(colors.warning_ink), 0.8))
        painter.setBrush(QColor(colors.warning_soft))
        painter.drawRoundedRect(_rect(place), 4, 4)
        _write(painter, _rect(place).center(), remark.text, small, colors.text)
    for message in places.messages:
        begins, ends = QPointF(*message.begins), QPointF(*message.ends)
        path = QPainterPath(begins)
        if message.message.source == message.message.target:
            out = LOOP * 1.3
            path.cubicTo(begins.x() + out, begins.y() - 2, ends.x() + out, ends.y() + 2, ends.x(), ends.y())
        else:
            path.lineTo(ends)
        said = message.message
        _paint_line(
            painter,
            FlowEdge(source="", target="", line=said.line, begins=said.begins, ends=said.ends),
            path,
        )
        _write(painter, QPointF(*message.words), said.text, small, colors.text, ground=True)


def _paint_frame(painter: QPainter, kind: str, text: str, parts: tuple[tuple[float, str], ...], area: QRectF) -> None:
    colors, small, strong = theme().palette, theme().font("small"), theme().font("caption")
    width, height = measure(kind, strong)
    tab = QRectF(area.left(), area.top(), width + 16, height + 8)
    painter.setPen(QPen(QColor(colors.line_strong), 1))
    painter.setBrush(QColor(colors.selected))
    painter.drawRoundedRect(tab, 7, 7)
    _write(painter, tab.center(), kind, strong, colors.muted)
    if text:
        wide, _ = measure(text, small)
        _write(painter, QPointF(tab.right() + 10 + wide / 2, tab.center().y()), text, small, colors.muted, ground=True)
    for y, said in parts:
        pen = QPen(QColor(colors.line_strong), 1)
        pen.setDashPattern([4, 3])
        painter.setPen(pen)
        painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        if said:
            wide, tall = measure(said, small)
            _write(
                painter, QPointF(area.left() + 12 + wide / 2, y + 4 + tall / 2), said, small, colors.muted, ground=True
            )
