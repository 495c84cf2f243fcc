"""Looks at the connection and gathers what a bug report needs, for the window. Without widgets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from worker_core.key_sources import API_KEY, given_key
from worker_core.logs.redaction import Redactor
from worker_core.paths import Paths
from worker_core.settings import Settings
from worker_core.snapshot import EngineSnapshot

if TYPE_CHECKING:
    from worker_core.checks.check import Check
    from worker_core.checks.diagnostics import Texts


class Diagnosis:
    """One for the life of the tray. What it finds is for a person to read; nothing is sent."""

    def __init__(
        self,
        *,
        paths: Paths,
        environ: Mapping[str, str],
        redactor: Redactor,
        settings: Callable[[], Settings],
        snapshot: Callable[[], EngineSnapshot],
    ) -> None:
        """`settings` reads them anew and raises ConfigurationError where they are not valid."""
        self._paths = paths
        self._environ = environ
        self._redactor = redactor
        self._settings = settings
        self._snapshot = snapshot

    async def test_connection(self, heard: Callable[[Check], object]) -> list[Check]:
        """Name resolution, proxy, TLS, control plane, Temporal, key, queues, clock, with the settings as they are now.

        Raises:
            ConfigurationError: they are not valid.
        """
        return await self._examine(connection_only=True, heard=heard)

    async def texts(self) -> Texts:
        """All texts of a report, masked.

        Raises:
            ConfigurationError: the settings are not valid.
        """
        from worker_core.checks.diagnostics import collect

        checks = await self._examine()
        return await asyncio.to_thread(
            collect,
            self._paths,
            environ=self._environ,
            redactor=self._redactor,
            checks=checks,
            snapshot=self._snapshot(),
        )

    async def _examine(
        self, *, connection_only: bool = False, heard: Callable[[Check], object] = lambda _: None
    ) -> list[Check]:
        from worker_core.checks.examine import examine

        settings = self._settings()
        return await examine(
            settings,
            paths=self._paths,
            given=given_key(API_KEY, self._environ, settings.api_key_file),
            connection_only=connection_only,
            redactor=self._redactor,
            heard=heard,
        )
