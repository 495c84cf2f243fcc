"""org.freedesktop.portal.GlobalShortcuts (version 1 and 2) on the session bus, as jeepney reaches it.

Facts: https://flatpak.github.io/xdg-desktop-portal/docs/doc-org.freedesktop.portal.GlobalShortcuts.html, and there also
Request, Session and org.freedesktop.host.portal.Registry.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
from collections.abc import Callable
from typing import Any, Final

from jeepney import DBusAddress, HeaderFields, MatchRule, Message, MessageFlag, MessageType, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import DBusConnection, open_dbus_connection

from desktop.system.platforms.ports import HotkeyState

log = logging.getLogger(__name__)

NAME: Final = "org.freedesktop.portal.Desktop"
PATH: Final = "/org/freedesktop/portal/desktop"
SHORTCUTS: Final = "org.freedesktop.portal.GlobalShortcuts"
REQUEST: Final = "org.freedesktop.portal.Request"
SESSION: Final = "org.freedesktop.portal.Session"
REGISTRY: Final = "org.freedesktop.host.portal.Registry"
BUS: Final = "org.freedesktop.DBus"

SHORTCUT_ID: Final = "new-task"
"""The desktop remembers by it what the person chose: it stays as it is."""

LONGEST_DESCRIPTION: Final = 80
_DONE: Final = 0
"""Of a request's response; 1: the person said no, 2: it ended in another way."""


class ShortcutsPortal:
    """All of it in one thread but `interrupt`."""

    def __init__(
        self,
        *,
        app_id: str,
        trigger: str,
        purpose: str,
        tell: Callable[[HotkeyState, str], object],
        hear: Callable[[str], object],
    ) -> None:
        """Opens the bus.

        Args:
            app_id: the name of this program's .desktop file.
            trigger: the keys that are wished, as the specification of shortcuts writes them.
            purpose: what a person reads of them.
            tell: takes what became of the wish, and how the desktop says that it is pressed, each time that changes.
            hear: takes the token by which a window may come forward, each time that they are pressed.

        Raises:
            Whatever jeepney or the bus raise: there is none.
        """
        self._app_id, self._trigger, self._purpose = app_id, trigger, purpose
        self._tell, self._hear = tell, hear
        self._connection: DBusConnection = open_dbus_connection("SESSION")
        self._is_over = False
        self._session = ""
        self._requests: dict[str, Callable[[int, dict[str, Any]], None]] = {}
        """What is done with the answer to each, by its path."""

        self._calls: dict[int, Callable[[Message], None]] = {}
        """The same for calls, by their serial."""

    def interrupt(self) -> None:
        """Let `serve` come to its end. From any thread."""
        self._is_over = True
        with contextlib.suppress(OSError):
            self._connection.sock.shutdown(socket.SHUT_RD)  # whoever waits for more reads its end

    def serve(self) -> None:
        """Ask for the keys, and wait for them until `interrupt`. The desktop has them back afterwards.

        Raises:
            OSError: the bus is gone.
        """
        try:
            self._listen()
            self._begin()
            while True:
                self._take(self._connection.receive())
        except OSError:
            if not self._is_over:
                raise
        finally:
            if self._session:
                with contextlib.suppress(Exception):  # it ends with the connection, too
                    call = new_method_call(DBusAddress(self._session, bus_name=NAME, interface=SESSION), "Close")
                    call.header.flags |= MessageFlag.no_reply_expected
                    self._connection.send(call)
            self._connection.close()

    # --- asking -------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        for interface, member in (
            (REQUEST, "Response"),
            (SESSION, "Closed"),
            (SHORTCUTS, "Activated"),
            (SHORTCUTS, "ShortcutsChanged"),
        ):
            rule = MatchRule(type="signal", sender=NAME, interface=interface, member=member)
            self._connection.send(message_bus.AddMatch(rule))
        owners = MatchRule(type="signal", sender=BUS, interface=BUS, member="NameOwnerChanged")
        owners.add_arg_condition(0, NAME)
        self._connection.send(message_bus.AddMatch(owners))

    def _begin(self) -> None:
        """From the first call on: whoever answers now knows nothing of us."""
        self._session, self._requests, self._calls = "", {}, {}
        self._tell(HotkeyState.ASKING, "")
        # Only before any other call. Portals before 1.20 do not know it: they find out for themselves who asks.
        self._call(REGISTRY, "Register", "sa{sv}", (self._app_id, {}), then=self._registered)

    def _registered(self, answer: Message) -> None:
        if answer.header.message_type is not MessageType.method_return:
            log.info("The desktop does not take this program's name: %s", _error(answer))
        options = {"handle_token": ("s", _token()), "session_handle_token": ("s", _token())}
        self._request("CreateSession", "a{sv}", (options,), options, then=self._created)

    def _created(self, response: int, results: dict[str, Any]) -> None:
        session = str(results.get("session_handle", ("s", ""))[1])
        if response != _DONE or not session.startswith("/"):
            self._tell(HotkeyState.REFUSED, "")
            return
        self._session = session
        options = {"handle_token": ("s", _token())}
        shortcut = {"description": ("s", self._purpose), "preferred_trigger": ("s", self._trigger)}
        arguments = (session, [(SHORTCUT_ID, shortcut)], "", options)
        self._request("BindShortcuts", "oa(sa{sv})sa{sv}", arguments, options, then=self._bound)

    def _bound(self, response: int, results: dict[str, Any]) -> None:
        if response == _DONE:
            self._read(results.get("shortcuts", ("", []))[1])
        else:
            self._tell(HotkeyState.REFUSED, "")

    def _read(self, shortcuts: list[tuple[str, dict[str, Any]]]) -> None:
        ours = dict(shortcuts).get(SHORTCUT_ID)
        if ours is None:
            self._tell(HotkeyState.REFUSED, "")
        else:
            said = str(ours.get("trigger_description", ("s", ""))[1])
            self._tell(HotkeyState.ON, said[:LONGEST_DESCRIPTION])

    def _request(
        self,
        method: str,
        signature: str,
        arguments: tuple[Any, ...],
        options: dict[str, tuple[str, str]],
        *,
        then: Callable[[int, dict[str, Any]], None],
    ) -> None:
        """A call whose answer comes later, as a signal of an object; it may come before the call returns."""
        sender = str(self._connection.unique_name).removeprefix(":").replace(".", "_")
        self._requests[f"{PATH}/request/{sender}/{options['handle_token'][1]}"] = then

        def returned(answer: Message) -> None:
            if answer.header.message_type is not MessageType.method_return:
                log.info("The desktop has no keys to give (%s): %s", method, _error(answer))
                self._tell(HotkeyState.UNSUPPORTED, "")
            elif answer.body[0] not in self._requests and then in self._requests.values():
                self._requests[answer.body[0]] = then  # portals before 0.9 choose the path themselves

        self._call(SHORTCUTS, method, signature, arguments, then=returned)

    def _call(
        self,
        interface: str,
        method: str,
        signature: str,
        arguments: tuple[Any, ...],
        *,
        then: Callable[[Message], None],
    ) -> None:
        serial = next(self._connection.outgoing_serial)
        self._calls[serial] = then
        where = DBusAddress(PATH, bus_name=NAME, interface=interface)
        self._connection.send(new_method_call(where, method, signature, arguments), serial=serial)

    # --- hearing ------------------------------------------------------------------------------------------

    def _take(self, message: Message) -> None:
        fields = message.header.fields
        if message.header.message_type is not MessageType.signal:
            answered = self._calls.pop(fields.get(HeaderFields.reply_serial, 0), None)
            if answered is not None:
                answered(message)
            return
        path, body = str(fields.get(HeaderFields.path)), message.body
        heard = f"{fields.get(HeaderFields.interface)}.{fields.get(HeaderFields.member)}"
        if heard == f"{REQUEST}.Response":
            self._answered(path, int(body[0]), body[1])
        elif heard == f"{BUS}.NameOwnerChanged":
            self._owned_by(str(body[2]))
        elif heard == f"{SESSION}.Closed" and path == self._session:
            self._session = ""
            self._tell(HotkeyState.REFUSED, "")
        elif heard == f"{SHORTCUTS}.Activated" and self._is_ours(body) and body[1] == SHORTCUT_ID:
            self._hear(str(body[3].get("activation_token", ("s", ""))[1]))
        elif heard == f"{SHORTCUTS}.ShortcutsChanged" and self._is_ours(body):
            self._read(body[1])

    def _answered(self, path: str, response: int, results: dict[str, Any]) -> None:
        then = self._requests.pop(path, None)
        if then is not None:
            self._requests.clear()  # one after the other: what is left is another path of the same
            then(response, results)

    def _owned_by(self, owner: str) -> None:
        """The portal went, or came again after an update or a crash."""
        if owner:
            self._begin()
        else:
            self._session, self._requests, self._calls = "", {}, {}
            self._tell(HotkeyState.UNSUPPORTED, "")

    def _is_ours(self, body: tuple[Any, ...]) -> bool:
        return bool(self._session) and body[0] == self._session


def _token() -> str:
    return f"kubiya_{secrets.token_hex(8)}"


def _error(answer: Message) -> str:
    said = answer.body[0] if answer.body and isinstance(answer.body[0], str) else ""
    return f"{answer.header.fields.get(HeaderFields.error_name, 'refused')} {said}".strip()
