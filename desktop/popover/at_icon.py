"""What a click on the icon brings: the popover, or the window where that is wanted or no popover has a place."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QApplication

from desktop.tray.facts import TrayFacts

if TYPE_CHECKING:
    from desktop.popover.popover import Popover

SAME_CLICK_SECONDS: Final = 1.0
SAME_PLACE: Final = 24
"""Pixels. A click on the icon takes the focus from the popover, which closes it before the panel tells of the click."""


class AtIcon:
    """The popover is made when it is first wanted."""

    def __init__(
        self,
        *,
        new_popover: Callable[[], Popover],
        is_wanted: Callable[[], bool],
        open_window: Callable[[], object],
        facts: Callable[[], TrayFacts],
        icon: Callable[[], QRect],
        now: Callable[[], float] = time.monotonic,
        pointer: Callable[[], QPoint] = QCursor.pos,
    ) -> None:
        """`icon` is where it is, not valid where nobody says so."""
        self._new_popover, self._is_wanted, self._open_window = new_popover, is_wanted, open_window
        self._facts, self._icon, self._now, self._pointer = facts, icon, now, pointer
        self.popover: Popover | None = None
        """None: it was never wanted."""

    def clicked(self) -> None:
        """With the left button. The second click closes it; a double click is for the window."""
        if not self._is_wanted():
            self.close()
            self._open_window()
            return
        popover = self.popover = self.popover or self._new_popover()
        if popover.isVisible():
            popover.hide()
            if self._now() - popover.opened_at < QApplication.doubleClickInterval() / 1000:
                self._open_window()  # many panels tell of two clicks, and not of a double one
        elif not self._has_closed(popover):
            popover.open_at(self._icon(), self._facts())

    def take(self, facts: TrayFacts) -> None:
        """What is known now."""
        if self.popover is not None:
            self.popover.take(facts)

    def close(self, *_: object) -> None:
        if self.popover is not None:
            self.popover.hide()

    def _has_closed(self, popover: Popover) -> bool:
        """This very click, since it took the focus."""
        left, popover.left = popover.left, None
        if left is None:
            return False
        when, where = left
        far = (self._pointer() - where).manhattanLength()
        return self._now() - when < SAME_CLICK_SECONDS and far < SAME_PLACE
