"""The control plane, for what a window asks of it: one client, kept as long as settings and key are the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from desktop.worker.wanted import Provide, Wanted

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient


class _Kept:
    def __init__(self, wanted: Wanted, client: ControlPlaneClient) -> None:
        self.wanted, self.client = wanted, client
        self.users = 0


class ControlPlane:
    """Belongs to one event loop. A client that another one took the place of is closed behind its last question."""

    def __init__(self, provide: Provide) -> None:
        """`provide` is asked before each question: what is in force then counts."""
        self._provide = provide
        self._kept: _Kept | None = None
        self._stale = False

    @asynccontextmanager
    async def client(self) -> AsyncIterator[ControlPlaneClient]:
        """For one question.

        Raises:
            KubiyaError: settings or key are missing, or not valid.
        """
        kept = await self._current()
        kept.users += 1
        try:
            yield kept.client
        finally:
            kept.users -= 1
            await self._let_go(kept)

    def renew(self) -> None:
        """Connect anew with the next question: the machine's network is another one."""
        self._stale = True

    async def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await self._let_go(kept)

    async def _current(self) -> _Kept:
        wanted = await self._provide()
        kept = self._kept
        if kept is None or kept.wanted != wanted or self._stale:
            from worker_core.control_plane.client import ControlPlaneClient

            new = self._kept = _Kept(wanted, ControlPlaneClient.of(wanted.settings, wanted.api_key))
            self._stale = False
            if kept is not None:
                await self._let_go(kept)
            return new
        return kept

    async def _let_go(self, kept: _Kept) -> None:
        if kept is not self._kept and not kept.users:
            await kept.client.aclose()
