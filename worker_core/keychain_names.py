"""What people call their keychain. `keyring` gives its backends names of its own, which no system shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SECRETS: Final = "org.freedesktop.secrets"
"""The bus name of the Secret Service (its specification, 0.2)."""

_LIMIT_SECONDS: Final = 3.0
_BY_MODULE: Final = {
    "keyring.backends.macOS": "macOS Keychain",
    "keyring.backends.Windows": "Windows Credential Manager",
    "keyring.backends.kwallet": "KWallet",
}
_BY_PROGRAM: Final = {
    "gnome-keyring-d": "GNOME Keyring",
    "kwalletd": "KWallet",
    "kwalletd5": "KWallet",
    "kwalletd6": "KWallet",
    "ksecretd": "KWallet",
    "keepassxc": "KeePassXC",
}
"""By the name of the process that owns SECRETS, of which Linux keeps 15 characters."""


def keychain_name(backend: KeyringBackend) -> str:
    """Such as `GNOME Keyring`. Waits for the bus where it must be asked: call it in a thread."""
    module = type(backend).__module__
    if module == "keyring.backends.SecretService":
        return _BY_PROGRAM.get(_owner(), "Secret Service")
    return _BY_MODULE.get(module) or str(backend.name)


def _owner() -> str:
    """The process behind the Secret Service; empty where that cannot be told, as from inside a Flatpak."""
    try:
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import open_dbus_connection

        with open_dbus_connection("SESSION") as bus:
            bus.send_and_get_reply(message_bus.StartServiceByName(SECRETS), timeout=_LIMIT_SECONDS)
            answer = bus.send_and_get_reply(message_bus.GetConnectionUnixProcessID(SECRETS), timeout=_LIMIT_SECONDS)
        return (
            Path(f"/proc/{int(answer.body[0])}/comm").read_text().strip()
        )  # `exe` is closed to us for gnome-keyring-d
    except Exception:  # noqa: BLE001 - a name that is not known is no reason to do without the keychain
        return ""
