"""The Secret Service of the session's D-Bus, where `keyring` asks more of it than it is asked for, or would never end.

Everything here waits for the bus: call it in a thread. jeepney and SecretStorage come with `keyring`, on Linux alone.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

log = logging.getLogger(__name__)

SECRETS: Final = "org.freedesktop.secrets"
"""The bus name of the Secret Service (its specification, 0.2)."""

MODULE: Final = "keyring.backends.SecretService"
KEEPASSXC: Final = "keepassxc"
_LIMIT_SECONDS: Final = 3.0
_OWNER_CHANGED: Final = "NameOwnerChanged"


def is_secret_service(backend: KeyringBackend) -> bool:
    return type(backend).__module__ == MODULE


def owner() -> str:
    """The program that has the name now, as Linux calls its process in 15 characters; it is started where the bus can
    do that. Empty where it cannot be told, as from inside a Flatpak.
    """
    try:
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import open_dbus_connection

        with open_dbus_connection("SESSION") as bus:
            bus.send_and_get_reply(message_bus.StartServiceByName(SECRETS), timeout=_LIMIT_SECONDS)
            answer = bus.send_and_get_reply(message_bus.GetConnectionUnixProcessID(SECRETS), timeout=_LIMIT_SECONDS)
        # `exe` is closed to us for gnome-keyring-d
        return Path(f"/proc/{int(answer.body[0])}/comm").read_text().strip()
    except Exception:  # noqa: BLE001 - a name that is not known is no reason to do without the keychain
        return ""


def keeps_something() -> bool:
    """Whether there is a collection for what programs give. `keyring` has one made where there is none, for a mere look
    as well: KWallet and KeePassXC open an assistant then, and wait for it.

    Raises what SecretStorage and the bus raise.
    """
    import secretstorage

    with closing(secretstorage.dbus_init()) as bus:
        try:
            secretstorage.Collection(bus)
        except secretstorage.ItemNotFoundException:
            return False
    return True


def came_later() -> KeyringBackend | None:
    """A Secret Service that was not there when `keyring` looked: it looks once, and remembers that there was none."""
    from keyring.backends.SecretService import Keyring

    backend: Any = Keyring  # untyped where SecretStorage is not installed
    return backend() if backend.viable else None


@contextmanager
def hearing_of_leaving(left: Callable[[], object]) -> Iterator[None]:
    """Within, `left` is called, in a thread of its own, where the owner of the name ends or gives it up: a prompt of
    one that has ended is never answered. Once at most; not at all where the bus does not answer.
    """
    bus = _signals_of_owners()
    if bus is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_hear, args=(bus, left, over), name="keychain's owner", daemon=True)
    with bus:
        thread.start()
        try:
            yield
        finally:
            over.set()
            _end(bus)  # wakes who reads
            thread.join()


def _signals_of_owners() -> Any:
    """A connection to which the bus tells who gets the name and who loses it, from now on; None: it cannot be had."""
    try:
        from jeepney import MatchRule
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import open_dbus_connection

        bus = open_dbus_connection("SESSION")
    except Exception as error:  # noqa: BLE001 - the call is made all the same
        log.debug("Nobody tells of the keychain's owner (%s).", type(error).__name__)
        return None
    try:
        rule = MatchRule(type="signal", interface=message_bus.interface, member=_OWNER_CHANGED)
        rule.add_arg_condition(0, SECRETS)
        bus.send_and_get_reply(message_bus.AddMatch(rule), timeout=_LIMIT_SECONDS)
    except Exception as error:  # noqa: BLE001 - likewise
        log.debug("Nobody tells of the keychain's owner (%s).", type(error).__name__)
        bus.close()
        return None
    return bus


def _hear(bus: Any, left: Callable[[], object], over: threading.Event) -> None:
    from jeepney import HeaderFields

    try:
        message = bus.receive()
        while message.header.fields.get(HeaderFields.member) != _OWNER_CHANGED or not message.body[1]:
            message = bus.receive()
    except Exception as error:  # noqa: BLE001 - the call is over, or the session
        log.debug("Nobody tells of the keychain's owner any more (%s).", type(error).__name__)
        return
    if not over.is_set():
        left()
        _end(bus)  # the call may wait for ever, and nobody reads here any more


def _end(bus: Any) -> None:
    with suppress(OSError):  # it has ended
        bus.sock.shutdown(socket.SHUT_RDWR)
