"""A program on a real bus that owns a name and answers what it is asked, in a thread of its own."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("jeepney", reason="D-Bus is Linux's: jeepney is not installed")

from jeepney import DBusAddress, Message, MessageType, new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

CLOSE_LIMIT_SECONDS = 30.0


class BusService:
    """Owns `name` until `close`. Subclasses say in `answer` what they reply."""

    name = ""

    def __init__(self, address: str, *, descriptors: bool = False) -> None:
        """`descriptors`: file descriptors may be sent."""
        self._connection = open_dbus_connection(address, enable_fds=descriptors)
        answer = self._connection.send_and_get_reply(message_bus.RequestName(self.name))
        assert answer.body == (1,), f"somebody owns {self.name} already"
        self._over = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over = True
        self._thread.join(CLOSE_LIMIT_SECONDS)
        self._connection.close()

    def give_up_name(self) -> None:
        """Live on without it."""
        with self._lock:
            self._connection.send(message_bus.ReleaseName(self.name))

    def answer(self, message: Message) -> None:
        raise NotImplementedError

    def reply(self, message: Message, signature: str | None = None, body: tuple[Any, ...] = ()) -> None:
        with self._lock:
            self._connection.send(new_method_return(message, signature, body))

    def refuse(self, message: Message, error: str) -> None:
        with self._lock:
            self._connection.send(new_error(message, error))

    def signal(self, emitter: DBusAddress, member: str, signature: str, body: tuple[Any, ...]) -> None:
        with self._lock:
            self._connection.send(new_signal(emitter, member, signature, body))

    def _serve(self) -> None:
        while not self._over:
            try:
                message = self._connection.receive(timeout=0.05)
            except TimeoutError:
                continue
            except (ConnectionError, OSError):
                return
            if message.header.message_type is MessageType.method_call:
                self.answer(message)
