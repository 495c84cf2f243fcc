"""The frame of every page: a title, a line below it, what can be done, and the body."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from desktop.look.tokens import Space
from desktop.widgets.layouts import column, row
from desktop.widgets.text import ElidedLabel, Label, widget
from desktop.windows.desk import Desk
from worker_core.snapshot import EngineSnapshot

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
            outer.addLayout(content)

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
    """A frameless area that scrolls up and down, its content in the middle."""
    area = QScrollArea()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    around = widget("clear")
    layout = QHBoxLayout(around)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addStretch(1)
    layout.addWidget(inside, 1000)
    layout.addStretch(1)
    area.setWidget(around)
    return area
