"""Wayland: keys from the desktop (org.freedesktop.portal.GlobalShortcuts), which may ask the person.

A thread of its own waits for the desktop's answers and for the keys; nothing ticks. jeepney (`shortcuts_portal.py`) is
imported there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, Signal, Slot

from desktop.system.platforms.combination import Combination
from desktop.system.platforms.hotkey_state import TellsState
from desktop.system.platforms.ports import HotkeyState

if TYPE_CHECKING:
    from desktop.system.platforms.shortcuts_portal import ShortcutsPortal

log = logging.getLogger(__name__)

CLOSE_LIMIT_SECONDS: Final = 5.0


class PortalHotkey(TellsState):
    """Implements `ports.Hotkey`. Signals come in the GUI's thread."""

    _came = Signal(object, object, str)
    """From the thread: whose wish it is, its state, and how it is pressed."""
    _struck = Signal(object, str)
    """The same of the keys themselves, with a token."""

    def __init__(self, *, app_id: str, parent: QObject | None = None) -> None:
        """`app_id`: the name of this program's .desktop file, by which the desktop remembers what it was given."""
        super().__init__(parent)
        self._app_id = app_id
        self._waiting: _Waiting | None = None
        # Queued: what is under way is nobody's once somebody else waits.
        self._came.connect(self._told, Qt.ConnectionType.QueuedConnection)
        self._struck.connect(self._heard, Qt.ConnectionType.QueuedConnection)

    def take(self, keys: Combination, *, purpose: str) -> None:
        self._stop()
        self._be(HotkeyState.ASKING)
        wish = (self._app_id, keys.trigger, purpose)
        self._waiting = _Waiting(wish, tell=self._came.emit, hear=self._struck.emit)
        self._waiting.start()

    def release(self) -> None:
        self._stop()
        self._be(HotkeyState.OFF)

    def _stop(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.end()

    @Slot(object, object, str)
    def _told(self, waiting: object, state: HotkeyState, assigned: str) -> None:
        if waiting is self._waiting:
            self._be(state, assigned)

    @Slot(object, str)
    def _heard(self, waiting: object, token: str) -> None:
        if waiting is self._waiting:
            self.pressed.emit(token)


class _Waiting:
    """One wish, from its start to its end, with its thread."""

    def __init__(
        self,
        wish: tuple[str, str, str],
        *,
        tell: Callable[[object, HotkeyState, str], object],
        hear: Callable[[object, str], object],
    ) -> None:
        self._wish, self._tell, self._hear = wish, tell, hear
        self._lock = threading.Lock()
        self._is_over = False
        self._portal: ShortcutsPortal | None = None
        self._thread = threading.Thread(target=self._run, name="hotkey", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        with self._lock:
            self._is_over = True
            if self._portal is not None:
                self._portal.interrupt()
        self._thread.join(CLOSE_LIMIT_SECONDS)

    def _run(self) -> None:
        try:
            from desktop.system.platforms.shortcuts_portal import ShortcutsPortal

            app_id, trigger, purpose = self._wish
            portal = ShortcutsPortal(
                app_id=app_id,
                trigger=trigger,
                purpose=purpose,
                tell=lambda state, assigned: self._tell(self, state, assigned),
                hear=lambda token: self._hear(self, token),
            )
            with self._lock:
                self._portal = portal
                if self._is_over:
                    portal.interrupt()
            portal.serve()
        except Exception as error:  # noqa: BLE001 - a desktop without a bus must not end in a crash report
            log.info("The desktop gives no keys (%s: %s).", type(error).__name__, error)
            self._tell(self, HotkeyState.UNSUPPORTED, "")
