"""The timeline of the execution that is shown, above its conversation: made when it is first wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.models.conversation_items import Item, Message
from desktop.models.executions import Execution
from desktop.models.timeline import TimelineSpan, timeline_of
from desktop.models.timeline_table import TimelineTable
from desktop.widgets.buttons import IconButton
from desktop.widgets.layouts import column, row
from desktop.widgets.lists import FactTable
from desktop.widgets.surfaces import Line
from desktop.widgets.text import ElidedLabel, widget
from desktop.widgets.timeline import Timeline
from desktop.windows.bindings import TO_TIMELINE, as_said

PAUSE_MS: Final = 150
"""What comes within this is drawn at once."""

TABLE_HEIGHT: Final = 190

COLUMNS: Final = (96, 220, 76, 96, 104, 128, 78, 64)
"""Widths of the table's columns, in pixels."""


class TimelinePanel(QWidget):
    """Out of sight, and without any work, until it is to follow an execution."""

    chosen = Signal(str, bool)
    """The key of an item of the conversation, and whether the keyboard chose it."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._execution: Execution | None = None
        self._strip: _Strip | None = None
        self._said = ""
        self._is_old = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(PAUSE_MS)
        self._soon.timeout.connect(self._draw)
        self.hide()

    def follow(self, execution: Execution | None) -> None:
        """Show an execution's timeline; None: none is wanted."""
        self._execution = execution
        self._is_old = True
        if execution is None:
            self.hide()
            return
        if self._strip is None:
            self._strip = _Strip()
            self._strip.chosen.connect(self._choose)
            self._layout.addWidget(self._strip)
        self._strip.timeline.fit()
        self.show()
        self._draw()

    def reveal(self, keys: Iterable[str]) -> bool:
        """Take the keyboard to the first of these items of the conversation that has a span; False: none has."""
        if self._strip is None or self._execution is None:
            return False
        self._draw()
        known = {span.key for span in self._strip.timeline.spans}
        return any(self._strip.reveal(key) for key in keys if key in known)

    def heard(self, item: Item | None) -> None:
        """The execution changed. What is only said on changes no span."""
        if self._execution is None:
            return
        if isinstance(item, Message):
            if item.streaming and item.key == self._said:
                return
            self._said = item.key
        self._is_old = True
        if self.isVisible() and not self._soon.isActive():
            self._soon.start()

    def tick(self) -> None:
        """A second has gone."""
        if self._strip is not None and self.isVisible() and self._strip.timeline.runs:
            self._strip.tick()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self._draw()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 (Qt's own name)
        super().hideEvent(event)
        self._soon.stop()

    def _draw(self) -> None:
        if self._strip is not None and self._execution is not None and self._is_old:
            self._is_old = False
            self._strip.show_spans(timeline_of(self._execution))

    def _choose(self, span: TimelineSpan, by_key: bool) -> None:
        if span.key:
            self.chosen.emit(span.key, by_key)


class _Strip(QWidget):
    """A line that says what the pointer or the keyboard is at, and below it the picture or the table."""

    chosen = Signal(object, bool)

    def __init__(self) -> None:
        super().__init__()
        self.timeline = Timeline()
        self._model = TimelineTable(self)
        self._table: FactTable | None = None
        self._said = ElidedLabel("", role="small", tone="muted")
        self._as_table = IconButton("logs", tr("Show as a table"), checkable=True)
        self._smaller = IconButton("minus", tr("Zoom out"))
        self._larger = IconButton("plus", tr("Zoom in"))
        self._fit = IconButton("fit", tr("Show all"))
        self._as_table.toggled.connect(self._show_table)
        self._smaller.clicked.connect(self.timeline.zoom_out)
        self._larger.clicked.connect(self.timeline.zoom_in)
        self._fit.clicked.connect(self.timeline.fit)
        self.timeline.told.connect(self._tell)
        self.timeline.zoomed.connect(self._show_zoom)
        self.timeline.chosen.connect(self.chosen)
        self._below = column(
            row(Space.S, self._said, self._as_table, self._smaller, self._larger, self._fit, gap=0),
            self.timeline,
            gap=2,
            margins=(Space.L, Space.XS, Space.L, Space.S),
        )
        inside = widget("clear")
        inside.setLayout(self._below)
        self.setLayout(column(inside, Line(), gap=0))
        self._tell("")
        self._show_zoom(1.0)

    def show_spans(self, spans: tuple[TimelineSpan, ...]) -> None:
        self.timeline.show_spans(spans)
        self._as_table.setVisible(bool(spans))
        self._show_table(self._as_table.isChecked())

    def reveal(self, key: str) -> bool:
        """In the picture, and in the table where that is shown."""
        if not self.timeline.go_to(key):
            return False
        if self._table is not None and self._table.isVisible():
            here = self.timeline.current
            place = next(number for number, span in enumerate(self.timeline.spans) if span is here)
            self._table.setCurrentIndex(self._model.index(place, 0))
            self._table.setFocus(Qt.FocusReason.ShortcutFocusReason)
        else:
            self.timeline.setFocus(Qt.FocusReason.ShortcutFocusReason)
        return True

    def tick(self) -> None:
        self.timeline.tick()
        if self._table is not None and self._table.isVisible():
            self._model.tick(now=self.timeline.now)

    def _show_table(self, as_table: bool) -> None:
        """The table is made when it is first wanted, and knows the spans while it is."""
        filled = bool(self.timeline.spans)
        for part in (self.timeline, self._smaller, self._larger, self._fit):
            part.setVisible(filled and not as_table)
        if as_table and self._table is None:
            self._table = FactTable(tr("Timeline"), self._model, widths=[theme().scaled(one) for one in COLUMNS])
            self._table.setMinimumHeight(TABLE_HEIGHT // 2)
            self._table.setMaximumHeight(theme().scaled(TABLE_HEIGHT))
            self._table.chosen.connect(self._choose)
            self._below.addLayout(row(self._table, margins=(Space.S, 0, 0, 0)))
        if as_table:
            self._model.show_spans(self.timeline.spans, now=self.timeline.now)
        if self._table is not None:
            self._table.setVisible(as_table and filled)

    def _choose(self, index: QModelIndex) -> None:
        self.chosen.emit(self._model.span_of(index.row()), False)

    def _show_zoom(self, zoom: float) -> None:
        for part in (self._smaller, self._fit):
            part.setEnabled(zoom > 1.0)

    def _tell(self, said: str) -> None:
        if said:
            self._said.setText(said)
        elif self.timeline.spans:
            keys = as_said(QKeySequence(TO_TIMELINE))
            self._said.setText(
                tr("What took how long. A click shows it in the conversation, {keys} leads back here.", keys=keys)
            )
        else:
            self._said.setText(tr("No times are known of this execution yet."))
