"""A notification server for tests, on a real bus: shows nothing, remembers everything, and picks what it is told to."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from jeepney import DBusAddress, HeaderFields, Message, MessageType, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

from tests.support.tray_host import LIMIT_SECONDS

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"
EVERYTHING = ("actions", "body", "body-markup", "persistence")


@dataclass(frozen=True, slots=True)
class Shown:
    id: int
    replaces: int
    title: str
    body: str
    actions: dict[str, str]
    urgency: int
    expires_ms: int


class NotificationServer:
    """Owns the name until `close`."""

    def __init__(self, address: str, *, can: tuple[str, ...] = EVERYTHING) -> None:
        self.shown: list[Shown] = []
        self.closed: list[int] = []
        self._can = list(can)
        self._connection = open_dbus_connection(address)
        answer = self._connection.send_and_get_reply(message_bus.RequestName(NAME))
        assert answer.body == (1,), "there is a notification server already"
        self._over = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over = True
        self._thread.join(LIMIT_SECONDS)
        self._connection.close()

    def pick(self, number: int, action: str) -> None:
        self._signal("ActionInvoked", "us", (number, action))

    def dismiss(self, number: int) -> None:
        self._signal("NotificationClosed", "uu", (number, 2))

    def _signal(self, member: str, signature: str, body: tuple[Any, ...]) -> None:
        with self._lock:
            self._connection.send(new_signal(DBusAddress(PATH, interface=NAME), member, signature, body))

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
        match message.header.fields.get(HeaderFields.member):
            case "GetCapabilities":
                self._reply(message, "as", (self._can,))
            case "Notify":
                _, replaces, _, title, body, actions, hints, expires = message.body
                number = replaces or len(self.shown) + 1
                pairs = dict(zip(actions[::2], actions[1::2], strict=True))
                self.shown.append(Shown(number, replaces, title, body, pairs, hints["urgency"][1], expires))
                self._reply(message, "u", (number,))
            case "CloseNotification":
                self.closed.append(message.body[0])
                self._reply(message)
                self._signal("NotificationClosed", "uu", (message.body[0], 3))
            case _:
                self._reply(message)

    def _reply(self, message: Message, signature: str | None = None, body: tuple[Any, ...] = ()) -> None:
        with self._lock:
            self._connection.send(new_method_return(message, signature, body))
