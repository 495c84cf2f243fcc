"""What the activities of one queue work with: made by the engine, handed over whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.control_plane.models import ResolvedEnvironment

if TYPE_CHECKING:
    from worker_core.agents.gateway import ModelGateway
    from worker_core.agents.journal import Journal
    from worker_core.agents.tracker import ExecutionTracker
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.control_plane.outbox import Outbox
    from worker_core.events import EventBus
    from worker_core.logs.redaction import Redactor
    from worker_core.sandbox.launcher import Launcher
    from worker_core.settings import Settings

_KEEP_RESOLVED = timedelta(minutes=10)


@dataclass(slots=True, kw_only=True)
class Services:
    """Shared by all queues of an engine, except what names a queue.

    `worker_id` and `gateway` are functions, since a new registration changes what they give.
    """

    queue_id: str
    host_id: str
    worker_id: Callable[[], str]
    gateway: Callable[[], ModelGateway]
    settings: Settings
    client: ControlPlaneClient
    outbox: Outbox
    journal: Journal
    tracker: ExecutionTracker
    bus: EventBus
    redactor: Redactor
    launcher: Launcher
    workspaces: Path
    takes_executions: Callable[[], bool]
    """False while the worker is paused or leaves."""

    own_secrets: Callable[[], frozenset[str]]
    """Values that reach no child process, whatever name they come under."""

    environments: EnvironmentCache = field(default_factory=lambda: EnvironmentCache())

    @property
    def home_queue(self) -> str:
        return f"{self.queue_id}@{self.host_id}"


class EnvironmentCache:
    """Resolved environments hold secrets, so they stay in memory only: never in workflow history."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, ResolvedEnvironment]] = {}

    def put(self, execution_id: str, environment: ResolvedEnvironment) -> None:
        self._known[execution_id] = (time.monotonic(), environment)

    def get(self, execution_id: str) -> ResolvedEnvironment | None:
        kept = self._known.get(execution_id)
        if kept is None or time.monotonic() - kept[0] > _KEEP_RESOLVED.total_seconds():
            return None
        return kept[1]

    def forget(self, execution_id: str) -> None:
        self._known.pop(execution_id, None)
