"""A login manager for tests, on a real bus: gives out inhibitors, and says when the machine sleeps and wakes."""

from __future__ import annotations

import os
import select
import threading
from dataclasses import dataclass
from typing import Any

from jeepney import DBusAddress, HeaderFields, Message, MessageType, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

from tests.support.tray_host import LIMIT_SECONDS

NAME = "org.freedesktop.login1"
PATH = "/org/freedesktop/login1"
MANAGER = "org.freedesktop.login1.Manager"


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


class Logind:
    """Owns the name until `close`."""

    def __init__(self, address: str) -> None:
        self.inhibitors: list[Inhibitor] = []
        self._connection = open_dbus_connection(address, enable_fds=True)
        answer = self._connection.send_and_get_reply(message_bus.RequestName(NAME))
        assert answer.body == (1,), "there is a login manager already"
        self._over = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over = True
        self._thread.join(LIMIT_SECONDS)
        self._connection.close()
        for one in self.inhibitors:
            os.close(one.end)

    def held(self, mode: str) -> list[Inhibitor]:
        return [one for one in self.inhibitors if one.mode == mode and one.is_held]

    def prepare_for_sleep(self, *, begins: bool) -> None:
        with self._lock:
            emitter = DBusAddress(PATH, interface=MANAGER)
            self._connection.send(new_signal(emitter, "PrepareForSleep", "b", (begins,)))

    def _serve(self) -> None:
        while not self._over:
            try:
                message = self._connection.receive(timeout=0.05)
            except TimeoutError:
                continue
            except (ConnectionError, OSError):
                return
            if message.header.message_type is MessageType.method_call:
                self._answer(message)

    def _answer(self, message: Message) -> None:
        if message.header.fields.get(HeaderFields.member) != "Inhibit":
            self._reply(message)
            return
        ours, theirs = os.pipe()
        self._reply(message, "h", (theirs,))
        os.close(theirs)
        self.inhibitors.append(Inhibitor(*message.body, end=ours))

    def _reply(self, message: Message, signature: str | None = None, body: tuple[Any, ...] = ()) -> None:
        with self._lock:
            self._connection.send(new_method_return(message, signature, body))
