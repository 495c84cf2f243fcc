"""Notifications with buttons, by the freedesktop.org specification (1.3): what Qt's tray messages cannot have.

One thread of its own waits for what is to be shown and for what the person picks; both wake it, nothing ticks. jeepney
(`notification_bus.py`) is imported there, with the first notification: the icon need not wait for it.
"""

from __future__ import annotations

import contextlib
import html
import logging
import threading
from collections.abc import Callable
from queue import Queue
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Signal

from desktop.system.platforms.notice_picture import Picture
from desktop.system.platforms.ports import Bubble
from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from jeepney import Message

    from desktop.system.platforms.notification_bus import NotificationBus

log = logging.getLogger(__name__)

CLOSE_LIMIT_SECONDS: Final = 5.0
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

    acted = Signal(str, str, str)
    failed = Signal(str)

    def __init__(
        self,
        *,
        application: str,
        desktop_entry: str,
        picture: Callable[[], Picture | None] = lambda: None,
        parent: QObject | None = None,
    ) -> None:
        """Nothing is opened before the first notification. `picture` is asked then, in the GUI's thread."""
        super().__init__(parent)
        self._application = application
        self._entry = desktop_entry
        self._picture = picture
        self._shows: Picture | None = None
        self._wishes: Queue[Bubble | _Withdraw | Message | None] = Queue()
        self._thread: threading.Thread | None = None
        self._bus: NotificationBus | None = None
        self._ids: dict[str, int] = {}
        """Of notifications that are on the screen, as far as is known."""

        self._token: tuple[int, str] = (0, "")
        """The last, and of which notification."""

    def show(self, bubble: Bubble) -> None:
        self._wish(bubble)

    def withdraw(self, key: str) -> None:
        if self._thread is not None:
            self._wish(_Withdraw(key))

    def close(self) -> None:
        if self._thread is not None:
            self._wishes.put(None)
            self._thread.join(CLOSE_LIMIT_SECONDS)
            self._thread = None

    def _wish(self, wish: Bubble | _Withdraw) -> None:
        if self._thread is None:
            self._shows = self._picture()
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
        from desktop.system.platforms.notification_bus import NotificationBus

        bus = self._bus = self._bus or NotificationBus(self._wishes)
        offered = [(OPEN, bubble.open_text), *bubble.actions]
        actions = [text for pair in offered for text in pair] if "actions" in bus.can else []
        body = bubble.body[:LONGEST_BODY]
        said = html.escape(body, quote=False) if "body-markup" in bus.can else body
        hints: dict[str, tuple[str, Any]] = {
            "urgency": ("y", bubble.urgency),
            "desktop-entry": ("s", self._entry),
        }
        if self._shows is not None:
            hints["image-data"] = ("(iiibiiay)", self._shows)
        lasting = _NEVER if bubble.actions else _AS_THE_SERVER_LIKES
        before = self._ids.get(bubble.key, 0)
        arguments = (self._application, before, "", bubble.title, said, actions, hints, lasting)
        (self._ids[bubble.key],) = bus.call("Notify", "susssasa{sv}i", arguments)

    def _take_down(self, key: str) -> None:
        from desktop.system.platforms.notification_bus import BusRefusal

        number = self._ids.pop(key, 0)
        if number and self._bus is not None:
            with contextlib.suppress(BusRefusal):  # it is gone already: an error with notification-daemon and fnott
                self._bus.call("CloseNotification", "u", (number,))

    def _hear(self, message: Message) -> None:
        from desktop.system.platforms.notification_bus import CHOICE, LEAVE, member

        number, heard = message.body[0], member(message)
        if heard == LEAVE:
            self._token = (number, str(message.body[1]))
            return
        key = next((key for key, shown in self._ids.items() if shown == number), None)
        if key is None:
            return
        if heard == CHOICE:
            picked = str(message.body[1])
            given, token = self._token
            self._token = (0, "")
            self.acted.emit(key, picked, token if given == number else "")
            if picked == OPEN:
                self._take_down(key)  # LXQt's server leaves it on the screen
        else:
            del self._ids[key]

    def _leave_bus(self) -> None:
        bus, self._bus = self._bus, None
        self._ids.clear()
        if bus is not None:
            bus.close()
