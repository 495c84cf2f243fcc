"""Settings and key, as a start of the worker needs them: of the playground, or the user's own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from desktop.notices.key_watch import KeyWatch
from desktop.settings.store import SettingsStore
from desktop.shell.launch import Launch
from desktop.worker.wanted import Provide, Wanted
from worker_core.key_sources import resolve_api_key
from worker_core.secrets import KeyringStore, Secret

if TYPE_CHECKING:
    from worker_core.playground.stage import Backend

log = logging.getLogger(__name__)


def of_playground(backend: Backend) -> Provide:
    """Starts it with the first question."""
    from worker_core.playground.stage import worker_settings

    async def provide() -> Wanted:
        info = await asyncio.to_thread(backend.start)
        if info.warning:
            log.warning("%s", info.warning)
        return Wanted(settings=worker_settings(info), api_key=Secret(info.api_key))

    return provide


def of_user(store: SettingsStore, keychain: KeyringStore, launch: Launch, key_watch: KeyWatch) -> Provide:
    """Read anew at every question: settings, environment, key file, keychain."""

    async def provide() -> Wanted:
        settings = store.settings_in_use()
        key, _ = await resolve_api_key(launch.environ, keychain, settings.control_plane_url, file=settings.api_key_file)
        key_watch.watch(key)
        return Wanted(settings=settings, api_key=key)

    return provide
