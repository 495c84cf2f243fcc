"""A clock for what is on the screen: it stands still while its widget is hidden, or has nothing that moves."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QWidget


class SeenClock(QObject):
    """Calls `tick` every `interval_ms` while the widget is seen and `wind(True)` was the last word."""

    def __init__(
        self, seen: QWidget, tick: Callable[[], object], *, interval_ms: int = 1000, wound: bool = False
    ) -> None:
        super().__init__(seen)
        self._seen, self._wound = seen, wound
        self._timer = QTimer(self)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(lambda: tick())
        seen.installEventFilter(self)

    @property
    def runs(self) -> bool:
        return self._timer.isActive()

    def wind(self, wound: bool = True) -> None:
        self._wound = wound
        self._decide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if event.type() in {QEvent.Type.Show, QEvent.Type.Hide}:
            self._decide()
        return False

    def _decide(self) -> None:
        runs = self._wound and self._seen.isVisible()
        if runs and not self._timer.isActive():
            self._timer.start()
        elif not runs:
            self._timer.stop()
