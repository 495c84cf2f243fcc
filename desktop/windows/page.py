"""The frame of every page: a title, a line below it, what can be done, and the body."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QScrollBar, QVBoxLayout, QWidget

from desktop.look.tokens import Space
from desktop.widgets.layouts import column, row
from desktop.widgets.text import ElidedLabel, Label, widget
from desktop.windows.desk import Desk
from worker_core.snapshot import EngineSnapshot

BAR_WIDTH = 10
"""Of a scroll bar, in pixels; the style sheet says so."""

WIDEST = 1080
"""Pixels beyond which a page's content does not grow: long lines are hard to read."""


class Page(QWidget):
    """A page of the window. Its `name` is what `show_page` takes."""

    name = ""

    def __init__(self, desk: Desk, *, title: str, scrolls: bool = True) -> None:
        super().__init__()
        self.desk = desk
        self.setProperty("ground", "window")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName(title)
        self.title = Label(title, role="title")
        self.subtitle = ElidedLabel("", tone="muted")
        self.subtitle.hide()
        self.tools = QHBoxLayout()
        self.tools.setSpacing(Space.S)
        self.body = QVBoxLayout()
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(Space.L)
        head = row(column(self.title, self.subtitle, gap=2), self.tools, gap=Space.L)
        head.setStretch(0, 1)
        content = column(head, self.body, gap=Space.XL - 4)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        if scrolls:
            content.setContentsMargins(Space.XXL, Space.XL + 4, Space.XXL, Space.XXL)
            inside = widget("clear")
            inside.setMaximumWidth(WIDEST)
            inside.setLayout(content)
            outer.addWidget(scroll_area(inside))
        else:
            content.setContentsMargins(Space.XXL, Space.XL + 4, Space.XXL, Space.L)
            inside = widget("clear")
            inside.setMaximumWidth(WIDEST)
            inside.setLayout(content)
            middle = _in_the_middle(inside)
            middle.setContentsMargins(0, 0, BAR_WIDTH, 0)
            outer.addLayout(middle)

    def say_below(self, text: str) -> None:
        """The line below the title; none for an empty text."""
        self.subtitle.setText(text)
        self.subtitle.setVisible(bool(text))

    def scroll_to(self, part: QWidget) -> None:
        """Bring a part of the page into sight."""
        area = self.findChild(QScrollArea)
        if area is not None:
            area.ensureWidgetVisible(part, 0, 80)

    def take(self, snapshot: EngineSnapshot) -> None:
        """A new snapshot. Pages that are not seen are told as well, so they must be quick."""

    def search(self) -> None:
        """The person asked to search here; pages without a search do nothing."""


def scroll_area(inside: QWidget) -> QScrollArea:
    """A frameless area that scrolls up and down, its content in the middle. The bar's place is kept where there is
    nothing to scroll, so that nothing jumps.
    """
    area = QScrollArea()
    area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
    bar = area.verticalScrollBar()
    bar.rangeChanged.connect(partial(_hide_idle, bar))
    _hide_idle(bar, bar.minimum(), bar.maximum())
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    around = widget("clear")
    around.setLayout(_in_the_middle(inside))
    area.setWidget(around)
    return area


def _hide_idle(bar: QScrollBar, least: int, most: int) -> None:
    idle = "true" if most <= least else "false"
    if bar.property("idle") != idle:
        bar.setProperty("idle", idle)
        bar.style().unpolish(bar)
        bar.style().polish(bar)


def _in_the_middle(inside: QWidget) -> QHBoxLayout:
    layout = row(None, gap=0)
    layout.addWidget(inside, 1000)
    layout.addStretch(1)
    return layout
