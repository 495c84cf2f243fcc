"""What activities work with: made by the engine, handed over whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from worker_core.agents.activities.announcements import Announcements
    from worker_core.agents.activities.environments import Environments
    from worker_core.agents.activities.gpu_places import GpuPlaces
    from worker_core.agents.activities.journal import Journal
    from worker_core.agents.activities.spent import SpentByAttempts
    from worker_core.agents.activities.stored_sessions import StoredSessions
    from worker_core.agents.activities.tracker import ExecutionTracker
    from worker_core.basics.loop_thread import LoopThread
    from worker_core.budgets.budgets import Budgets
    from worker_core.budgets.late import LateBudgets
    from worker_core.checkouts.granting import Reserved
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.control_plane.outbox.outbox import Outbox
    from worker_core.events import EventBus
    from worker_core.hooks.hooks import Hooks
    from worker_core.logs.redaction import Redactor
    from worker_core.mcp.pool import McpPool
    from worker_core.model.gateway import ModelGateway
    from worker_core.policy.decision import Permissions
    from worker_core.sandbox.launcher import Launcher
    from worker_core.settings import Settings, SettingsInForce


def _gpu_places() -> GpuPlaces:
    from worker_core.agents.activities.gpu_places import GpuPlaces  # what begins a worker needs none of it

    return GpuPlaces()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One of each per engine."""

    in_force: SettingsInForce
    host_id: str
    client: ControlPlaneClient
    outbox: Outbox
    journal: Journal
    tracker: ExecutionTracker
    bus: EventBus
    redactor: Redactor
    launcher: Launcher
    permissions: Permissions
    workspaces: Path
    environments: Environments
    announcements: Announcements
    sessions: StoredSessions
    spent: SpentByAttempts
    late_budgets: LateBudgets
    checkouts: Path
    """Folder of the records of working copies."""

    reserved: Callable[[], Reserved]
    """What of this machine is granted to no execution."""

    mcp: McpPool
    hooks: Hooks
    claude: LoopThread
    """Where the SDK of the runtime `claude_code` lives."""

    own_secrets: Callable[[], frozenset[str]]
    """Values that reach no child process, whatever name they come under."""

    gpu_places: GpuPlaces = field(default_factory=_gpu_places)

    @property
    def settings(self) -> Settings:
        """As they are now: ask anew for each step."""
        return self.in_force.current

    @property
    def budgets(self) -> Budgets:
        """What executions may spend."""
        return self.late_budgets.made()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueContext:
    """What is a queue's own. The functions are asked each time: a new registration changes what they give."""

    queue_id: str
    home_queue: str
    """The queue of this machine alone."""

    name: Callable[[], str]
    """What people call it; empty: nothing."""

    worker_id: Callable[[], str]
    gateway: Callable[[], ModelGateway]
    takes: Callable[[str], bool]
    """Whether an execution may begin here; False while the worker is paused or leaves."""

    shares_home: Callable[[], bool]
    """Whether the steps of this machine may come to another worker of it."""

    gives_back: Callable[[str], None]
    """It did not begin after all."""
