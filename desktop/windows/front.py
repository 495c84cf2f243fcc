"""The windows of the tray: each is made when it is first wanted, and shows itself when it is wanted again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtWidgets import QApplication

from desktop.look.language import tr
from desktop.settings.store import SettingsStore
from desktop.system.activation import come_by
from desktop.windows.coming import come_forward
from desktop.windows.crash_dialog import CrashDialog

if TYPE_CHECKING:
    from desktop.windows.first_run import FirstRunWindow
    from desktop.windows.main import MainWindow

log = logging.getLogger(__name__)

CRASHES_SHOWN: Final = 3
"""In one run of the program. What fails again and again is in the log, and in the reports beside it."""


class Front:
    """The main window, or the first run's as long as nothing is set up."""

    def __init__(self, *, new_window: Callable[[], MainWindow], new_first_run: Callable[[], FirstRunWindow]) -> None:
        self._new_window = new_window
        self._new_first_run = new_first_run
        self._first_run: FirstRunWindow | None = None
        self._crashes = 0
        self._crash: CrashDialog | None = None
        self.window: MainWindow | None = None
        """None: it was never wanted."""
        self.unset = False
        """There is neither a service to attach to nor a queue to serve."""

    def open(self, page: str = "", target: str = "") -> None:
        """Show the window that is due, above the others; with a page, the main one there."""
        if self.unset:
            self._first_run = self._first_run or self._new_first_run()
            come_forward(self._first_run)
            return
        self.window = self.window or self._new_window()
        come_forward(self.window)
        if page:
            self.window.show_page(page, target)

    def new_task(self) -> None:
        """Ask for a new task, above the others; the window itself stays as it is."""
        if self.unset:
            self.open()
            return
        self.window = self.window or self._new_window()
        self.window.new_task()

    @property
    def is_watched(self) -> bool:
        """The person has the main window before him."""
        return self.window is not None and self.window.isActiveWindow() and not self.window.isMinimized()

    def stay(self, store: SettingsStore) -> None:
        """There is no tray: the window is all there is, which is said once."""
        self.open()
        if store.preferences.told_no_tray or self.window is None:
            return
        store.remember(told_no_tray=True)
        self.window.say(_no_tray(), tone="neutral")

    def tray_went(self) -> None:
        """The panel with the icon is gone. Nobody would find the program without a window."""
        if self.window is None or not self.window.isVisible():
            self.open()
        if self.window is not None:
            self.window.say(_tray_went(), tone="neutral")

    def tray_came(self) -> None:
        """There is an icon now: what was said about none is not true any more."""
        if self.window is not None:
            self.window.take_back(_no_tray(), _tray_went())

    def raised(self, activation_token: str) -> None:
        """The program was started once more."""
        come_by(activation_token)
        self.open()

    def asked(self, activation_token: str) -> None:
        """It was started once more for a new task."""
        come_by(activation_token)
        self.new_task()

    def close_first_run(self) -> None:
        window, self._first_run = self._first_run, None
        if window is not None:
            window.hide()
            window.deleteLater()

    def show_crash(self, report: str) -> None:
        """One at a time, and not for ever; the others are among the logs."""
        if any(isinstance(widget, CrashDialog) for widget in QApplication.topLevelWidgets()):
            return
        self._crashes += 1
        if self._crashes > CRASHES_SHOWN:
            log.warning("There was another unexpected error; its report is among the logs.")
            return
        self._crash = CrashDialog(report, self.window)  # without a parent, Python alone keeps it
        self._crash.open()

    def close(self) -> None:
        self.close_first_run()
        if self.window is not None:
            self.window.close()


def _no_tray() -> str:
    return tr(
        "This desktop has no place for tray icons, so this window stays: closing it ends Kubiya Worker. "
        "On GNOME, the extension AppIndicator brings the tray back."
    )


def _tray_went() -> str:
    return tr("The panel that showed the icon is gone, so this window stays: closing it ends Kubiya Worker.")
