"""The API key, without a window: where it is, whether it works, and how it is replaced or forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from desktop.look.language import fact, tr
from desktop.settings.store import SettingsStore
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import ConfigurationError
from worker_core.key_sources import API_KEY, given_key
from worker_core.secrets import (
    KeychainError,
    KeychainLocked,
    KeychainTimeout,
    KeyringStore,
    Secret,
    expires_at,
)

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient

LONGEST_KEY = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whom a key belongs to, as the control plane says it."""

    organization: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """Where the key is. `locked` may pass by itself, `unavailable` will not; `sentence` says why, for these two."""

    kind: Literal["stored", "environment", "file", "missing", "locked", "unavailable"]
    keychain: str = ""
    file: str = ""
    ends_at: datetime | None = None
    sentence: str = ""
    later: Callable[[], Awaitable[bool]] | None = None
    """Of a keychain that did not answer in time: until it has. Raises KeychainError where that is a no."""


class Keys:
    """Asks, checks and keeps. All methods but `stored` and `kept_late` raise KubiyaError with a sentence for people."""

    def __init__(
        self,
        *,
        store: SettingsStore,
        keychain: KeyringStore,
        environ: Mapping[str, str],
        use_key: Callable[[Secret], None],
    ) -> None:
        """`use_key` takes a key that is not kept anywhere: it serves until the program ends."""
        self._store = store
        self._keychain = keychain
        self._environ = environ
        self._use_key = use_key
        self._key: Secret | None = None

    @property
    def control_plane_url(self) -> str:
        return self._store.settings().control_plane_url

    @property
    def url_decided_by(self) -> str:
        """The environment variable that says which control plane it is; empty: the person does."""
        return self._store.decided_elsewhere("control_plane_url")

    async def stored(self) -> KeyState:
        """Where the key for this control plane is. Never raises for a keychain's sake: that is a state."""
        try:
            given = given_key(API_KEY, self._environ, self._store.settings_in_use().api_key_file)
        except ConfigurationError as error:
            return KeyState(kind="unavailable", sentence=fact(error))
        if given is not None:
            kind: Literal["environment", "file"] = "environment" if given.source == API_KEY.variable else "file"
            return KeyState(kind=kind, file=given.source, ends_at=expires_at(given.secret))
        try:
            name = await self._keychain.name()
            key = await self._keychain.get(self.control_plane_url)
        except KeychainTimeout as error:
            return KeyState(kind="locked", sentence=fact(error), later=error.answered)
        except KeychainLocked as error:
            return KeyState(kind="locked", sentence=fact(error))
        except KeychainError as error:
            return KeyState(kind="unavailable", sentence=fact(error))
        if key is None:
            return KeyState(kind="missing", keychain=name)
        return KeyState(kind="stored", keychain=name, ends_at=expires_at(key))

    async def check(self, key: str, *, url: str) -> Owner:
        """Ask the control plane whose key this is, and hold on to it.

        Raises:
            KubiyaError: it is no key, it is refused, or the control plane cannot be reached.
        """
        text = key.strip()
        if not text:
            raise ConfigurationError(tr("Paste your API key first."))
        if len(text) > LONGEST_KEY or len(text.split()) > 1:
            raise ConfigurationError(tr("This is no API key: it must be one word."))
        if not self.url_decided_by and url.strip().rstrip("/") != self.control_plane_url:
            self._store.change(control_plane_url=url)
        self._key = Secret(text)
        async with self.client() as client:
            who = await client.validate_key()
        return Owner(
            organization=str(who.get("name") or who.get("slug") or who.get("id") or "")[:200],
            user=str(who.get("user_email") or who.get("user_name") or "")[:200],
        )

    async def save(self) -> str:
        """Put the key into the keychain; the keychain's name. Raises KeychainError."""
        assert self._key is not None, "check() comes first"
        try:
            name = await self._keychain.name()
        except KeychainTimeout as error:
            error.answered = None  # that would be its name alone
            raise
        await self._keychain.set(self.control_plane_url, self._key)
        return name

    async def kept_late(self, error: KeychainError) -> str:
        """The keychain's name, once it has kept the key after all that `save` gave up; empty: it has not."""
        if not isinstance(error, KeychainTimeout) or error.answered is None:
            return ""
        try:
            return await self._keychain.name() if await error.answered() else ""
        except KeychainError:
            return ""

    async def forget(self) -> bool:
        """Take the key out of the keychain. False: there was none. Raises KeychainError."""
        return await self._keychain.delete(self.control_plane_url)

    def use_unsaved(self) -> None:
        """Go on with a key that is nowhere kept."""
        assert self._key is not None, "check() comes first"
        self._use_key(self._key)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ControlPlaneClient]:
        """The control plane, with the key that was checked last."""
        from worker_core.control_plane.client import ControlPlaneClient

        assert self._key is not None
        settings = self._store.settings_in_use()
        client = ControlPlaneClient.of(settings, self._key)
        try:
            yield client
        finally:
            await client.aclose()
