"""A login manager for tests, on a real bus: gives out inhibitors, and says when the machine sleeps and wakes."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

pytest.importorskip("jeepney", reason="D-Bus is Linux's: jeepney is not installed")

from jeepney import DBusAddress, HeaderFields, Message

from tests.support.bus_service import BusService

NAME = "org.freedesktop.login1"
EMITTER = DBusAddress("/org/freedesktop/login1", interface="org.freedesktop.login1.Manager")
SESSION_PATH = "/org/freedesktop/login1/session/_32"
SESSION = DBusAddress(SESSION_PATH, interface="org.freedesktop.DBus.Properties")


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """Held for as long as the program keeps its end of a pipe open."""

    what: str
    who: str
    why: str
    mode: str
    end: int

    @property
    def is_held(self) -> bool:
        ready, _, _ = select.select([self.end], [], [], 0)
        return not ready  # readable: the other end is closed


class Logind(BusService):
    """Owns the name until `close`."""

    name = NAME

    def __init__(self, address: str) -> None:
        self.inhibitors: list[Inhibitor] = []
        self.locked = False
        self._answers = threading.Event()
        self._answers.set()
        super().__init__(address, descriptors=True)

    def close(self) -> None:
        super().close()
        for one in self.inhibitors:
            os.close(one.end)

    def held(self, mode: str) -> list[Inhibitor]:
        return [one for one in self.inhibitors if one.mode == mode and one.is_held]

    def prepare_for_sleep(self, *, begins: bool) -> None:
        self.signal(EMITTER, "PrepareForSleep", "b", (begins,))

    def lock(self, *, locked: bool) -> None:
        """As a screen locker says it."""
        self.locked = locked
        changed = ("org.freedesktop.login1.Session", {"LockedHint": ("b", locked)}, [])
        self.signal(SESSION, "PropertiesChanged", "sa{sv}as", changed)

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """It answers when this is over."""
        self._answers.clear()
        try:
            yield
        finally:
            self._answers.set()

    def answer(self, message: Message) -> None:
        self._answers.wait()
        match message.header.fields.get(HeaderFields.member):
            case "GetSession":
                self.reply(message, "o", (SESSION_PATH,))
            case "Get" if message.header.fields.get(HeaderFields.path) == SESSION_PATH:
                self.reply(message, "v", (("b", self.locked),))
            case "Inhibit":
                ours, theirs = os.pipe()
                self.reply(message, "h", (theirs,))
                os.close(theirs)
                self.inhibitors.append(Inhibitor(*message.body, end=ours))
            case _:
                self.reply(message)
