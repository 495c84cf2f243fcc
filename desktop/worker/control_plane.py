"""The control plane, for what a window asks of it: one client, kept as long as settings and key are the same.

Where a worker service is shown, and the window has no key of that service's control plane, the service is asked to ask.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from desktop.worker.wanted import Provide, Wanted
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import KubiyaError

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.control_plane.relay import Carry


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownService:
    """A worker that is shown, and can ask its control plane."""

    control_plane_url: str
    carry: Carry


class _Kept:
    def __init__(self, asks_as: Wanted | ShownService, client: ControlPlaneClient) -> None:
        self.asks_as, self.client = asks_as, client
        self.users = 0


class ControlPlane:
    """Belongs to one event loop. A client that another one took the place of is closed behind its last question."""

    def __init__(self, provide: Provide, *, service: Callable[[], ShownService | None] = lambda: None) -> None:
        """Both are asked before each question: what is in force then counts."""
        self._provide, self._service = provide, service
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
        asks_as = await self._asks_as()
        kept = self._kept
        if kept is None or kept.asks_as != asks_as or self._stale:
            new = self._kept = _Kept(asks_as, _client(asks_as))
            self._stale = False
            if kept is not None:
                await self._let_go(kept)
            return new
        return kept

    async def _asks_as(self) -> Wanted | ShownService:
        service = self._service()
        try:
            wanted = await self._provide()
        except KubiyaError:
            if service is None:
                raise
            return service
        if service is not None and service.control_plane_url.rstrip("/") != wanted.settings.control_plane_url.rstrip(
            "/"
        ):
            return service
        return wanted

    async def _let_go(self, kept: _Kept) -> None:
        if kept is not self._kept and not kept.users:
            await kept.client.aclose()


def _client(asks_as: Wanted | ShownService) -> ControlPlaneClient:
    from worker_core.control_plane.client import ControlPlaneClient

    if isinstance(asks_as, ShownService):
        return ControlPlaneClient.by_way_of(asks_as.carry, base_url=asks_as.control_plane_url)
    return ControlPlaneClient.of(asks_as.settings, asks_as.api_key)
