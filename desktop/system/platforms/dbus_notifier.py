"""Notifications with buttons, by the freedesktop.org specification (1.3): what Qt's tray messages cannot have.

One thread of its own waits for what is to be shown and for what the person picks; both wake it, nothing ticks. jeepney
(`notification_bus.py`) is imported there, with the first notification: the icon need not wait for it.

Numbers are a server's own. Where another takes its place, what the new one does not show is asked for again, and what
the old one still shows can be answered there.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from queue import Queue
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, Signal

from desktop.system.platforms.notice_picture import Picture
from desktop.system.platforms.notice_places import Fate, NoticePlace, NoticePlaces
from desktop.system.platforms.ports import Bubble
from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from jeepney import Message

    from desktop.system.platforms.notification_bus import Answer, NotificationBus

log = logging.getLogger(__name__)

CLOSE_LIMIT_SECONDS: Final = 5.0
LONGEST_BODY: Final = 400
LEAVES_CLOSED_ONES: Final = "Notification Daemon"
"""GNOME's of old (3.20): it says that one was closed, and leaves it on the screen. One that expires goes."""

OPEN: Final = "default"
"""The action of a click on the notification itself."""

_NOTIFY: Final = "susssasa{sv}i"
_AT_ONCE: Final = 1
_NEVER: Final = 0
_AS_THE_SERVER_LIKES: Final = -1


@dataclass(frozen=True, slots=True)
class _Withdraw:
    key: str


@dataclass(frozen=True, slots=True)
class _Late:
    """A notification that is on the screen after all; None: it is not, and will not be."""

    key: str
    turn: int
    answer: Answer | None


class DBusNotifier(QObject):
    """Implements `ports.Notifier`. Signals come in the GUI's thread."""

    acted = Signal(str, str, str)
    failed = Signal(str)
    lost = Signal(str)

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
        self._wishes: Queue[Bubble | _Withdraw | _Late | Message | None] = Queue()
        self._thread: threading.Thread | None = None
        self._bus: NotificationBus | None = None
        self._places = NoticePlaces()
        self._server = ""
        """Who is the server now, by its unique name; empty: nobody, as far as is known."""

        self._token = (NoticePlace("", 0), "")
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
                    case _Late():
                        self._came_late(wish)
                    case _:
                        self._hear(wish)
            except Exception as error:  # noqa: BLE001 - a desktop that shows nothing must not end the thread
                log.info("A notification could not be shown (%s: %s).", type(error).__name__, error)
                if self._is_broken(error):
                    self._leave_bus()
                if isinstance(wish, Bubble):
                    self.failed.emit(wish.key)
        self._leave_bus()

    def _put_up(self, bubble: Bubble) -> None:
        from html import escape  # with all of HTML's characters by their names: not before something is said

        from desktop.system.platforms.notification_bus import NotificationBus

        bus = self._bus = self._bus or NotificationBus(self._wishes)
        self._places.want(bubble.key)
        can = bus.can()
        offered = [(OPEN, bubble.open_text), *bubble.actions]
        actions = [text for pair in offered for text in pair] if "actions" in can else []
        body = bubble.body[:LONGEST_BODY]
        said = escape(body, quote=False) if "body-markup" in can else body
        hints: dict[str, tuple[str, Any]] = {
            "urgency": ("y", bubble.urgency),
            "desktop-entry": ("s", self._entry),
        }
        if self._shows is not None:
            hints["image-data"] = ("(iiibiiay)", self._shows)
        # What never expires is a dialog with an "OK" of notify-osd's own, which has no actions.
        lasting = _NEVER if bubble.actions and actions else _AS_THE_SERVER_LIKES
        content = ("", bubble.title, said, actions, hints, lasting)
        self._notify(bus, bubble.key, content)

    def _notify(self, bus: NotificationBus, key: str, content: tuple[Any, ...]) -> None:
        """In its own place, where it has one at the present server."""
        from desktop.system.platforms.notification_bus import NAME, BusRefusal

        turn = self._places.ask(key)
        places = [NoticePlace(NAME, 0)]
        places[:0] = [place for place in self._places.of(key) if place.server == self._server]
        while places:
            server, number = places.pop(0)
            arguments = (self._application, number, *content)
            try:
                came = bus.call("Notify", _NOTIFY, arguments, server=server, late=partial(self._late, key, turn))
            except BusRefusal:
                if not places:
                    self._places.refused(turn)
                    raise
            else:
                self._server = came.server
                self._is_there(key, turn, came)
                return

    def _late(self, key: str, turn: int, answer: Answer | None) -> None:
        """In the bus's thread."""
        self._wishes.put(_Late(key, turn, answer))

    def _came_late(self, late: _Late) -> None:
        if late.answer is None:
            self._places.refused(late.turn)
            return
        self._is_there(late.key, late.turn, late.answer)
        if not self._places.is_wanted(late.key):
            self._take_down(late.key)

    def _is_there(self, key: str, turn: int, answer: Answer) -> None:
        place = NoticePlace(answer.server, *answer.body)
        others, fates = self._places.is_there(key, turn, place)
        for fate in fates:
            self._tell(key, place, fate)
        for other in others:
            self._close_at(other)

    def _take_down(self, key: str) -> None:
        for place in self._places.forget(key):
            self._close_at(place)

    def _close_at(self, place: NoticePlace) -> None:
        from desktop.system.platforms.notification_bus import BusRefusal

        server, number = place
        if self._bus is None:
            return
        with contextlib.suppress(BusRefusal):  # it is gone already: an error with notification-daemon and fnott
            if server == self._server and self._bus.is_called() == LEAVES_CLOSED_ONES:
                gone: tuple[Any, ...] = (self._application, number, "", self._application, "", [], {}, _AT_ONCE)
                self._bus.call("Notify", _NOTIFY, gone, server=server)
            else:
                self._bus.call("CloseNotification", "u", (number,), server=server)

    def _hear(self, message: Message) -> None:
        from desktop.system.platforms.notification_bus import CHOICE, LEAVE, OWNER, member, sender

        heard = member(message)
        if heard == OWNER:
            self._changed(str(message.body[2]))
            return
        place = NoticePlace(sender(message), message.body[0])
        if heard == LEAVE:
            self._token = (place, str(message.body[1]))
            return
        fate = Fate(None)
        if heard == CHOICE:
            (given, token), self._token = self._token, (NoticePlace("", 0), "")
            fate = Fate(str(message.body[1]), token if given == place else "")
        key = self._places.key(place)
        if key is None:
            self._places.early(place, fate)
        else:
            self._tell(key, place, fate)

    def _tell(self, key: str, place: NoticePlace, fate: Fate) -> None:
        """What became of one."""
        if fate.picked is None:
            self._places.closed(place)
            return
        self.acted.emit(key, fate.picked, fate.token)
        if fate.picked == OPEN:
            self._take_down(key)  # LXQt's server leaves it on the screen

    def _changed(self, server: str) -> None:
        """Another program is the server now, or (empty) none is."""
        self._server = server
        if self._bus is not None:
            self._bus.forget()
        if server:
            for key in self._places.missing(server):
                self.lost.emit(key)

    def _is_broken(self, error: Exception) -> bool:
        """Whether it is the bus that failed; a server that refuses or is slow leaves what is on the screen as it is."""
        if self._bus is None:
            return False
        from desktop.system.platforms.notification_bus import BusRefusal

        return not isinstance(error, BusRefusal | TimeoutError)

    def _leave_bus(self) -> None:
        bus, self._bus = self._bus, None
        self._places.clear()
        self._server = ""
        if bus is not None:
            bus.close()
