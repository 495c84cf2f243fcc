"""Where no panel shows the icon, the window takes over: from the start, or once the panel has been gone for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from PySide6.QtCore import QTimer

from desktop.settings.store import SettingsStore
from desktop.shell.leaving import Leaving
from desktop.tray.view import Tray
from desktop.windows.front import Front
from worker_core.snapshot import StopMode

PANEL_LIMIT: Final = timedelta(seconds=20)
"""At login the panel may come after the tray: so long before the window takes over."""

PANEL_GONE_AFTER: Final = timedelta(seconds=5)
"""A panel that is started anew is back in a moment."""


class PanelWatch:
    """Follows whether the icon has a place."""

    def __init__(self, *, tray: Tray, front: Front, leaving: Leaving, settings: SettingsStore) -> None:
        self._tray, self._front, self._leaving, self._settings = tray, front, leaving, settings
        tray.available_changed.connect(self._changed)

    def appear(self, *, at_login: bool, with_window: bool) -> None:
        """The tray is there; without one, the window takes over. `with_window`: it opens beside an icon, too."""
        if self._tray.available:
            if not at_login and with_window:
                self._front.open()
        elif at_login:
            QTimer.singleShot(int(PANEL_LIMIT.total_seconds() * 1000), self._tray, self._take_over)
        else:
            self._take_over()

    def last_window_closed(self) -> None:
        """Without an icon nothing of the program is to be seen any more."""
        if not self._tray.available:
            self._leaving.ask(StopMode.DRAIN)

    def _take_over(self) -> None:
        if not self._tray.available and self._leaving.mode is None:
            self._front.stay(self._settings)

    def _changed(self, available: bool) -> None:
        if available:
            self._front.tray_came()
        else:
            QTimer.singleShot(int(PANEL_GONE_AFTER.total_seconds() * 1000), self._tray, self._gone)

    def _gone(self) -> None:
        if not self._tray.available and self._leaving.mode is None:
            self._front.tray_went()
