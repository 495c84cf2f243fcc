"""The notification server of the session bus, as jeepney reaches it: it comes with the keychain on Linux."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from queue import Queue
from typing import Any, Final

from jeepney import DBusAddress, HeaderFields, MatchRule, Message, MessageType, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.threading import DBusConnection, DBusRouter, open_dbus_connection

NAME: Final = "org.freedesktop.Notifications"
PATH: Final = "/org/freedesktop/Notifications"
LIMIT_SECONDS: Final = 5.0
CHOICE: Final = "ActionInvoked"
CLOSED: Final = "NotificationClosed"


class NotificationBus:
    """The session bus, and what the notification server on it can do."""

    def __init__(self, heard: Queue[Any]) -> None:
        """Raises what jeepney or the bus raise."""
        self._connection: DBusConnection = open_dbus_connection("SESSION")
        self._router = DBusRouter(self._connection)
        self._ends: list[Callable[[], object]] = []
        try:
            for member in (CHOICE, CLOSED):
                rule = MatchRule(type="signal", interface=NAME, member=member, path=PATH)
                self._router.send_and_get_reply(message_bus.AddMatch(rule), timeout=LIMIT_SECONDS)
                self._ends.append(self._router.filter(rule, queue=heard).close)
            (self.can,) = self.call("GetCapabilities", None, ())
        except BaseException:
            self.close()
            raise

    def call(self, method: str, signature: str | None, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        where = DBusAddress(PATH, bus_name=NAME, interface=NAME)
        answer = self._router.send_and_get_reply(
            new_method_call(where, method, signature, arguments), timeout=LIMIT_SECONDS
        )
        if answer.header.message_type is not MessageType.method_return:
            raise ConnectionError(str(answer.header.fields.get(HeaderFields.error_name, "refused")))
        return tuple(answer.body)

    def close(self) -> None:
        for end in self._ends:
            end()
        self._ends.clear()
        with contextlib.suppress(Exception):
            self._router.close()
        with contextlib.suppress(Exception):
            self._connection.close()


def is_choice(message: Message) -> bool:
    """Whether the person picked something; else the notification went from the screen."""
    return bool(message.header.fields.get(HeaderFields.member) == CHOICE)
