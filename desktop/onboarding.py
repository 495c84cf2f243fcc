"""The first run, without a window: a key that works, a keychain that keeps it, queues to serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from desktop.language import tr
from desktop.platforms.ports import AutostartEntry
from desktop.settings_store import SettingsStore
from worker_core.errors import ConfigurationError
from worker_core.secrets import KeyringStore, Secret

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.control_plane.models import Queue

LONGEST_KEY = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whom a key belongs to, as the control plane says it."""

    organization: str = ""
    user: str = ""


class Onboarding:
    """Steps in order; each may be taken again. All raise KubiyaError with a sentence for the user."""

    def __init__(
        self,
        *,
        store: SettingsStore,
        keychain: KeyringStore,
        autostart: AutostartEntry | None,
        use_key: Callable[[Secret], None],
    ) -> None:
        """`use_key` takes a key that is not kept anywhere: it serves until the program ends."""
        self._store = store
        self._keychain = keychain
        self._autostart = autostart
        self._use_key = use_key
        self._key: Secret | None = None

    @property
    def control_plane_url(self) -> str:
        return self._store.settings().control_plane_url

    @property
    def can_start_at_login(self) -> bool:
        return self._autostart is not None

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
        if url.strip().rstrip("/") != self.control_plane_url:
            self._store.change(control_plane_url=url)
        self._key = Secret(text)
        async with self._client() as client:
            who = await client.validate_key()
        return Owner(
            organization=str(who.get("name") or who.get("slug") or who.get("id") or "")[:200],
            user=str(who.get("user_email") or who.get("user_name") or "")[:200],
        )

    async def save(self) -> str:
        """Put the key into the keychain; the keychain's name. Raises KeychainError."""
        assert self._key is not None, "check() comes first"
        name = await self._keychain.name()
        await self._keychain.set(self.control_plane_url, self._key)
        return name

    def use_unsaved(self) -> None:
        """Go on with a key that is nowhere kept."""
        assert self._key is not None, "check() comes first"
        self._use_key(self._key)

    async def queues(self) -> list[Queue]:
        """Those that this key can use and that take workers, by environment and name."""
        async with self._client() as client:
            found = await client.list_queues()
        return sorted(
            (queue for queue in found if queue.status in {"", "active"}),
            key=lambda queue: (queue.environment_name, queue.display_name or queue.name),
        )

    def finish(self, queue_ids: Sequence[str], *, at_login: bool) -> None:
        """Write down what was chosen."""
        self._store.change(queue_ids=tuple(queue_ids))
        if at_login and self._autostart is not None:
            try:
                self._autostart.write()
            except OSError as error:
                raise ConfigurationError(
                    tr("Start at login could not be changed: {reason}.", reason=error.strerror or error)
                ) from error

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[ControlPlaneClient]:
        from worker_core.control_plane.client import ControlPlaneClient

        assert self._key is not None
        settings = self._store.settings()
        client = ControlPlaneClient(base_url=settings.control_plane_url, api_key=self._key, ca_file=settings.ca_file)
        try:
            yield client
        finally:
            await client.aclose()
