"""What people call their keychain. `keyring` gives its backends names of its own, which no system shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from worker_core.secret_service import KEEPASSXC, is_secret_service, owner

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

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
    KEEPASSXC: "KeePassXC",
}
"""By the name of the process that owns the Secret Service, of which Linux keeps 15 characters."""


def keychain_name(backend: KeyringBackend) -> str:
    """Such as `GNOME Keyring`. Waits for the bus where it must be asked: call it in a thread."""
    if is_secret_service(backend):
        return _BY_PROGRAM.get(owner(), "Secret Service")
    return _BY_MODULE.get(type(backend).__module__) or str(backend.name)
