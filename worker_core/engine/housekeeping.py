"""What an engine does beside the work: it measures the machine, and clears away what executions left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from worker_core import bundle
from worker_core.basics.clocks import LeastTime
from worker_core.basics.sentences import worded
from worker_core.basics.tasks import TaskKeeper
from worker_core.machine import changes
from worker_core.machine.load import HealthSampler
from worker_core.temporal.connection import metrics
from worker_core.workspaces.sweeping import WorkspaceSweep

if TYPE_CHECKING:
    from temporalio.client import Client

    from worker_core.agents.activities.services import Services
    from worker_core.paths import Paths
    from worker_core.settings import Settings
    from worker_core.snapshot import Health

JOURNAL_KEPT: Final = timedelta(days=30)
REPLACED: Final = worded(
    "Another version of Kubiya Worker was installed: nothing new is taken. Restart this worker to go on with it."
)


class Housekeeping:
    """One per engine; belongs to its event loop."""

    def __init__(
        self,
        services: Services,
        *,
        paths: Paths,
        on_sample: Callable[[], None],
        on_replaced: Callable[[], None],
        client_of: Callable[[str], Client | None],
    ) -> None:
        """Nothing is begun.

        Args:
            services: of the engine.
            paths: where workspaces and state are.
            on_sample: hears that the machine was measured.
            on_replaced: hears, once, that another version was installed in this one's place.
            client_of: Temporal's client of a queue; None while there is none.
        """
        settings, tracker = services.settings, services.tracker
        self._services = services
        self._on_sample = on_sample
        self._on_replaced: Callable[[], None] | None = on_replaced
        self.sampler = HealthSampler(disk_path=paths.state)
        self.health: Health | None = None
        """As of the last sample."""

        self._time = LeastTime(other=lambda: services.client.server_time)
        self._sweep = WorkspaceSweep(
            paths.workspaces,
            kept=settings.workspace_kept,
            keep_failed=settings.keep_failed_workspaces,
            in_use=lambda: [view.execution_id for view in tracker.views()],
            now=self._time.now,
        )
        self._sweeping: asyncio.Future[int] | None = None
        self._client_of = client_of
        self._letting_go = TaskKeeper()

    def adopt(self, settings: Settings) -> None:
        """Go on with these settings."""
        self._sweep.kept, self._sweep.keep_failed = settings.workspace_kept, settings.keep_failed_workspaces

    async def run(self, *, on_change: Callable[[str], None]) -> None:
        """Until it is cancelled. `on_change` hears, as a sentence, that the machine slept or changed its network."""
        await changes.watch(sampler=self.sampler, on_sample=self._sampled, on_change=on_change)

    def _sampled(self, sample: Health) -> None:
        self.health = sample
        metrics().drain()  # viewers' queries fill the SDK's buffer even when nothing runs
        for execution_id in self._services.tracker.forget_silent():
            self._forget(execution_id)
        if not self._letting_go and self._services.tracker.without_steps():
            self._letting_go.start(self.let_go())
        if not self._services.tracker.views():
            from worker_core.basics.allocator import give_back  # a worker's start has it, the tray's has no use for it

            give_back()
        if self._sweep.due and (now := self._time.now()) is not None:
            self._services.permissions.book.sweep(datetime.fromtimestamp(now, UTC))
            self._sweeping = asyncio.get_running_loop().run_in_executor(None, self._sweep_folders, now)
        self._on_sample()
        if self._on_replaced is not None and bundle.was_replaced():
            self._on_replaced()
            self._on_replaced = None

    async def let_go(self) -> None:
        """Forget executions that hold a place here, and go on elsewhere or not at all."""
        from worker_core.engine.strayed import let_go  # with the first that has no step

        for execution_id in await let_go(self._services, self._client_of):
            self._forget(execution_id)

    def _forget(self, execution_id: str) -> None:
        self._services.environments.forget(execution_id)
        self._services.announcements.forget(execution_id)
        self._services.sessions.forget(execution_id)

    def _sweep_folders(self, now: float) -> int:
        # Executions that ended elsewhere leave their records behind.
        swept = self._services.journal.sweep(older_than=JOURNAL_KEPT, now=now)
        return swept + self._sweep.run() + self._services.mcp.folders.sweep(now=now)
