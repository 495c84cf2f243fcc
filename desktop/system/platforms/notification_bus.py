"""The notification server of the session bus, as jeepney reaches it: it comes with the keychain on Linux."""

from __future__ import annotations

import contextlib
import logging
import threading
from concurrent.futures import Future
from queue import Queue
from typing import Any, Final

from jeepney import DBusAddress, HeaderFields, MatchRule, Message, MessageType, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.threading import DBusConnection, ReceiveStopped, open_dbus_connection

NAME: Final = "org.freedesktop.Notifications"
PATH: Final = "/org/freedesktop/Notifications"
LIMIT_SECONDS: Final = 5.0
CHOICE: Final = "ActionInvoked"
CLOSED: Final = "NotificationClosed"
LEAVE: Final = "ActivationToken"
"""Wayland's leave to come forward; it comes just before the choice (specification 1.3)."""

HEARD: Final = (CHOICE, CLOSED, LEAVE)

log = logging.getLogger(__name__)


class BusRefusal(ConnectionError):
    """The server answered with an error; the connection is as good as before."""


class NotificationBus:
    """The session bus, and what the notification server on it can do.

    Not jeepney's own router: its thread ends for good where a server answers a call twice, as mako 1.7 to 1.10 do
    (GetCapabilities: the list, then an error for the same call).
    """

    def __init__(self, heard: Queue[Any]) -> None:
        """Raises what jeepney or the bus raise."""
        self._heard = heard
        self._waiting: dict[int, Future[Message]] = {}
        self._connection: DBusConnection = open_dbus_connection("SESSION")
        self._thread = threading.Thread(target=self._receive, name="notification bus", daemon=True)
        self._thread.start()
        try:
            for member in HEARD:
                self._ask(message_bus.AddMatch(MatchRule(type="signal", interface=NAME, member=member, path=PATH)))
            (self.can,) = self.call("GetCapabilities", None, ())
        except BaseException:
            self.close()
            raise

    def call(self, method: str, signature: str | None, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Raises BusRefusal, TimeoutError, or what the bus raises."""
        where = DBusAddress(PATH, bus_name=NAME, interface=NAME)
        answer = self._ask(new_method_call(where, method, signature, arguments))
        if answer.header.message_type is not MessageType.method_return:
            raise BusRefusal(str(answer.header.fields.get(HeaderFields.error_name, "refused")))
        return tuple(answer.body)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.interrupt()
        self._thread.join(LIMIT_SECONDS)
        with contextlib.suppress(Exception):
            self._connection.close()

    def _ask(self, message: Message) -> Message:
        if not self._thread.is_alive():
            raise ConnectionError("the connection to the session bus has ended")
        serial = next(self._connection.outgoing_serial)
        answer = self._waiting[serial] = Future()
        try:
            self._connection.send(message, serial=serial)
            return answer.result(LIMIT_SECONDS)
        finally:
            self._waiting.pop(serial, None)

    def _receive(self) -> None:
        """In a thread of its own. What fails here fails for those who wait, and is no crash of the program."""
        ended: Exception = ConnectionError("the connection to the session bus has ended")
        try:
            while True:
                self._take(self._connection.receive())
        except ReceiveStopped:
            pass
        except Exception as error:  # noqa: BLE001 - whatever a server sends
            log.info("The connection to the notification server ended (%s: %s).", type(error).__name__, error)
            ended = ConnectionError(str(error))
        while self._waiting:
            with contextlib.suppress(KeyError):
                self._waiting.popitem()[1].set_exception(ended)

    def _take(self, message: Message) -> None:
        fields = message.header.fields
        if message.header.message_type is MessageType.signal:
            if fields.get(HeaderFields.interface) == NAME and fields.get(HeaderFields.member) in HEARD:
                self._heard.put(message)
            return
        waiting = self._waiting.pop(fields.get(HeaderFields.reply_serial, 0), None)
        if waiting is not None:  # the second answer to one call is nobody's
            waiting.set_result(message)


def member(message: Message) -> str:
    """Which of `HEARD` it is."""
    return str(message.header.fields.get(HeaderFields.member))
