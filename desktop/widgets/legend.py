"""What the parts of a chart are: a mark in the colour and the pattern of each, its name, and how much it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from PySide6.QtCore import QEvent, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.look.wording import tooltip_text
from worker_core.basics.quick_dataclass import dataclass

_MARK: Final = 12
_LONGEST: Final = 180
"""Pixels of a name."""

_PATTERNS: Final = (
    Qt.BrushStyle.NoBrush, Qt.BrushStyle.BDiagPattern, Qt.BrushStyle.HorPattern, Qt.BrushStyle.FDiagPattern,
    Qt.BrushStyle.DiagCrossPattern, Qt.BrushStyle.Dense5Pattern,
)  # fmt: skip
"""In each place another, so that a colour alone tells nobody anything."""


def paint_part(painter: QPainter, area: QRectF, place: int) -> None:
    """Fill an area in the look of a part; `place` counts from 0, the last look is that of all others."""
    colors = theme().palette
    place = min(place, len(_PATTERNS) - 1)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.fillRect(area, QColor(colors.parts[place]))
    if _PATTERNS[place] is not Qt.BrushStyle.NoBrush:
        over = QColor(colors.surface)
        over.setAlphaF(0.55)
        painter.fillRect(area, QBrush(over, _PATTERNS[place]))


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    name: str
    said: str
    """How much it is."""


class Legend(QWidget):
    """Entries in the order of their parts, in as many lines as they need. Hidden while there are none."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._entries: tuple[LegendEntry, ...] = ()
        theme().changed.connect(self._fit)
        self.hide()

    def show_entries(self, entries: Sequence[LegendEntry]) -> None:
        self._entries = tuple(entries)
        self.setAccessibleDescription("; ".join(f"{one.name}: {one.said}" for one in entries))
        self._fit()
        self.setVisible(bool(entries))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._fit()

    def event(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            for one, area, _ in self._laid_out():
                if area.contains(event.pos()):
                    QToolTip.showText(event.globalPos(), tooltip_text(f"{one.name}: {one.said}"), self)
                    return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter, colors, metrics = QPainter(self), theme().palette, self._metrics()
        painter.setFont(theme().font("small"))
        for place, (one, area, name) in enumerate(self._laid_out()):
            paint_part(painter, QRectF(area.left(), round(area.center().y() - _MARK / 2), _MARK, _MARK), place)
            words = area.adjusted(_MARK + Space.XS + 2, 0, 0, 0)
            painter.setPen(QColor(colors.text))
            painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter), name)
            painter.setPen(QColor(colors.muted))
            amount = words.adjusted(metrics.horizontalAdvance(name) + 6, 0, 0, 0)
            painter.drawText(amount, int(Qt.AlignmentFlag.AlignVCenter), one.said)

    # -- below ----------------------------------------------------------------------------------------------------

    def _metrics(self) -> QFontMetrics:
        return QFontMetrics(theme().font("small"))

    def _laid_out(self) -> Iterator[tuple[LegendEntry, QRectF, str]]:
        """Each entry, where it is, and its name as far as there is room for it."""
        metrics, x, y = self._metrics(), 0.0, 0.0
        high = metrics.height() + Space.XS
        for one in self._entries:
            name = metrics.elidedText(one.name, Qt.TextElideMode.ElideRight, _LONGEST)
            wide = _MARK + Space.XS + 2 + metrics.horizontalAdvance(name) + 6 + metrics.horizontalAdvance(one.said) + 2
            if x and x + wide > self.width():
                x, y = 0.0, y + high
            yield one, QRectF(x, y, wide, high), name
            x += wide + Space.L

    def _fit(self) -> None:
        bottom = max((area.bottom() for _, area, _ in self._laid_out()), default=0.0)
        self.setFixedHeight(round(bottom))
        self.update()
