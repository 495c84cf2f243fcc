"""Parts of a page that are made when somebody looks for them: in their order, and the rest bit by bit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from desktop.widgets.layouts import settle

BELOW = 4
"""Pieces that are made below one that is wanted."""

Piece = tuple[Collection[str], Callable[[], object]]
"""The names of what it has, and what makes it."""


class InPieces:
    """They are made in their order alone: each stands where it stays, and the Tab key leads from one to the next."""

    def __init__(self, page: QWidget, pieces: Iterable[Piece]) -> None:
        self._waiting = deque(pieces)
        self._idle = QTimer(page)
        self._idle.setSingleShot(True)
        self._idle.setInterval(0)
        self._idle.timeout.connect(self._one_more)

    @property
    def is_whole(self) -> bool:
        return not self._waiting

    def resume(self, *, enough: Callable[[], bool]) -> None:
        """The page is seen: make what is needed at once, and one piece after another whenever nothing else happens."""
        while self._waiting and not enough():
            self._make()
        if self._waiting:
            self._idle.start()

    def rest(self) -> None:
        """The page is not seen any more."""
        self._idle.stop()

    def make_all(self) -> None:
        while self._waiting:
            self._make()

    def make_through(self, name: str) -> None:
        """Make what has this name, and some pieces more, so that there is something below it to scroll to."""
        number = next((number for number, (names, _) in enumerate(self._waiting, 1) if name in names), 0)
        for _ in range(min(number + BELOW, len(self._waiting)) if number else 0):
            self._make()

    def _one_more(self) -> None:
        self._make()
        if self._waiting:
            self._idle.start()

    def _make(self) -> None:
        _, make = self._waiting.popleft()
        make()
        settle()
        if not self._waiting:
            self._idle.stop()
