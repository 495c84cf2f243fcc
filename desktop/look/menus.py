"""Menus with round corners, also where no compositor lets through what lies behind."""

from __future__ import annotations

from math import hypot
from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication, QRegion, QResizeEvent
from PySide6.QtWidgets import QMenu, QWidget

RADIUS: Final = 8
"""Pixels; the style sheet draws it."""

NEARLY: Final = 0.25
"""Of a pixel, how far its outermost corner may stand out of a round surface."""


class Menu(QMenu):
    """One whose window is no larger than what is drawn of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        clear_ground(self)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        round_off(self, RADIUS)


def clear_ground(window: QWidget) -> None:
    """Nothing of a window is drawn but what its style sheet draws. Before it is shown first."""
    window.setWindowFlag(Qt.WindowType.FramelessWindowHint)
    window.setWindowFlag(Qt.WindowType.NoDropShadowWindowHint)
    window.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)


def round_off(window: QWidget, radius: int) -> None:
    """Cut a window's corners, on X11: a compositor may be missing there, and what is clear is black then."""
    if QGuiApplication.platformName() == "xcb":
        window.setMask(rounded(window.size(), radius))


def rounded(size: QSize, radius: int) -> QRegion:
    """The pixels that are inside a surface with round corners, or nearly so.

    Those that its curve cuts through are painted in part, which is black where no compositor lets through what lies
    behind.
    """
    region = QRegion(0, radius, size.width(), size.height() - 2 * radius)
    for line in range(radius):
        inset = next(x for x in range(radius + 1) if hypot(radius - x - NEARLY, radius - line - NEARLY) <= radius)
        for y in (line, size.height() - 1 - line):
            region = region.united(QRegion(inset, y, size.width() - 2 * inset, 1))
    return region
