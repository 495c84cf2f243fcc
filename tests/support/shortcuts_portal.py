"""org.freedesktop.portal.GlobalShortcuts on a real bus: it does what its specification says, and a test tells it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("jeepney", reason="D-Bus is Linux's: jeepney is not installed")

from jeepney import DBusAddress, HeaderFields, Message

from tests.support.bus_service import BusService

PATH = "/org/freedesktop/portal/desktop"
SHORTCUTS = "org.freedesktop.portal.GlobalShortcuts"
REQUEST = "org.freedesktop.portal.Request"
SESSION = "org.freedesktop.portal.Session"
DONE, CANCELLED, OTHER = 0, 1, 2


class ShortcutsPortal(BusService):
    """One that asks nobody, unless it is told to wait."""

    name = "org.freedesktop.portal.Desktop"

    def __init__(
        self,
        address: str,
        *,
        knows_names: bool = True,
        has_shortcuts: bool = True,
        response: int = DONE,
        waits: bool = False,
        gives_none: bool = False,
    ) -> None:
        """Args:
        address: of the bus.
        knows_names: it has `org.freedesktop.host.portal.Registry` (since 1.20).
        has_shortcuts: its backend has shortcuts.
        response: to `BindShortcuts`.
        waits: with it, for `decide`.
        gives_none: the person took the shortcut out of what was bound.
        """
        self.knows_names, self.has_shortcuts, self.gives_none = knows_names, has_shortcuts, gives_none
        self.response, self.waits = response, waits
        self.calls: list[str] = []
        self.names: list[str] = []
        self.shortcuts: list[Any] = []
        self.sessions: list[str] = []
        self.open: list[str] = []
        self._pending: str | None = None
        super().__init__(address)

    def answer(self, message: Message) -> None:
        member, body = message.header.fields.get(HeaderFields.member), message.body
        sender = message.header.fields[HeaderFields.sender].removeprefix(":").replace(".", "_")
        self.calls.append(str(member))
        if member == "Register":
            if not self.knows_names:
                self.refuse(message, "org.freedesktop.DBus.Error.UnknownMethod")
                return
            self.names.append(body[0])
            self.reply(message)
        elif not self.has_shortcuts:
            self.refuse(message, "org.freedesktop.DBus.Error.UnknownMethod")
        elif member == "CreateSession":
            (options,) = body
            session = f"{PATH}/session/{sender}/{options['session_handle_token'][1]}"
            self.sessions.append(session)
            self.open.append(session)
            request = self._request(message, sender, options)
            self._respond(request, DONE, {"session_handle": ("s", session)})
        elif member == "BindShortcuts":
            _, shortcuts, _, options = body
            self.shortcuts = shortcuts
            request = self._request(message, sender, options)
            if self.waits:
                self._pending = request
            else:
                self._bind(request, self.response)
        elif member == "Close":
            self.open.remove(message.header.fields[HeaderFields.path])
        else:
            self.refuse(message, "org.freedesktop.DBus.Error.UnknownMethod")

    @property
    def asks(self) -> bool:
        """Whether a person has its question before him."""
        return self._pending is not None

    def decide(self, response: int) -> None:
        """What the person does with its question."""
        assert self._pending is not None
        request, self._pending = self._pending, None
        self._bind(request, response)

    def press(self, *, session: str = "", shortcut: str = "new-task", token: str = "") -> None:
        options = {"activation_token": ("s", token)} if token else {}
        self._emit(SHORTCUTS, "Activated", "osta{sv}", (session or self.sessions[-1], shortcut, 1, options))

    def change(self, description: str) -> None:
        """In the desktop's own settings."""
        changed = [("new-task", {"trigger_description": ("s", description)})]
        self._emit(SHORTCUTS, "ShortcutsChanged", "oa(sa{sv})", (self.sessions[-1], changed))

    def take_back(self) -> None:
        self.signal(DBusAddress(self.sessions[-1], interface=SESSION), "Closed", "", ())

    def _request(self, message: Message, sender: str, options: dict[str, Any]) -> str:
        path = f"{PATH}/request/{sender}/{options['handle_token'][1]}"
        self.reply(message, "o", (path,))
        return path

    def _bind(self, request: str, response: int) -> None:
        given = [] if self.gives_none else self.shortcuts
        bound = [
            (name, {"trigger_description": ("s", f"Press {said['preferred_trigger'][1]}")}) for name, said in given
        ]
        self._respond(request, response, {"shortcuts": ("a(sa{sv})", bound)} if response == DONE else {})

    def _respond(self, request: str, response: int, results: dict[str, Any]) -> None:
        self.signal(DBusAddress(request, interface=REQUEST), "Response", "ua{sv}", (response, results))

    def _emit(self, interface: str, member: str, signature: str, body: tuple[Any, ...]) -> None:
        self.signal(DBusAddress(PATH, interface=interface), member, signature, body)
