"""A notification server for tests, on a real bus: shows nothing, remembers everything, and picks what it is told to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("jeepney", reason="D-Bus is Linux's: jeepney is not installed")

from jeepney import DBusAddress, HeaderFields, Message

from tests.support.bus_service import BusService

NAME = "org.freedesktop.Notifications"
EMITTER = DBusAddress("/org/freedesktop/Notifications", interface=NAME)
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
    picture: tuple[Any, ...] | None = None


class NotificationServer(BusService):
    """Owns the name until `close`."""

    name = NAME

    def __init__(
        self,
        address: str,
        *,
        can: tuple[str, ...] = EVERYTHING,
        answers_twice: bool = False,
        knows_closed: bool = True,
        is_called: str = "",
    ) -> None:
        """`answers_twice`: as mako does. Without `knows_closed` it is an error to close what is gone, as in fnott. With
        an empty name it tells none.
        """
        self.answers_twice, self.knows_closed, self.is_called = answers_twice, knows_closed, is_called
        self.shown: list[Shown] = []
        self.closed: list[int] = []
        self.refuses = False
        """To show anything more."""

        self.is_slow = False
        """Answers what it is to show when it is told to, by `answer_all`."""

        self._unanswered: list[tuple[Message, int]] = []
        self._can = list(can)
        super().__init__(address)

    def pick(self, number: int, action: str) -> None:
        self.signal(EMITTER, "ActionInvoked", "us", (number, action))

    def give_token(self, number: int, token: str) -> None:
        self.signal(EMITTER, "ActivationToken", "us", (number, token))

    def dismiss(self, number: int) -> None:
        self.signal(EMITTER, "NotificationClosed", "uu", (number, 2))

    def answer_all(self, *, newest_first: bool = False) -> None:
        """What it was slow with."""
        for message, number in reversed(self._unanswered) if newest_first else self._unanswered:
            self.reply(message, "u", (number,))

    def answer(self, message: Message) -> None:
        match message.header.fields.get(HeaderFields.member):
            case "GetCapabilities":
                self.reply(message, "as", (self._can,))
                if self.answers_twice:
                    self.refuse(message, "org.freedesktop.DBus.Error.UnknownMethod")
            case "GetServerInformation" if self.is_called:
                self.reply(message, "ssss", (self.is_called, "tests", "1", "1.2"))
            case "GetServerInformation":
                self.refuse(message, "org.freedesktop.DBus.Error.UnknownMethod")
            case "Notify" if self.refuses:
                self.refuse(message, "org.freedesktop.DBus.Error.Failed")
            case "Notify":
                _, replaces, _, title, body, actions, hints, expires = message.body
                number = replaces or len(self.shown) + 1
                picture = hints["image-data"][1] if "image-data" in hints else None
                urgency = hints["urgency"][1] if "urgency" in hints else 1
                pairs = dict(zip(actions[::2], actions[1::2], strict=True))
                self.shown.append(Shown(number, replaces, title, body, pairs, urgency, expires, picture))
                if self.is_slow:
                    self._unanswered.append((message, number))
                else:
                    self.reply(message, "u", (number,))
            case "CloseNotification" if not self.knows_closed:
                self.refuse(message, "org.freedesktop.DBus.Error.Failed")
            case "CloseNotification":
                self.closed.append(message.body[0])
                self.reply(message)
                self.signal(EMITTER, "NotificationClosed", "uu", (message.body[0], 3))
            case _:
                self.reply(message)
