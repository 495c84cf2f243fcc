"""Keys that are pressed together, as systems name them: X11 and portals by keysyms, Windows by virtual-key codes."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence

from worker_core.basics.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One key.

    `xkb` is its keysym's name without `XKB_KEY_`, `keysym` its number (xkbcommon-keysyms.h), `virtual` Windows' code
    (winuser.h); 0: the code depends on the keyboard's layout.
    """

    xkb: str
    keysym: int
    virtual: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """Modifiers as keyboards of PCs have them; `meta` is the key with Windows' or another logo."""

    key: Named
    ctrl: bool = False
    alt: bool = False
    shift: bool = False
    meta: bool = False

    @classmethod
    def of(cls, keys: str) -> Combination | None:
        """From Qt's portable text, such as `Ctrl+Alt+Space`.

        None: it is no combination that a program may take from all others: one key of those that are known here, with
        Ctrl, Alt or Meta.
        """
        sequence = QKeySequence.fromString(keys, QKeySequence.SequenceFormat.PortableText)
        if sequence.count() != 1:
            return None
        pressed, modifier = sequence[0], Qt.KeyboardModifier  # type: ignore[index]  # the stubs lack it
        held, key = pressed.keyboardModifiers(), _named(pressed.key())
        if key is None or not held & (modifier.ControlModifier | modifier.AltModifier | modifier.MetaModifier):
            return None
        return cls(
            key=key,
            ctrl=bool(held & modifier.ControlModifier),
            alt=bool(held & modifier.AltModifier),
            shift=bool(held & modifier.ShiftModifier),
            meta=bool(held & modifier.MetaModifier),
        )

    @property
    def trigger(self) -> str:
        """As freedesktop.org's specification of shortcuts writes it, such as `CTRL+ALT+space`."""
        held = (("CTRL", self.ctrl), ("ALT", self.alt), ("SHIFT", self.shift), ("LOGO", self.meta))
        return "+".join([*(name for name, is_held in held if is_held), self.key.xkb])


def _named(key: Qt.Key) -> Named | None:
    code = int(key)
    if ord("A") <= code <= ord("Z"):  # the keysym of the key itself, which Shift is not part of
        return Named(xkb=chr(code).lower(), keysym=code + 32, virtual=code)
    if ord("0") <= code <= ord("9"):
        return Named(xkb=chr(code), keysym=code, virtual=code)
    if Qt.Key.Key_F1 <= code <= Qt.Key.Key_F24:
        number = code - int(Qt.Key.Key_F1)
        return Named(xkb=f"F{number + 1}", keysym=0xFFBE + number, virtual=0x70 + number)
    if code in _PRINTED:
        return Named(xkb=_PRINTED[code], keysym=code)
    return _OTHERS.get(key)


_PRINTED: Final = {
    ord(character): name
    for character, name in {
        "!": "exclam", '"': "quotedbl", "#": "numbersign", "$": "dollar", "%": "percent", "&": "ampersand",
        "'": "apostrophe", "(": "parenleft", ")": "parenright", "*": "asterisk", "+": "plus", ",": "comma",
        "-": "minus", ".": "period", "/": "slash", ":": "colon", ";": "semicolon", "<": "less", "=": "equal",
        ">": "greater", "?": "question", "@": "at", "[": "bracketleft", "\\": "backslash", "]": "bracketright",
        "^": "asciicircum", "_": "underscore", "`": "grave", "{": "braceleft", "|": "bar", "}": "braceright",
        "~": "asciitilde",
    }.items()
}  # fmt: skip
"""Keysyms of Latin 1 are its characters, and so are Qt's keys."""

_OTHERS: Final = {
    Qt.Key.Key_Space: Named(xkb="space", keysym=0x20, virtual=0x20),
    Qt.Key.Key_Return: Named(xkb="Return", keysym=0xFF0D, virtual=0x0D),
    Qt.Key.Key_Tab: Named(xkb="Tab", keysym=0xFF09, virtual=0x09),
    Qt.Key.Key_Backspace: Named(xkb="BackSpace", keysym=0xFF08, virtual=0x08),
    Qt.Key.Key_Insert: Named(xkb="Insert", keysym=0xFF63, virtual=0x2D),
    Qt.Key.Key_Delete: Named(xkb="Delete", keysym=0xFFFF, virtual=0x2E),
    Qt.Key.Key_Home: Named(xkb="Home", keysym=0xFF50, virtual=0x24),
    Qt.Key.Key_End: Named(xkb="End", keysym=0xFF57, virtual=0x23),
    Qt.Key.Key_PageUp: Named(xkb="Prior", keysym=0xFF55, virtual=0x21),
    Qt.Key.Key_PageDown: Named(xkb="Next", keysym=0xFF56, virtual=0x22),
    Qt.Key.Key_Left: Named(xkb="Left", keysym=0xFF51, virtual=0x25),
    Qt.Key.Key_Up: Named(xkb="Up", keysym=0xFF52, virtual=0x26),
    Qt.Key.Key_Right: Named(xkb="Right", keysym=0xFF53, virtual=0x27),
    Qt.Key.Key_Down: Named(xkb="Down", keysym=0xFF54, virtual=0x28),
    Qt.Key.Key_Pause: Named(xkb="Pause", keysym=0xFF13, virtual=0x13),
}
