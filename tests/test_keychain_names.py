"""The name of a keychain, as its owner knows it. `test_secrets` asks a real GNOME Keyring for its own."""

from __future__ import annotations

import pytest

from worker_core.keychain_names import keychain_name


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("keyring.backends.macOS", "macOS Keychain"),
        ("keyring.backends.Windows", "Windows Credential Manager"),
        ("keyring.backends.kwallet", "KWallet"),
        ("somebody.elses", "their own word"),
    ],
)
def test_a_keychain_is_called_what_its_system_calls_it(module: str, said: str) -> None:
    backend = type("Keyring", (), {"__module__": module, "name": "their own word"})()
    assert keychain_name(backend) == said


def test_a_secret_service_without_a_bus_has_the_general_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    backend = type("Keyring", (), {"__module__": "keyring.backends.SecretService", "name": "SecretService Keyring"})()
    assert keychain_name(backend) == "Secret Service"
