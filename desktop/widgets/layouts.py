"""Rows and columns with the theme's spacing."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLayout, QVBoxLayout, QWidget

Part = QWidget | QLayout | int | None
"""A widget, a layout, a fixed distance, or None for what stretches."""


def fill(layout: QBoxLayout, parts: tuple[Part, ...], gap: int, margins: tuple[int, int, int, int]) -> None:
    layout.setContentsMargins(*margins)
    layout.setSpacing(gap)
    for part in parts:
        match part:
            case None:
                layout.addStretch(1)
            case int():
                layout.addSpacing(part)
            case QLayout():
                layout.addLayout(part)
            case _:
                layout.addWidget(part)


def row(*parts: Part, gap: int = 8, margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> QHBoxLayout:
    made = QHBoxLayout()
    fill(made, parts, gap, margins)
    return made


def column(*parts: Part, gap: int = 8, margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> QVBoxLayout:
    made = QVBoxLayout()
    fill(made, parts, gap, margins)
    return made


def empty(layout: QLayout) -> None:
    """Take everything out of a layout and let it go."""
    while (item := layout.takeAt(0)) is not None:
        if (inner := item.widget()) is not None:
            inner.hide()
            inner.deleteLater()
        elif (nested := item.layout()) is not None:
            empty(nested)


def top(part: QWidget, layout: QBoxLayout) -> None:
    """Align a part of a row with its top."""
    layout.setAlignment(part, Qt.AlignmentFlag.AlignTop)


def settle() -> None:
    """Let sizes be what they will be. They go up from the innermost, a level with each round of events: a picture in
    between would be squeezed, or jump.
    """
    QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
