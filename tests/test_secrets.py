from __future__ import annotations

import asyncio
import copy
import os
import pickle
import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core import settings
from worker_core.errors import ConfigurationError, ExitCode
from worker_core.key_sources import resolve_api_key
from worker_core.secrets import (
    KeychainFailed,
    KeychainLocked,
    KeychainTimeout,
    KeyringStore,
    NoKeychain,
    Secret,
    account_of,
    read_key,
)

URL = "https://cp.example.test"
KEY = Secret("key-0123456789")


class MemoryBackend(keyring.backend.KeyringBackend):
    priority = 5.0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        try:
            del self.kept[service, username]
        except KeyError:
            raise keyring.errors.PasswordDeleteError("not found") from None


class PlaintextKeyring(MemoryBackend):
    pass


@pytest.fixture
def backend() -> Iterator[MemoryBackend]:
    before = keyring.get_keyring()
    made = MemoryBackend()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_a_secret_shows_itself_only_when_asked() -> None:
    assert KEY.reveal() not in f"{KEY} {KEY!r} {[KEY]}"
    assert not Secret("")
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(KEY)


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://CP.Example.test/", "https://cp.example.test"),
        ("https://cp.example.test:443", "https://cp.example.test"),
        ("http://localhost:8080/base/", "http://localhost:8080/base"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_one_control_plane_has_one_entry(url: str, account: str) -> None:
    assert account_of(url) == account


@given(st.sampled_from(["http", "https"]), st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True), st.integers(1, 65535))
def test_the_name_of_an_entry_is_stable(scheme: str, host: str, port: int) -> None:
    once = account_of(f"{scheme}://{host}:{port}/")
    assert account_of(once) == once


async def test_set_get_delete(backend: MemoryBackend) -> None:
    store = KeyringStore()
    assert await store.get(URL) is None
    await store.set(URL, KEY)
    assert await store.get(f"{URL}:443/") == KEY
    assert backend.kept == {("kubiya-worker", URL): KEY.reveal()}
    assert await store.delete(URL)
    assert not await store.delete(URL)


async def test_a_keychain_that_asks_in_a_window_is_not_waited_for(
    backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(MemoryBackend, "get_password", lambda *_: answered.wait(30) and None)
    store = KeyringStore(limit=timedelta(seconds=0.05))
    with pytest.raises(KeychainTimeout, match=r"0\.05 s.*KUBIYA_API_KEY"):
        await store.get(URL)
    with pytest.raises(KeychainTimeout):  # behind the first, in the same thread
        await store.set(URL, KEY)
    answered.set()
    await KeyringStore().name()
    assert len([thread for thread in threading.enumerate() if thread.name == "keychain"]) >= 1
    assert backend.kept == {}  # a call that was given up is not made later


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (keyring.errors.NoKeyringError("none"), NoKeychain),
        (keyring.errors.InitError("Failed to create the collection: Prompt dismissed.."), KeychainLocked),
        (keyring.errors.KeyringLocked("locked"), KeychainLocked),
        (keyring.errors.PasswordSetError(f"cannot store {KEY.reveal()}"), KeychainFailed),
        (RuntimeError("D-Bus went away"), KeychainFailed),
    ],
)
async def test_what_goes_wrong_is_a_sentence(
    backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(MemoryBackend, "set_password", fail)
    with pytest.raises(expected) as caught:
        await KeyringStore().set(URL, KEY)
    assert str(caught.value).endswith(".")
    assert KEY.reveal() not in str(caught.value)


@pytest.mark.parametrize("kind", ["fail", "null", "plaintext", "weak"])
async def test_a_keychain_that_keeps_no_secrets_is_none(backend: MemoryBackend, kind: str) -> None:
    import keyring.backends.fail
    import keyring.backends.null

    weak = MemoryBackend()
    weak.priority = 0.5  # type: ignore[assignment]
    choice: dict[str, keyring.backend.KeyringBackend] = {
        "fail": keyring.backends.fail.Keyring(),
        "null": keyring.backends.null.Keyring(),
        "plaintext": PlaintextKeyring(),
        "weak": weak,
    }
    keyring.set_keyring(choice[kind])
    with pytest.raises(NoKeychain, match="KUBIYA_API_KEY"):
        await KeyringStore().set(URL, KEY)


async def test_the_environment_wins_and_the_source_is_said(backend: MemoryBackend) -> None:
    store = KeyringStore()
    await store.set(URL, KEY)
    assert await resolve_api_key({"KUBIYA_API_KEY": " from-env \n"}, store, URL) == (
        Secret("from-env"),
        "KUBIYA_API_KEY",
    )
    assert await resolve_api_key({}, store, URL) == (KEY, "the keychain")


@pytest.mark.parametrize("around", ["{}", "{}\n", " {}\r\n", "\t{} \n\n", "\u00a0{}"])
async def test_white_space_around_a_key_is_taken_off(backend: MemoryBackend, around: str) -> None:
    given = around.format("sk-canary-778899")
    assert read_key(given, name="IT").reveal() == "sk-canary-778899"
    assert settings.load(environ={"LITELLM_API_KEY": given}).llm_api_key.reveal() == "sk-canary-778899"
    assert (await resolve_api_key({"KUBIYA_API_KEY": given}, KeyringStore(), URL))[0].reveal() == "sk-canary-778899"
    await KeyringStore().set(URL, Secret(given))
    assert (await resolve_api_key({}, KeyringStore(), URL))[0].reveal() == "sk-canary-778899"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("sk-canary\n778899", "character 10 is a line break"),
        ("sk-canary\r\n778899", "a line break"),
        ("sk-canary 778899", "a blank"),
        ("sk-canary\t778899", "a blank"),
        ("sk-canary\x00778899", "a control character"),
        ("sk-canary\x1b[31m778899", "a control character"),
        ("sk-canary\x7f778899", "a control character"),
        ("sk-canary-ü-778899", "none of ASCII"),
        ("\ufeffsk-canary-778899", "character 1 is none of ASCII"),
        ("sk-canary-\udcff-778899", "none of ASCII"),
    ],
)
async def test_what_cannot_be_a_key_is_refused_and_not_repeated(backend: MemoryBackend, given: str, kind: str) -> None:
    await KeyringStore().set(URL, Secret(given))

    async def load() -> None:
        settings.load(environ={"LITELLM_API_KEY": given})

    async def from_environment() -> None:
        await resolve_api_key({"KUBIYA_API_KEY": given}, KeyringStore(), URL)

    async def from_keychain() -> None:
        await resolve_api_key({}, KeyringStore(), URL)

    for read in (load, from_environment, from_keychain):
        with pytest.raises(ConfigurationError, match=kind) as caught:
            await read()
        assert caught.value.exit_code is ExitCode.NOT_CONFIGURED
        assert "canary" not in caught.value.sentence
        assert "778899" not in "".join(traceback.format_exception(caught.value))


async def test_without_a_key_the_sentence_says_what_to_do(backend: MemoryBackend) -> None:
    with pytest.raises(ConfigurationError, match="kubiya-worker login") as caught:
        await resolve_api_key({}, KeyringStore(), URL)
    assert caught.value.exit_code is ExitCode.NOT_CONFIGURED
    import keyring.backends.fail

    keyring.set_keyring(keyring.backends.fail.Keyring())
    with pytest.raises(ConfigurationError, match="no keychain to look in"):
        await resolve_api_key({}, KeyringStore(), URL)


SECRET_SERVICE = """
import asyncio, sys
from worker_core.secrets import KeyringStore, Secret
async def main():
    store, url = KeyringStore(), "https://cp.example.test"
    print(await store.name())
    assert await store.get(url) is None
    await store.set(url, Secret("real-keychain-value"))
    assert (await store.get(url)).reveal() == "real-keychain-value"
    assert await store.delete(url)
    assert not await store.delete(url)
    print("ok")
asyncio.run(main())
"""


def private_bus(tmp_path: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script on a D-Bus of its own; everything on it ends with it."""
    for program, package in (("dbus-run-session", "dbus"), ("gnome-keyring-daemon", "gnome-keyring")):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}, of the Debian package {package}")
    folders = {name: tmp_path / name for name in ("data", "runtime", "config", "cache")}
    for folder in folders.values():
        folder.mkdir(mode=0o700)
    environment = {
        name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PYTHONPATH"}
    } | {
        "XDG_DATA_HOME": str(folders["data"]),
        "XDG_RUNTIME_DIR": str(folders["runtime"]),
        "XDG_CONFIG_HOME": str(folders["config"]),
        "XDG_CACHE_HOME": str(folders["cache"]),
    }
    return subprocess.run(
        ["dbus-run-session", "--", "bash", "-c", script],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_real_secret_service_keeps_the_key(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(SECRET_SERVICE)
    unlock = "printf testpw | gnome-keyring-daemon --unlock --components=secrets >/dev/null"
    done = private_bus(tmp_path, f"{unlock} && {sys.executable} {program}")
    assert done.stdout.splitlines() == ["GNOME Keyring", "ok"], done.stderr
    assert "real-keychain-value" not in done.stdout + done.stderr


def test_a_bus_without_a_secret_service_is_no_keychain(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(SECRET_SERVICE.replace("print(await store.name())", "pass"))
    (tmp_path / "empty").mkdir()
    # Service files would start a daemon on demand: this bus finds none.
    config = tmp_path / "bus.conf"
    config.write_text(
        '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" '
        '"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd"><busconfig><type>session</type>'
        f"<listen>unix:tmpdir={tmp_path}</listen>"
        '<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>'
        '<allow own="*"/></policy></busconfig>'
    )
    if shutil.which("dbus-run-session") is None:
        pytest.skip("needs dbus-run-session, of the Debian package dbus")
    environment = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PYTHONPATH"}}
    done = subprocess.run(
        ["dbus-run-session", f"--config-file={config}", "--", sys.executable, str(program)],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "NoKeychain" in done.stderr, done.stderr


def test_waiting_for_the_keychain_leaves_the_loop_free(backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(MemoryBackend, "get_password", lambda *_: release.wait(60) and "value-123456")

    async def main() -> Secret | None:
        asking = asyncio.create_task(KeyringStore().get(URL))
        await asyncio.sleep(0)
        release.set()  # only a free loop comes here
        return await asking

    assert asyncio.run(main()) == Secret("value-123456")


class WinVaultKeyring(MemoryBackend):
    """By the name of keyring's backend for Windows."""


async def test_a_key_that_windows_does_not_take_is_said_to_be_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """CRED_MAX_CREDENTIAL_BLOB_SIZE is 5 * 512 bytes (Microsoft's documentation of `CREDENTIALW`)."""
    backend = WinVaultKeyring()
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)
    store = KeyringStore()
    await store.set(URL, Secret("k" * 1280))
    with pytest.raises(KeychainFailed, match="Credential Manager, which keeps 1,280 characters; nothing was stored"):
        await store.set(URL, Secret("k" * 1281))
    assert {len(one) for one in backend.kept.values()} == {1280}
