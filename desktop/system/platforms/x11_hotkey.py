"""X11: a passive grab of one key on the root windows, over Qt's own connection to the server.

Over a connection of our own, Qt would not learn when the key was pressed, and window managers would hold the window
that it opens for one that steals the focus. Qt has no call for it: libxcb, which it is linked to, is called directly
(X Window System Protocol, GrabKey; xcb/xproto.h).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QAbstractNativeEventFilter, QByteArray, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QNativeInterface

from desktop.system.platforms.combination import Combination
from desktop.system.platforms.hotkey_state import TellsState
from desktop.system.platforms.ports import HotkeyState
from desktop.system.platforms.xcb import KEY_PRESS, KEY_RELEASE, MAPPING_NOTIFY, KeyEvent, Xcb

SHIFT: Final = 1 << 0
LOCK: Final = 1 << 1
CONTROL: Final = 1 << 2
MOD1: Final = 1 << 3
MOD4: Final = 1 << 6
MODIFIERS: Final = 0xFF
"""The rest of a key event's state are buttons and the layout."""

CONTROL_BIT: Final = 2
LONGEST_REPETITION_MS: Final = 3000
"""Above the delays that people choose before a key repeats itself."""

XK_ALT: Final = frozenset({0xFFE9, 0xFFEA})
XK_SUPER: Final = frozenset({0xFFEB, 0xFFEC})
XK_LOCKS: Final = frozenset({0xFF7F, 0xFF14})
"""Num_Lock, Scroll_Lock: with them on, the same keys are meant."""

NEW_KEYBOARD: Final = 0
MAP_NOTIFY: Final = 1
"""Of the events of XKB, which Qt has chosen: who has them is not told by the core protocol's MappingNotify."""


class X11Hotkey(TellsState):
    """Implements `ports.Hotkey`. In the GUI's thread, which no event reaches but those of the grabbed key."""

    _came = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        native = QGuiApplication.instance().nativeInterface()  # type: ignore[union-attr]
        assert isinstance(native, QNativeInterface.QX11Application)
        self._xcb = Xcb(native.connection())
        self._filter = _Filter(self._xcb, hear=self.hear, look_again=self.look_again)
        self._keys: Combination | None = None
        self._held: frozenset[tuple[int, int]] = frozenset()
        """What presses them, as keycode and modifiers."""

        self._grabbed: list[tuple[int, int]] = []
        """The same with each combination of locks."""

        self._locks = 0
        self._down: tuple[int, int] | None = None
        """The key that is held down, and when it was pressed, or repeated itself, last."""

        self._up = (0, 0)
        """The key that was let go last, and when."""

        # Qt has to have read the event first: it learns the time from it.
        self._came.connect(lambda: self.pressed.emit(""), Qt.ConnectionType.QueuedConnection)
        self._again = QTimer(self, singleShot=True, interval=0)
        self._again.timeout.connect(self._hold)

    def take(self, keys: Combination, *, purpose: str) -> None:
        self._let_go()
        self._keys, self._down = keys, None
        self._filter.install()
        self._hold()

    def release(self) -> None:
        self._keys = None
        self._again.stop()
        self._filter.remove()
        self._let_go()
        self._be(HotkeyState.OFF)

    # --- what the filter hears ----------------------------------------------------------------------------

    def hear(self, event: KeyEvent) -> None:
        """An event of a key. Those of the root window come by the grab alone."""
        if event.window not in self._xcb.roots:
            return
        if event.kind == KEY_RELEASE:
            self._down, self._up = None, (event.keycode, event.time)
        elif (event.keycode, event.state & MODIFIERS & ~self._locks) in self._held:
            repeated = self._repeats(event)
            self._down = event.keycode, event.time
            if not repeated:
                self._came.emit()

    def look_again(self) -> None:
        """The keyboard, or its layout, is another one; several events tell of one change."""
        self._again.start()

    def _repeats(self, event: KeyEvent) -> bool:
        """Whether the key was not pressed anew. Servers tell of a repetition by a release at the same time, or by none
        (XkbSetDetectableAutoRepeat, which Qt asks for).
        """
        if self._up == (event.keycode, event.time):
            return True
        if self._down is None or self._down[0] != event.keycode:
            return False
        return event.time - self._down[1] < LONGEST_REPETITION_MS  # a release that got lost does not hold for ever

    # --- the grab -----------------------------------------------------------------------------------------

    def _hold(self) -> None:
        """Grab what gives the keys now; nothing is changed where that is held already."""
        if self._keys is None:
            return
        keyboard, modifiers = self._xcb.keyboard(), self._xcb.modifiers()
        self._locks = LOCK | _mask(modifiers, keyboard, XK_LOCKS)
        held = self._modifiers(self._keys, modifiers, keyboard)
        codes = [code for code, symbols in keyboard.items() if self._keys.key.keysym in symbols]
        grabs = [(code, held | locks) for code in codes for locks in _each_of(self._locks)]
        if grabs == self._grabbed and self._state is HotkeyState.ON:
            return
        self._let_go()
        if not grabs:
            self._be(HotkeyState.NO_SUCH_KEY)
        elif self._xcb.grab(grabs):
            self._grabbed, self._held = grabs, frozenset((code, held) for code in codes)
            self._be(HotkeyState.ON)
        else:
            self._be(HotkeyState.TAKEN)

    def _let_go(self) -> None:
        self._xcb.ungrab(self._grabbed)
        self._grabbed, self._held = [], frozenset()

    def _modifiers(self, keys: Combination, modifiers: list[set[int]], keyboard: dict[int, tuple[int, ...]]) -> int:
        mask = SHIFT * keys.shift | CONTROL * keys.ctrl
        if keys.alt:
            mask |= _mask(modifiers, keyboard, XK_ALT) or MOD1
        if keys.meta:
            mask |= _mask(modifiers, keyboard, XK_SUPER) or MOD4
        return mask


def _mask(modifiers: list[set[int]], keyboard: dict[int, tuple[int, ...]], symbols: frozenset[int]) -> int:
    """The modifiers, of those that layouts may move (Mod1 to Mod5), that a key with one of these symbols gives."""
    found = 0
    for bit in range(CONTROL_BIT + 1, 8):
        if any(symbols & set(keyboard.get(code, ())) for code in modifiers[bit]):
            found |= 1 << bit
    return found


def _each_of(locks: int) -> list[int]:
    """Every combination of these locks being on or off."""
    bits = [1 << bit for bit in range(8) if locks & 1 << bit]
    combined = [0]
    for bit in bits:
        combined += [one | bit for one in combined]
    return combined


class _Filter(QAbstractNativeEventFilter):
    """Installed while keys are held: each event of X passes through Python then."""

    def __init__(self, xcb: Xcb, *, hear: Callable[[KeyEvent], None], look_again: Callable[[], None]) -> None:
        super().__init__()
        self._xcb, self._hear, self._look_again = xcb, hear, look_again
        self._xkb = xcb.first_event(b"XKEYBOARD")

    def install(self) -> None:
        QGuiApplication.instance().installNativeEventFilter(self)  # type: ignore[union-attr]

    def remove(self) -> None:
        if (app := QGuiApplication.instance()) is not None:
            app.removeNativeEventFilter(self)

    def nativeEventFilter(  # noqa: N802 - Qt's name
        self, event_type: QByteArray | bytes | bytearray | memoryview, message: int
    ) -> object:
        kind, detail = self._xcb.kind_of(int(message))
        if kind in {KEY_PRESS, KEY_RELEASE}:
            self._hear(self._xcb.key_event(int(message)))
        elif kind == MAPPING_NOTIFY or (kind == self._xkb and kind and detail in {NEW_KEYBOARD, MAP_NOTIFY}):
            self._look_again()
        return False, 0
