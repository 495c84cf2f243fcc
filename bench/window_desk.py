"""A desk for the window that is measured: a worker that says what the bench wants, and nothing that waits."""

from __future__ import annotations

import contextlib
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

from desktop.notices.notifications import Notifications
from desktop.notices.updates import UpdateState, UpdateWatch
from desktop.settings.policy_store import PolicyStore
from desktop.settings.store import SettingsStore
from desktop.system.diagnosis import Diagnosis
from desktop.system.files_left import FilesLeft
from desktop.system.open_elsewhere import Outside
from desktop.system.platforms.ports import Charge
from desktop.system.usage_kept import UsageKept
from desktop.system.working_copies import WorkingCopies
from desktop.windows.background import Background
from desktop.windows.desk import Desk
from desktop.worker.face import WorkerFace
from worker_core.budgets.usage import DailyUsage
from worker_core.control_plane.models import ExecutionRecord
from worker_core.events import EventBus
from worker_core.paths import Paths
from worker_core.snapshot import EngineSnapshot, EngineState, ExecutionView, Health

AT = datetime(2026, 1, 1, tzinfo=UTC)
EXECUTION = "e-1"
"""The one that runs."""


def a_worker() -> Any:
    """A worker that says what the bench wants it to say."""
    made = create_autospec(WorkerFace, instance=True)
    made.events, made.attached, made.paused_until = EventBus(), False, None
    running = ExecutionView(execution_id=EXECUTION, queue_id="q", turn=1, status="running", step="model", started_at=AT)
    made.snapshot = EngineSnapshot(state=EngineState.RUNNING, reason="Running.", executions=(running,))
    made.get_execution.side_effect = lambda execution_id: ExecutionRecord(id=execution_id)
    made.load_session.return_value = None
    made.queue_executions.return_value = {}
    made.gpus.return_value = None
    return made


async def _sample() -> Health:
    return Health(
        cpu_percent=1,
        memory_percent=1,
        memory_total_bytes=1,
        memory_used_bytes=1,
        disk_percent=1,
        disk_total_bytes=1,
        disk_used_bytes=1,
        process_rss_bytes=1,
        sampled_at=AT,
    )


def _at_once(work: Coroutine[Any, Any, None]) -> None:
    """Nothing here waits for anything."""
    with contextlib.suppress(StopIteration):
        work.send(None)


def _nothing_used() -> Any:
    kept = create_autospec(UsageKept, instance=True)
    kept.read.return_value = DailyUsage(first=AT.date(), last=AT.date(), agents={}, queues={})
    return kept


def a_desk(worker: WorkerFace, folder: Path) -> Desk:
    paths = Paths.from_environment({"KUBIYA_WORKER_HOME": str(folder)})
    settings = SettingsStore(paths, environ={})
    return Desk(
        worker=worker,
        settings=settings,
        policy=PolicyStore(paths.policy_file),
        notices=Notifications(level=lambda: "all"),
        updates=create_autospec(UpdateWatch, instance=True, state=UpdateState(), page=""),
        diagnosis=create_autospec(Diagnosis, instance=True),
        outside=Outside(workspaces=paths.workspaces),
        copies=WorkingCopies(paths=paths, settings=settings.settings),
        files_left=FilesLeft(workspaces=paths.workspaces),
        usage=_nothing_used(),
        keys=None,
        autostart=None,
        sample=_sample,
        charge=Charge,
        follow=lambda _: None,
        background=Background(run=_at_once),
    )
