"""Where the Tab key leads."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget


def lead_here(place: QWidget, controls: Iterable[QWidget]) -> None:
    """Lead the Tab key to controls when it comes to where they stand: those that are made late come last in a window
    without it (`QWidget.setTabOrder`).

    Args:
        place: holds them, and has stood among the others from the beginning.
        controls: in their order.
    """
    lead_on(_before(place), controls)


def lead_on(before: QWidget | None, controls: Iterable[QWidget]) -> None:
    """Lead the Tab key from a control to others, in their order. None: from wherever the first of them stands."""
    for control in controls:
        if before is not None:
            QWidget.setTabOrder(before, control)
        before = control


def _before(place: QWidget) -> QWidget | None:
    """What the Tab key leads to right before: Qt puts nothing behind a widget that takes no focus."""
    one = place.previousInFocusChain()
    while one is not None and one is not place:
        if one.focusPolicy() & Qt.FocusPolicy.TabFocus and not place.isAncestorOf(one):
            return one
        one = one.previousInFocusChain()
    return None
