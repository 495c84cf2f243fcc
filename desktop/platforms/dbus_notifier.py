"""Notifications with buttons, by the freedesktop.org specification (1.3): what Qt's tray messages cannot have.

One thread of its own waits for what is to be shown and for what the person picks; both wake it, nothing ticks. jeepney
comes with the keychain on Linux.
"""

from __future__ import annotations

import contextlib
import html
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Queue
from typing import Any, Final

from jeepney import DBusAddress, HeaderFields, MatchRule, Message, MessageType, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.threading import DBusConnection, DBusRouter, open_dbus_connection
from PySide6.QtCore import QObject, Signal

from desktop.platforms.ports import Bubble

log = logging.getLogger(__name__)

NAME: Final = "org.freedesktop.Notifications"
PATH: Final = "/org/freedesktop/Notifications"
LIMIT_SECONDS: Final = 5.0
LONGEST_BODY: Final = 400
OPEN: Final = "default"
"""The action of a click on the notification itself."""

_NEVER: Final = 0
_AS_THE_SERVER_LIKES: Final = -1


@dataclass(frozen=True, slots=True)
class _Withdraw:
    key: str


class DBusNotifier(QObject):
    """Implements `ports.Notifier`. Signals come in the GUI's thread."""

    acted = Signal(str, str)
    failed = Signal(str)

    def __init__(self, *, application: str, desktop_entry: str, parent: QObject | None = None) -> None:
        """Nothing is opened before the first notification."""
        super().__init__(parent)
        self._application = application
        self._entry = desktop_entry
        self._wishes: Queue[Bubble | _Withdraw | Message | None] = Queue()
        self._thread: threading.Thread | None = None
        self._bus: _Bus | None = None
        self._ids: dict[str, int] = {}
        """Of notifications that are on the screen, as far as is known."""

    def show(self, bubble: Bubble) -> None:
        self._wish(bubble)

    def withdraw(self, key: str) -> None:
        if self._thread is not None:
            self._wish(_Withdraw(key))

    def close(self) -> None:
        if self._thread is not None:
            self._wishes.put(None)
            self._thread.join(LIMIT_SECONDS)
            self._thread = None

    def _wish(self, wish: Bubble | _Withdraw) -> None:
        self._wishes.put(wish)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)
            self._thread.start()

    # --- in its thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (wish := self._wishes.get()) is not None:
            try:
                match wish:
                    case Bubble():
                        self._put_up(wish)
                    case _Withdraw():
                        self._take_down(wish.key)
                    case _:
                        self._hear(wish)
            except Exception as error:  # noqa: BLE001 - a desktop that shows nothing must not end the thread
                log.info("A notification could not be shown (%s: %s).", type(error).__name__, error)
                self._leave_bus()
                if isinstance(wish, Bubble):
                    self.failed.emit(wish.key)
        self._leave_bus()

    def _put_up(self, bubble: Bubble) -> None:
        bus = self._bus = self._bus or _Bus(self._wishes)
        offered = [(OPEN, bubble.open_text), *bubble.actions]
        actions = [text for pair in offered for text in pair] if "actions" in bus.can else []
        body = bubble.body[:LONGEST_BODY]
        said = html.escape(body, quote=False) if "body-markup" in bus.can else body
        hints = {"urgency": ("y", bubble.urgency), "desktop-entry": ("s", self._entry)}
        lasting = _NEVER if bubble.actions else _AS_THE_SERVER_LIKES
        before = self._ids.get(bubble.key, 0)
        arguments = (self._application, before, "", bubble.title, said, actions, hints, lasting)
        (self._ids[bubble.key],) = bus.call("Notify", "susssasa{sv}i", arguments)

    def _take_down(self, key: str) -> None:
        number = self._ids.pop(key, 0)
        if number and self._bus is not None:
            self._bus.call("CloseNotification", "u", (number,))

    def _hear(self, message: Message) -> None:
        number = message.body[0]
        key = next((key for key, shown in self._ids.items() if shown == number), None)
        if key is None:
            return
        if message.header.fields.get(HeaderFields.member) == "ActionInvoked":
            self.acted.emit(key, str(message.body[1]))
        else:
            del self._ids[key]

    def _leave_bus(self) -> None:
        bus, self._bus = self._bus, None
        self._ids.clear()
        if bus is not None:
            bus.close()


class _Bus:
    """The session bus, and what the notification server on it can do."""

    def __init__(self, heard: Queue[Any]) -> None:
        """Raises what jeepney or the bus raise."""
        self._connection: DBusConnection = open_dbus_connection("SESSION")
        self._router = DBusRouter(self._connection)
        self._ends: list[Callable[[], object]] = []
        try:
            for member in ("ActionInvoked", "NotificationClosed"):
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
