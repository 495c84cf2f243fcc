"""Windows: RegisterHotKey of the GUI's thread, which posts WM_HOTKEY to it (Microsoft's documentation of both)."""

from __future__ import annotations

import sys
from typing import Any, Final

from PySide6.QtCore import QAbstractNativeEventFilter, QByteArray, QCoreApplication, QObject

from desktop.system.platforms.combination import Combination
from desktop.system.platforms.hotkey_state import TellsState
from desktop.system.platforms.ports import HotkeyState

WM_HOTKEY: Final = 0x0312
MOD_ALT: Final = 0x0001
MOD_CONTROL: Final = 0x0002
MOD_SHIFT: Final = 0x0004
MOD_WIN: Final = 0x0008
MOD_NOREPEAT: Final = 0x4000
NUMBER: Final = 1
"""Of this hotkey among those of the thread: programs have 0 to 0xBFFF."""


class WindowsHotkey(TellsState):
    """Implements `ports.Hotkey`. `user32` is `ctypes.windll.user32`; tests hand in their own."""

    def __init__(self, user32: Any = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        if user32 is None and sys.platform == "win32":
            import ctypes

            user32 = ctypes.windll.user32
        self._user32 = user32
        self._filter = _Filter(self)

    def take(self, keys: Combination, *, purpose: str) -> None:
        self._let_go()
        code, shift = self._code(keys)
        if not code:
            self._be(HotkeyState.NO_SUCH_KEY)
            return
        held = MOD_CONTROL * keys.ctrl | MOD_ALT * keys.alt | MOD_SHIFT * (keys.shift or shift) | MOD_WIN * keys.meta
        # Without a window: the message comes to the thread, whatever windows it has. What else fails than another's
        # registration is one that the system keeps for itself, which is the same to a person.
        is_ours = bool(self._user32.RegisterHotKey(None, NUMBER, held | MOD_NOREPEAT, code))
        if is_ours and (app := QCoreApplication.instance()) is not None:
            app.installNativeEventFilter(self._filter)
        self._be(HotkeyState.ON if is_ours else HotkeyState.TAKEN)

    def release(self) -> None:
        self._let_go()
        self._be(HotkeyState.OFF)

    def hear(self, number: int) -> None:
        if number == NUMBER and self._state is HotkeyState.ON:
            self.pressed.emit("")

    def _code(self, keys: Combination) -> tuple[int, bool]:
        """The virtual-key code, and whether this layout needs Shift for it; 0: no key of it gives it."""
        if keys.key.virtual:
            return keys.key.virtual, False
        found = int(self._user32.VkKeyScanW(keys.key.keysym))  # Latin 1: its symbols are its characters
        low, high = found & 0xFF, found >> 8 & 0xFF
        if low == 0xFF or high & ~1:  # not there, or with Ctrl and Alt (AltGr)
            return 0, False
        return low, bool(high & 1)

    def _let_go(self) -> None:
        if self._state is HotkeyState.ON:
            self._user32.UnregisterHotKey(None, NUMBER)
            if (app := QCoreApplication.instance()) is not None:
                app.removeNativeEventFilter(self._filter)


class _Filter(QAbstractNativeEventFilter):
    def __init__(self, hotkey: WindowsHotkey) -> None:
        super().__init__()
        self._hotkey = hotkey

    def nativeEventFilter(  # noqa: N802 - Qt's name
        self, event_type: QByteArray | bytes | bytearray | memoryview, message: int
    ) -> object:
        kind = event_type.data() if isinstance(event_type, QByteArray) else event_type
        # Messages of a thread, and not of a window, come from the dispatcher.
        if sys.platform == "win32" and kind in {b"windows_generic_MSG", b"windows_dispatcher_MSG"}:
            from ctypes import wintypes

            said = wintypes.MSG.from_address(int(message))
            if said.message == WM_HOTKEY:
                self._hotkey.hear(int(said.wParam))
        return False, 0
