"""The Secret Service of the session's D-Bus, where `keyring` asks more of it than it is asked for, or would never end.

Everything here waits for the bus: call it in a thread. jeepney and SecretStorage come with `keyring`, on Linux alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing
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


def hear_of_leaving(left: Callable[[], object]) -> None:
    """Call `left`, in a thread of its own, each time the owner of the name ends or gives it up: a prompt of one that
    has ended is never answered.
    """
    threading.Thread(target=_hear, args=(left,), name="keychain's owner", daemon=True).start()


def _hear(left: Callable[[], object]) -> None:
    try:
        from jeepney import HeaderFields, MatchRule
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import open_dbus_connection

        with open_dbus_connection("SESSION") as bus:
            rule = MatchRule(type="signal", interface=message_bus.interface, member=_OWNER_CHANGED)
            rule.add_arg_condition(0, SECRETS)
            bus.send_and_get_reply(message_bus.AddMatch(rule), timeout=_LIMIT_SECONDS)
            while True:
                message = bus.receive()
                if message.header.fields.get(HeaderFields.member) == _OWNER_CHANGED and message.body[1]:
                    left()
    except Exception as error:  # noqa: BLE001 - the session is over, or has no bus
        log.debug("Nobody tells of the keychain's owner any more (%s).", type(error).__name__)
