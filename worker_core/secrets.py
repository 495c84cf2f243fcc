"""Secrets in memory and in the OS keychain."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import queue
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Never, Protocol, TypeVar
from urllib.parse import urlsplit

from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError, ExitCode, KubiyaError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

API_KEY_VARIABLE: Final = "KUBIYA_API_KEY"
KEY_VARIABLES: Final = (API_KEY_VARIABLE, "LITELLM_API_KEY")
"""Taken out of the environment once they are read, so that no child process finds them there."""

SERVICE: Final = "kubiya-worker"
KEYCHAIN_LIMIT: Final = timedelta(seconds=15)
"""A locked keychain asks the user in a window; nobody may sit there."""

_USE_VARIABLE = f"Or set {API_KEY_VARIABLE}; it is read once and taken out of the environment."
_LONGEST_CLAIMS = 16_000
_WINDOWS_BYTES: Final = 2560
"""Of one credential, in UTF-16 (Microsoft's documentation of `CREDENTIALW`, CRED_MAX_CREDENTIAL_BLOB_SIZE)."""

_T = TypeVar("_T")


class Secret:
    """A text that prints as stars. Only `reveal()` gives it away, so that every use can be found by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __repr__(self) -> str:
        return "Secret('****')" if self._value else "Secret('')"

    __str__ = __repr__

    def __reduce__(self) -> Never:
        raise TypeError("A Secret is not pickled: it would leave the process.")


def read_key(text: str, *, name: str) -> Secret:
    """A key as it was given. White space at its ends is taken off: editors and secret stores add it.

    What is not printable ASCII, or a blank, cannot stand in a header (RFC 9110, 5.5; RFC 6750, 2.1); libraries that
    refuse it repeat it in their errors.

    Args:
        text: may be empty, then there is no key.
        name: of where it comes from, to begin a sentence with.

    Raises:
        ConfigurationError: it cannot be a key. The sentence does not repeat it.
    """
    key = text.strip()
    place = next((at for at, character in enumerate(key, 1) if not "!" <= character <= "~"), None)
    if place is None:
        return Secret(key)
    raise ConfigurationError(
        worded(
            "{name} is no key: its character {place} is {kind}, which no key holds. It was not used, and is not shown "
            "here. Copy it again, alone and as a whole.",
            name=name,
            place=str(place),
            kind=_kind(key[place - 1]),
        )
    )


def _kind(character: str) -> str:
    if character in "\r\n":
        return worded("a line break")
    if character.isspace():
        return worded("a blank")
    return worded("a control character") if character < " " or character == "\x7f" else worded("none of ASCII")


def expires_at(secret: Secret) -> datetime | None:
    """When a key ends, in UTC, by its own word: the `exp` of a JSON web token (RFC 7519). None for all others.

    The signature is not looked at: it says when to ask for a new key, and proves nothing.
    """
    parts = secret.reveal().split(".")
    if len(parts) != 3 or len(parts[1]) > _LONGEST_CLAIMS:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        ends = claims["exp"]
        if isinstance(ends, bool):
            return None
        return datetime.fromtimestamp(ends, UTC)
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return None


class KeychainError(KubiyaError):
    """The OS keychain cannot be used."""

    exit_code = ExitCode.NOT_CONFIGURED


class NoKeychain(KeychainError):
    """There is none, or only one that would keep secrets in plain text."""


class KeychainLocked(KeychainError):
    """It is locked, and nobody unlocked it."""


class KeychainTimeout(KeychainError):
    """It did not answer in time; most likely it asks for something in a window."""

    def __init__(self, sentence: str, *, answered: Callable[[], Awaitable[bool]] | None = None) -> None:
        super().__init__(sentence)
        self.answered = answered
        """Until it has answered after all, without being asked again: True. False: it ended, or was busy with something
        else and not asked at all; now it, or another, may be. Raises a KeychainError where the answer is a no."""


class KeychainFailed(KeychainError):
    """It refused, for a reason of its own."""


class _KeychainLeft(KeychainFailed):
    """It ended, or gave its place to another, before it answered."""


class SecretStore(Protocol):
    """Keeps one API key per control plane. All methods raise a `KeychainError`."""

    async def get(self, url: str) -> Secret | None:
        """The key for a control plane, or None where none is stored."""
        ...

    async def set(self, url: str, secret: Secret) -> None: ...

    async def delete(self, url: str) -> bool:
        """Forget a key. False: there was none."""
        ...


class KeyringStore:
    """The OS keychain: Keychain on macOS, Credential Manager on Windows, the Secret Service on Linux.

    All calls run in one daemon thread, since a locked keychain blocks the caller until somebody answers its window.
    A call that took too long is abandoned; those behind it wait in line with their own limits. Where the keychain ends
    or another takes its place, its calls end, and those behind them are the next one's.

    Nothing is made by a look: a keychain without a place for keys holds none.
    """

    def __init__(self, *, service: str = SERVICE, limit: timedelta = KEYCHAIN_LIMIT) -> None:
        """Nothing is opened before the first call.

        Args:
            service: the name under which the keychain shows the entry.
            limit: of one call.
        """
        self._service = service
        self._limit = limit
        self._thread: _KeychainThread | None = None

    async def get(self, url: str) -> Secret | None:
        account = account_of(url)
        value = await self._call(lambda backend: _look_up(backend, self._service, account))
        return Secret(value) if value else None

    async def set(self, url: str, secret: Secret) -> None:
        account = account_of(url)

        def store(backend: KeyringBackend) -> None:
            if (
                type(backend).__name__ == "WinVaultKeyring"
                and len(secret.reveal().encode("utf-16-le")) > _WINDOWS_BYTES
            ):
                raise KeychainFailed(
                    worded(
                        "The key is too long for Windows' Credential Manager, which keeps {n} characters; nothing was "
                        "stored.",
                        n=_WINDOWS_BYTES // 2,
                    )
                ).with_repair(_USE_VARIABLE)
            backend.set_password(self._service, account, secret.reveal())

        await self._call(store)

    async def delete(self, url: str) -> bool:
        account = account_of(url)

        def delete(backend: KeyringBackend) -> bool:
            if _look_up(backend, self._service, account) is None:
                return False
            backend.delete_password(self._service, account)
            return True

        return await self._call(delete)

    async def name(self) -> str:
        """What people call it, such as `GNOME Keyring`."""
        from worker_core.keychain_names import keychain_name  # only where somebody is told

        return await self._call(keychain_name)

    async def _call(self, action: Callable[[KeyringBackend], _T]) -> _T:
        if self._thread is None:
            self._thread = _KeychainThread()
        left = self._thread.leave
        future = self._thread.submit(lambda: _explained(lambda: _asked(action, left=left)))
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise KeychainTimeout(
                worded(
                    "The keychain did not answer within {n} s. If it shows a window, answer it there and try again.",
                    n=self._limit.total_seconds(),
                ),
                answered=partial(self._answered, future),
            ).with_repair(_USE_VARIABLE) from None

    async def _answered(self, late: Future[Any]) -> bool:
        """A call that had begun goes on in its thread; one that had not waits there no more, but for those before."""
        assert self._thread is not None
        try:
            await asyncio.wrap_future(self._thread.submit(lambda: None) if late.cancelled() else late)
        except _KeychainLeft:
            return False
        return not late.cancelled()


class _KeychainThread:
    """Runs calls one after the other. A daemon: a call that never returns does not keep the process alive."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: Future[Any] | None = None
        self._turn = 0
        """Which of the threads goes on; those before wait for what does not come."""

        self._start()

    def submit(self, call: Callable[[], _T]) -> Future[_T]:
        future: Future[_T] = Future()
        self._calls.put((future, call))
        return future

    def leave(self) -> None:
        """Whoever is asked is not there any more: its call ends, and the next ones are made in another thread."""
        with self._lock:
            running, self._running = self._running, None
            if running is None:
                return
            self._turn += 1
            self._start()
        running.set_exception(
            _KeychainLeft(worded("The keychain ended before it answered. Try again.")).with_repair(_USE_VARIABLE)
        )

    def _start(self) -> None:
        threading.Thread(target=self._run, args=(self._turn,), name="keychain", daemon=True).start()

    def _run(self, turn: int) -> None:
        while True:
            future, call = self._calls.get()
            if not future.set_running_or_notify_cancel():
                continue
            with self._lock:
                self._running = future
            error: BaseException | None = None
            try:
                result = call()
            except BaseException as raised:  # noqa: BLE001 - it belongs to the caller
                error = raised
            with self._lock:
                if turn != self._turn:
                    return
                self._running = None
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


def account_of(url: str) -> str:
    """The name of a control plane's entry: scheme and host in lower case, no default port, no final slash."""
    parts = urlsplit(url.strip())
    host = (parts.hostname or "").lower()
    shown = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port is not None and parts.port != default else ""
    return f"{parts.scheme}://{shown}{port}{parts.path.rstrip('/')}"


def _asked(action: Callable[[KeyringBackend], _T], *, left: Callable[[], object]) -> _T:
    """What the keychain answers. Where it is a Secret Service, it is heard meanwhile whether that ends: it may ask in a
    window that nobody can answer any more.
    """
    from worker_core.secret_service import hearing_of_leaving, is_secret_service

    backend = _usable_backend()
    with hearing_of_leaving(left) if is_secret_service(backend) else nullcontext():
        return action(backend)


def _usable_backend() -> KeyringBackend:
    """The keychain's backend, imported late: it costs 0.14 s.

    Raises:
        NoKeychain: only backends that fail, forget, or write plain text are there.
    """
    import keyring
    from keyring.backends.chainer import ChainerBackend

    found = keyring.get_keyring()
    candidates = list(found.backends) if isinstance(found, ChainerBackend) else [found]
    if _found_none(found):
        from worker_core.secret_service import came_later

        later = came_later()
        candidates += [] if later is None else [later]
    for backend in candidates:
        if _keeps_secrets(backend):
            return backend
    raise NoKeychain(
        worded(
            "This machine has no keychain that keeps secrets (on Linux: a Secret Service such as GNOME Keyring or "
            "KWallet, on the session's D-Bus)."
        )
    ).with_repair(f"Set {API_KEY_VARIABLE} instead; it is read once and taken out of the environment.")


def _found_none(backend: KeyringBackend) -> bool:
    """Whether that is what `keyring` came to by itself, not what somebody chose."""
    from keyring import core

    chosen = "PYTHON_KEYRING_BACKEND" in os.environ or core.load_config() is not None
    return type(backend).__module__ == "keyring.backends.fail" and not chosen


def _look_up(backend: KeyringBackend, service: str, account: str) -> str | None:
    """What it holds, without having it make a place for that.

    Raises:
        KeychainLocked: it has that place somewhere else, which is not open.
    """
    from worker_core.secret_service import KEEPASSXC, is_secret_service, keeps_something, owner

    if is_secret_service(backend) and not keeps_something():
        if owner() != KEEPASSXC:
            return None
        raise KeychainLocked(
            worded("KeePassXC has no database open that it shares with programs. Open one and try again.")
        ).with_repair(_USE_VARIABLE)
    return backend.get_password(service, account)


def _keeps_secrets(backend: KeyringBackend) -> bool:
    name = f"{type(backend).__module__}.{type(backend).__name__}".lower()
    if any(part in name for part in (".fail.", ".null.", "plaintext")):
        return False
    try:
        return float(backend.priority) >= 1
    except Exception:  # noqa: BLE001 - a priority is a property that may fail where the backend cannot work
        return False


def _explained(call: Callable[[], _T]) -> _T:
    """Run a keychain call, and turn what it raises into sentences."""
    try:
        return call()
    except KeychainError:
        raise
    except Exception as error:
        from keyring import errors

        if isinstance(error, errors.NoKeyringError):
            raise NoKeychain(worded("This machine has no keychain.")).with_repair(
                f"Set {API_KEY_VARIABLE} instead."
            ) from error
        if isinstance(error, errors.InitError | errors.KeyringLocked):
            raise KeychainLocked(worded("The keychain is locked. Unlock it and try again.")).with_repair(
                _USE_VARIABLE
            ) from error
        # The backend's own words could quote what it was given: only the kind of error is repeated.
        raise KeychainFailed(worded("The keychain failed ({kind}).", kind=type(error).__name__)).with_repair(
            _USE_VARIABLE
        ) from error
