"""A Wayland compositor for tests (sway, without a screen), and a keyboard and a pointer of its own on it.

The wire is spoken here: 8 bytes of header, then words of 32 bits (wayland.freedesktop.org, "Wire Format"). Programs
such as wtype make a keyboard anew with each call, and what they type before a window has noticed it is lost.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.tray_host import LIMIT_SECONDS, until

CONFIG = """\
output HEADLESS-1 resolution 1280x800
default_border none
xwayland disable
focus_on_window_activation focus
seat seat0 hide_cursor 0
"""
NOBODY: Final = 65534
"""sway refuses to be root's."""


class Compositor:
    """sway, as it is asked by its own protocol."""

    def __init__(self, folder: Path) -> None:
        self.display = str(folder / "wayland-1")
        """What `WAYLAND_DISPLAY` takes; absolute, so that each program may have a runtime folder of its own."""
        self._folder = folder

    def do(self, command: str) -> None:
        """A command of its configuration's language (sway(5))."""
        (done,) = self._ask(command)
        assert done["success"], done

    def windows(self) -> list[dict[str, Any]]:
        """Those that are mapped: `app_id`, `name`, `focused`, `visible`, `urgent`, `rect`."""
        found, nodes = [], [self._ask("-t", "get_tree")]
        while nodes:
            node = nodes.pop()
            nodes += [*node["nodes"], *node["floating_nodes"]]
            if node.get("pid"):
                found.append(node)
        return found

    def window(self, title: str) -> dict[str, Any]:
        """Nothing where there is none. Qt puts the program's name behind the title of each other window."""
        return next((one for one in self.windows() if one["name"].split(" \N{EM DASH} ")[0] == title), {})

    def _ask(self, *arguments: str) -> Any:
        (at,) = self._folder.glob("sway-ipc.*.sock")
        done = subprocess.run(
            ["swaymsg", "--raw", "--socket", at, *arguments],
            capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
        return json.loads(done.stdout)


@contextlib.contextmanager
def compositor() -> Iterator[Compositor]:
    for program in ("sway", "swaymsg"):
        if shutil.which(program) is None:
            pytest.skip("sway is missing: install the Debian package of this name")
    with tempfile.TemporaryDirectory(prefix="kubiya-sway-") as name:
        folder = Path(name)
        (folder / "config").write_text(CONFIG, encoding="utf-8")
        (folder / "config").chmod(0o644)
        other: dict[str, Any] = {}
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
            other = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        process = subprocess.Popen(
            ["sway", "--config", folder / "config"],
            env={
                "PATH": os.environ["PATH"], "HOME": name, "XDG_RUNTIME_DIR": name, "LANG": "C.UTF-8",
                "WLR_BACKENDS": "headless", "WLR_LIBINPUT_NO_DEVICES": "1", "WLR_RENDERER": "pixman",
            },
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **other,
        )  # fmt: skip
        try:
            until(lambda: len(list(folder.glob("*-[0-9]"))) and list(folder.glob("sway-ipc.*.sock")), what="sway")
            yield Compositor(folder)
        finally:
            process.terminate()
            process.wait(LIMIT_SECONDS)


# -- the wire ----------------------------------------------------------------------------------------------------------

DISPLAY: Final = 1
SHIFT, CONTROL = 1, 4  # the modifiers' bits in xkb's "complete"
LEFT, RIGHT, MIDDLE = 0x110, 0x111, 0x112  # BTN_LEFT, BTN_RIGHT and BTN_MIDDLE of linux/input-event-codes.h
CHARACTERS: Final = [chr(code) for code in range(0x20, 0x7F)]
NAMED: Final = ["Return", "Tab", "Escape", "Up", "Down", "Left", "Right", "BackSpace", "Delete"]
KEYS: Final = [*NAMED, *CHARACTERS]


class Hands:
    """A keyboard and a pointer, which stay until `close`."""

    def __init__(self, display: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(LIMIT_SECONDS)
        self._socket.connect(display)
        self._last = DISPLAY
        self._waiting: dict[int, Callable[[int, bytes], None]] = {}
        globals_: dict[str, tuple[int, int]] = {}

        def announced(_: int, body: bytes) -> None:
            number, length = struct.unpack_from("=II", body)
            interface = body[8 : 8 + length - 1].decode()
            globals_[interface] = (number, *struct.unpack_from("=I", body, len(body) - 4))

        self._registry = self._new()
        self._waiting[self._registry] = announced
        self._send(DISPLAY, 1, _uint(self._registry))
        self.settled()
        self._globals = globals_
        seat = self._bind("wl_seat")
        manager = self._bind("zwp_virtual_keyboard_manager_v1")
        self._keyboard = self._new()
        self._send(manager, 0, _uint(seat, self._keyboard))
        self._give_keymap()
        manager = self._bind("zwlr_virtual_pointer_manager_v1")
        self._pointer = self._new()
        self._send(manager, 0, _uint(seat, self._pointer))
        self.settled()

    def close(self) -> None:
        self._socket.close()

    # -- what a person does

    def type(self, text: str) -> None:
        for character in text:
            self._key(character, 0)
        self.settled()

    def press(self, *keys: str) -> None:
        """Each a character or a name of `KEYS`, with `ctrl+` or `shift+` before it."""
        for key in keys:
            *held, name = key.split("+") if len(key) > 1 else [key]
            self._key(name, sum({"ctrl": CONTROL, "shift": SHIFT}[one] for one in held))
        self.settled()

    def move(self, x: int, y: int, *, width: int = 1280, height: int = 800) -> None:
        self._send(self._pointer, 1, _uint(self._time(), x, y, width, height))
        self._send(self._pointer, 4)
        self.settled()

    def button(self, *, down: bool, which: int = LEFT) -> None:
        self._send(self._pointer, 2, _uint(self._time(), which, int(down)))
        self._send(self._pointer, 4)
        self.settled()

    def click(self, x: int, y: int, which: int = LEFT) -> None:
        self.move(x, y)
        self.button(down=True, which=which)
        self.button(down=False, which=which)

    def activation_token(self) -> str:
        """A leave to come forward, as a notification server gets it when it was clicked (xdg-activation-v1)."""
        manager = self._bind("xdg_activation_v1")
        token, said = self._new(), []
        self._waiting[token] = lambda _, body: said.append(_string_of(body))
        self._send(manager, 1, _uint(token))
        self._send(token, 3)
        while not said:
            self._read()
        return said[0]

    # -- how

    def settled(self) -> None:
        """The compositor has carried out what was sent."""
        done: list[bool] = []
        callback = self._new()
        self._waiting[callback] = lambda *_: done.append(True)
        self._send(DISPLAY, 0, _uint(callback))
        while not done:
            self._read()

    def _key(self, name: str, held: int) -> None:
        code = KEYS.index(name) + 1
        for down in (1, 0):
            self._send(self._keyboard, 2, _uint(held if down else 0, 0, 0, 0))
            self._send(self._keyboard, 1, _uint(self._time(), code, down))

    def _give_keymap(self) -> None:
        """One key for each character: `U0041` names a symbol by its character (xkbcommon)."""
        codes = "".join(f"<K{at}> = {at + 9};" for at in range(len(KEYS)))
        symbols = "".join(
            f"key <K{at}> {{[{key if len(key) > 1 else f'U{ord(key):04X}'}]}};" for at, key in enumerate(KEYS)
        )
        text = (
            f'xkb_keymap {{ xkb_keycodes "test" {{ minimum = 8; maximum = 255; {codes} }};'
            ' xkb_types "test" { include "complete" }; xkb_compatibility "test" { include "complete" };'
            f' xkb_symbols "test" {{ {symbols} }}; }};\0'
        ).encode()
        with tempfile.TemporaryFile() as file:
            file.write(text)
            file.flush()
            # Once it is sent, a descriptor is the other side's as well.
            self._send(self._keyboard, 0, _uint(1, len(text)), descriptor=file.fileno())
            self.settled()

    def _bind(self, interface: str) -> int:
        number, version = self._globals[interface]
        new = self._new()
        self._send(self._registry, 0, _uint(number) + _string(interface) + _uint(min(version, 1), new))
        return new

    def _new(self) -> int:
        self._last += 1
        return self._last

    def _time(self) -> int:
        return time.monotonic_ns() // 1_000_000 & 0xFFFFFFFF

    def _send(self, target: int, opcode: int, body: bytes = b"", *, descriptor: int | None = None) -> None:
        message = _uint(target, (8 + len(body)) << 16 | opcode) + body
        if descriptor is None:
            self._socket.sendall(message)
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        assert self._socket.sendmsg([message], rights) == len(message)

    def _read(self) -> None:
        target, more = struct.unpack("=II", self._exactly(8))
        body = self._exactly((more >> 16) - 8)
        if target == DISPLAY and more & 0xFFFF == 0:
            raise AssertionError(f"the compositor refuses: {_string_of(body[8:])}")
        if target in self._waiting:
            self._waiting[target](more & 0xFFFF, body)

    def _exactly(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            part = self._socket.recv(size - len(read))
            assert part, "the compositor is gone"
            read += part
        return read


def _uint(*numbers: int) -> bytes:
    return struct.pack(f"={len(numbers)}I", *numbers)


def _string(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return _uint(len(raw)) + raw + b"\0" * (-len(raw) % 4)


def _string_of(body: bytes) -> str:
    (length,) = struct.unpack_from("=I", body)
    return body[4 : 4 + length - 1].decode()
