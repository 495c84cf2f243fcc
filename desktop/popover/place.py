"""Where the popover lies: beside the icon, at the panel's edge of the screen. Pure functions of rectangles."""

from __future__ import annotations

import enum
from typing import Final

from PySide6.QtCore import QPoint, QRect, QSize

GAP: Final = 8
"""Pixels between it and what is around it."""

HIGHEST: Final = 0.7
"""Of the screen's height; what does not fit is scrolled to."""

ICON: Final = 24
"""Pixels around the pointer that are taken for the icon where the panel does not say where it is."""


class Edge(enum.Enum):
    """Of the screen, at which the panel is."""

    BOTTOM = "bottom"
    TOP = "top"
    LEFT = "left"
    RIGHT = "right"


def anchor_of(icon: QRect, pointer: QPoint) -> QRect:
    """What was clicked: the icon, or what is around the pointer."""
    if icon.isValid():
        return icon
    around = QRect(0, 0, ICON, ICON)
    around.moveCenter(pointer)
    return around


def edge_of(anchor: QRect, *, room: QRect, whole: QRect) -> Edge:
    """Where the panel is that holds the anchor.

    Args:
        anchor: what was clicked.
        room: the screen without its panels.
        whole: the screen.
    """
    at = anchor.center()
    known = whole if room.contains(at) else room  # a panel may keep no room for itself
    left = {
        Edge.BOTTOM: known.bottom() - at.y(),
        Edge.TOP: at.y() - known.top(),
        Edge.LEFT: at.x() - known.left(),
        Edge.RIGHT: known.right() - at.x(),
    }
    return min(left, key=lambda edge: left[edge])


def place(size: QSize, *, anchor: QRect, room: QRect, whole: QRect) -> QRect:
    """The popover's rectangle: at the panel's edge, its middle at the anchor's as far as the room lets it."""
    made = QRect(QPoint(0, 0), size)
    made.moveCenter(anchor.center())
    match edge_of(anchor, room=room, whole=whole):
        case Edge.BOTTOM:
            made.moveBottom(min(room.bottom(), anchor.top() - 1) - GAP)
        case Edge.TOP:
            made.moveTop(max(room.top(), anchor.bottom() + 1) + GAP)
        case Edge.LEFT:
            made.moveLeft(max(room.left(), anchor.right() + 1) + GAP)
        case Edge.RIGHT:
            made.moveRight(min(room.right(), anchor.left() - 1) - GAP)
    free = room.adjusted(GAP, GAP, -GAP, -GAP)
    made.moveLeft(max(free.left(), min(made.left(), free.right() + 1 - made.width())))
    made.moveTop(max(free.top(), min(made.top(), free.bottom() + 1 - made.height())))
    return made
