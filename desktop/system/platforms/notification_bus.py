"""The notification server of the session bus, as jeepney reaches it: it comes with the keychain on Linux."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Queue
from typing import Any, Final, NamedTuple

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

OWNER: Final = "NameOwnerChanged"
"""Of the bus: another program has the name, or none."""

HEARD: Final = (CHOICE, CLOSED, LEAVE)

_TOLD: Final = {(NAME, member) for member in HEARD} | {(message_bus.interface, OWNER)}

log = logging.getLogger(__name__)


class BusRefusal(ConnectionError):
    """The server answered with an error; the connection is as good as before."""


class Answer(NamedTuple):
    """What came back, and the unique name of who sent it: numbers of notifications are a server's own."""

    server: str
    body: tuple[Any, ...]


class NotificationBus:
    """The session bus, and what the notification server on it can do. One server may take the place of another.

    Not jeepney's own router: its thread ends for good where a server answers a call twice, as mako 1.7 to 1.10 do
    (GetCapabilities: the list, then an error for the same call).
    """

    def __init__(self, heard: Queue[Any]) -> None:
        """`heard` gets each signal of a server, and each change of who is it. Raises what jeepney or the bus raise."""
        self._heard = heard
        self._can: tuple[str, ...] | None = None
        self._is_called: str | None = None
        self._waiting: dict[int, Future[Message]] = {}
        self._connection: DBusConnection = open_dbus_connection("SESSION")
        self._thread = threading.Thread(target=self._receive, name="notification bus", daemon=True)
        self._thread.start()
        try:
            changed = MatchRule(
                type="signal", interface=message_bus.interface, member=OWNER, path=message_bus.object_path
            )
            changed.add_arg_condition(0, NAME)
            signals = [MatchRule(type="signal", interface=NAME, member=member, path=PATH) for member in HEARD]
            for rule in (changed, *signals):
                self._ask(message_bus.AddMatch(rule))
        except BaseException:
            self.close()
            raise

    def can(self) -> tuple[str, ...]:
        """What the server says that it can do; it is asked once. Raises as `call` does."""
        if self._can is None:
            (said,) = self.call("GetCapabilities", None, ()).body
            self._can = tuple(said)
        return self._can

    def is_called(self) -> str:
        """The server's name for itself, empty where it tells none; it is asked once. Raises TimeoutError, or what the
        bus raises.
        """
        if self._is_called is None:
            said: tuple[Any, ...] = ()
            with contextlib.suppress(BusRefusal):
                said = self.call("GetServerInformation", None, ()).body
            self._is_called = str(said[0]) if said else ""
        return self._is_called

    def forget(self) -> None:
        """Another server is there: what the last one said of itself counts no more."""
        self._can = self._is_called = None

    def call(
        self,
        method: str,
        signature: str | None,
        arguments: tuple[Any, ...],
        *,
        server: str = NAME,
        late: Callable[[Answer | None], None] | None = None,
    ) -> Answer:
        """Ask a server: whoever has the name, which the bus may start for it, or one by its unique name.

        `late` is called where the answer comes after the limit, in another thread; None: it is no good one.

        Raises BusRefusal, TimeoutError, or what the bus raises.
        """
        where = DBusAddress(PATH, bus_name=server, interface=NAME)
        return _read(self._ask(new_method_call(where, method, signature, arguments), late=late))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.interrupt()
        self._thread.join(LIMIT_SECONDS)
        with contextlib.suppress(Exception):
            self._connection.close()

    def _ask(self, message: Message, *, late: Callable[[Answer | None], None] | None = None) -> Message:
        if not self._thread.is_alive():
            raise ConnectionError("the connection to the session bus has ended")
        serial = next(self._connection.outgoing_serial)
        answer = self._waiting[serial] = Future()
        try:
            self._connection.send(message, serial=serial)
            answered = answer.result(LIMIT_SECONDS)
        except TimeoutError:
            if late is None:
                self._waiting.pop(serial, None)
            else:  # it is still waited for
                answer.add_done_callback(lambda came: _tell(came, late))
            raise
        except BaseException:
            self._waiting.pop(serial, None)
            raise
        return answered

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
            told = (fields.get(HeaderFields.interface), fields.get(HeaderFields.member))
            if told in _TOLD:
                self._heard.put(message)
            return
        waiting = self._waiting.pop(fields.get(HeaderFields.reply_serial, 0), None)
        if waiting is not None:  # the second answer to one call is nobody's
            waiting.set_result(message)


def member(message: Message) -> str:
    """Which of `HEARD` it is, or OWNER."""
    return str(message.header.fields.get(HeaderFields.member))


def sender(message: Message) -> str:
    """The unique name of who sent it; the bus writes it, so it is true."""
    return str(message.header.fields.get(HeaderFields.sender))


def _read(message: Message) -> Answer:
    """Raises BusRefusal."""
    if message.header.message_type is not MessageType.method_return:
        raise BusRefusal(str(message.header.fields.get(HeaderFields.error_name, "refused")))
    return Answer(sender(message), tuple(message.body))


def _tell(came: Future[Message], late: Callable[[Answer | None], None]) -> None:
    answer = None
    with contextlib.suppress(Exception):
        answer = _read(came.result())
    late(answer)
