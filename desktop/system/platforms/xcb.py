"""What a grab of keys needs of libxcb (xcb/xcb.h, xcb/xproto.h), over a connection that somebody else has opened."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from ctypes import POINTER, byref, c_char_p, c_int, c_uint8, c_uint16, c_uint32, c_void_p
from typing import Any, Final

from worker_core.basics.quick_dataclass import dataclass

LIBRARY: Final = "libxcb.so.1"
KEY_PRESS: Final = 2
KEY_RELEASE: Final = 3
MAPPING_NOTIFY: Final = 34
_ASYNCHRONOUS: Final = 1
_REPLY_BYTES: Final = 32
"""Of a reply, before its list."""


class _Cookie(ctypes.Structure):
    _fields_ = [("sequence", c_uint32)]


class _Screens(ctypes.Structure):
    _fields_ = [("data", POINTER(c_uint32)), ("rem", c_int), ("index", c_int)]


class _KeyEvent(ctypes.Structure):
    _fields_ = [
        ("response_type", c_uint8), ("detail", c_uint8), ("sequence", c_uint16), ("time", c_uint32),
        ("root", c_uint32), ("event", c_uint32), ("child", c_uint32), ("places", c_uint16 * 4), ("state", c_uint16),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent:
    kind: int
    keycode: int
    time: int
    """Of the server, in milliseconds."""

    window: int
    state: int


class Xcb:
    """Its calls wait for the server's answers. A connection that is broken answers at once, with nothing."""

    def __init__(self, connection: int) -> None:
        """`connection`: address of an `xcb_connection_t`, which outlives this. Raises OSError: there is no libxcb."""
        self._connection = c_void_p(connection)
        self._free = ctypes.CDLL(None).free
        self._free.argtypes, self._free.restype = [c_void_p], None
        library = ctypes.CDLL(LIBRARY)

        def call(name: str, result: Any, *arguments: Any) -> Any:
            found = getattr(library, name)
            found.argtypes, found.restype = [c_void_p, *arguments], result
            return found

        self._flush = call("xcb_flush", c_int)
        self._check = call("xcb_request_check", c_void_p, _Cookie)
        self._grab = call(
            "xcb_grab_key_checked", _Cookie, c_uint8, c_uint32, c_uint16, c_uint8, c_uint8, c_uint8
        )  # fmt: skip
        self._ungrab = call("xcb_ungrab_key", _Cookie, c_uint8, c_uint32, c_uint16)
        self._ask_keyboard = call("xcb_get_keyboard_mapping", _Cookie, c_uint8, c_uint8)
        self._told_keyboard = call("xcb_get_keyboard_mapping_reply", c_void_p, _Cookie, c_void_p)
        self._ask_modifiers = call("xcb_get_modifier_mapping", _Cookie)
        self._told_modifiers = call("xcb_get_modifier_mapping_reply", c_void_p, _Cookie, c_void_p)
        self._ask_extension = call("xcb_query_extension", _Cookie, c_uint16, c_char_p)
        self._told_extension = call("xcb_query_extension_reply", c_void_p, _Cookie, c_void_p)
        setup = call("xcb_get_setup", c_void_p)(self._connection)
        self._keycodes = tuple(ctypes.string_at(setup, 36)[34:36])
        """The lowest and the highest."""

        screens = call("xcb_setup_roots_iterator", _Screens)(setup)
        following = library.xcb_screen_next
        following.argtypes, following.restype = [POINTER(_Screens)], None
        roots = []
        while screens.rem:
            roots.append(int(screens.data[0]))
            following(byref(screens))
        self.roots: Final = tuple(roots)

    def first_event(self, extension: bytes) -> int:
        """The number of an extension's first event; 0: the server has no such extension."""
        cookie = self._ask_extension(self._connection, len(extension), extension)
        said = self._read(self._told_extension, cookie)
        return said[10] if said and said[8] else 0

    def keyboard(self) -> dict[int, tuple[int, ...]]:
        """The symbols of each keycode, of all levels and layouts."""
        first, last = self._keycodes
        cookie = self._ask_keyboard(self._connection, first, last - first + 1)
        said = self._read(self._told_keyboard, cookie)
        if not said or not said[1]:
            return {}
        symbols = memoryview(said[_REPLY_BYTES:]).cast("I")
        each = said[1]
        return {first + at // each: tuple(symbols[at : at + each]) for at in range(0, len(symbols), each)}

    def modifiers(self) -> list[set[int]]:
        """The keycodes that give Shift, Lock, Control, Mod1 to Mod5."""
        said = self._read(self._told_modifiers, self._ask_modifiers(self._connection))
        each = said[1] if said else 0
        start = [_REPLY_BYTES + bit * each for bit in range(8)]
        return [set(said[at : at + each]) - {0} for at in start]

    def grab(self, keys: Iterable[tuple[int, int]]) -> bool:
        """Take keycodes with exactly these modifiers, on every screen; all of them, or none: somebody has one."""
        wanted = [(code, mask, root) for code, mask in keys for root in self.roots]
        cookies = [
            self._grab(self._connection, 0, root, mask, code, _ASYNCHRONOUS, _ASYNCHRONOUS)
            for code, mask, root in wanted
        ]
        refused = [self._free_error(self._check(self._connection, cookie)) for cookie in cookies]
        for (code, mask, root), is_refused in zip(wanted, refused, strict=True):
            if any(refused) and not is_refused:
                self._ungrab(self._connection, code, root, mask)
        self._flush(self._connection)
        return not any(refused)

    def ungrab(self, keys: Iterable[tuple[int, int]]) -> None:
        for code, mask in keys:
            for root in self.roots:
                self._ungrab(self._connection, code, root, mask)
        self._flush(self._connection)

    def kind_of(self, event: int) -> tuple[int, int]:
        """Its type, which is none of these where another program made the event, and its detail.

        `event`: address of an `xcb_generic_event_t`.
        """
        said = (c_uint8 * 2).from_address(event)
        return said[0], said[1]

    def key_event(self, event: int) -> KeyEvent:
        said = _KeyEvent.from_address(event)
        return KeyEvent(
            kind=said.response_type,
            keycode=said.detail,
            time=said.time,
            window=said.event,
            state=said.state,
        )

    def _free_error(self, error: int | None) -> bool:
        if error:
            self._free(error)
        return bool(error)

    def _read(self, reply: Any, cookie: _Cookie) -> bytes:
        """The whole of a reply; empty: there is none."""
        at = reply(self._connection, cookie, None)
        if not at:
            return b""
        try:
            more = c_uint32.from_address(at + 4).value  # in units of four bytes
            return ctypes.string_at(at, _REPLY_BYTES + 4 * more)
        finally:
            self._free(at)
