"""What the activities of one queue work with: made by the engine, handed over whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.agents.execution_input import EntityKind
from worker_core.control_plane.models import ResolvedEnvironment
from worker_core.logs.declared import secrets_in
from worker_core.model.answer import Usage

if TYPE_CHECKING:
    from worker_core.agents.activities.journal import Journal
    from worker_core.agents.activities.tracker import ExecutionTracker
    from worker_core.basics.loop_thread import LoopThread
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.control_plane.outbox.outbox import Outbox
    from worker_core.engine.single_execution import SingleExecution
    from worker_core.events import EventBus
    from worker_core.logs.redaction import Redactor
    from worker_core.mcp.pool import McpPool
    from worker_core.model.gateway import ModelGateway
    from worker_core.policy.decision import Permissions
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
    permissions: Permissions
    workspaces: Path
    takes_executions: Callable[[str], bool]
    """Whether this one may begin; False while the worker is paused or leaves."""

    single: SingleExecution
    mcp: McpPool
    claude: LoopThread

    own_secrets: Callable[[], frozenset[str]]
    """Values that reach no child process, whatever name they come under."""

    spent: SpentByAttempts = field(default_factory=lambda: SpentByAttempts())
    environments: EnvironmentCache = field(default_factory=lambda: EnvironmentCache())

    async def keep_environment(self, execution_id: str, entity_id: str, environment: ResolvedEnvironment) -> None:
        """Remember variables for the tools of an execution; what is secret of them, and of its files, is masked."""
        await asyncio.to_thread(self._mask_from_now_on, execution_id, environment)
        self.environments.put(execution_id, entity_id, environment)

    async def environment(self, execution_id: str, kind: EntityKind, entity_id: str) -> ResolvedEnvironment:
        """The variables of an agent or team, asked for again where they are forgotten."""
        if not entity_id:
            return ResolvedEnvironment()
        known = self.environments.get(execution_id, entity_id)
        if known is None:
            known = await self.client.resolved_environment(kind, entity_id)
            await self.keep_environment(execution_id, entity_id, known)
        return known

    async def know_secrets(self, execution_id: str, kind: EntityKind, entity_id: str) -> None:
        """Before anything of an execution leaves: a worker that was restarted asks what is to be masked."""
        if not self.environments.knew(execution_id, entity_id):
            await self.environment(execution_id, kind, entity_id)

    def forget_secrets(self, execution_id: str) -> None:
        """An execution is over, or elsewhere."""
        self.environments.forget(execution_id)
        self.redactor.forget(execution_id)

    def _mask_from_now_on(self, execution_id: str, environment: ResolvedEnvironment) -> None:
        found = secrets_in(environment.env_vars)
        for file in environment.files:
            found |= secrets_in({"": file.content})
        self.redactor.add(*found, owner=execution_id)

    @property
    def home_queue(self) -> str:
        return f"{self.queue_id}@{self.host_id}"


class SpentByAttempts:
    """What attempts of a model call that broke off have used up, for the next attempt to count. In memory alone."""

    def __init__(self) -> None:
        self._spent: dict[tuple[str, str], Usage] = {}

    def of(self, execution_id: str, message_id: str) -> Usage:
        return self._spent.get((execution_id, message_id), Usage())

    def keep(self, execution_id: str, message_id: str, spent: Usage) -> None:
        self._spent[execution_id, message_id] = spent

    def forget(self, execution_id: str, message_id: str = "") -> None:
        """Of one call, or of all of an execution."""
        for key in [key for key in self._spent if key[0] == execution_id and message_id in {"", key[1]}]:
            del self._spent[key]


class EnvironmentCache:
    """Resolved environments hold secrets, so they stay in memory only: never in workflow history."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[float, ResolvedEnvironment]] = {}

    def put(self, execution_id: str, entity_id: str, environment: ResolvedEnvironment) -> None:
        self._known[execution_id, entity_id] = (time.monotonic(), environment)

    def get(self, execution_id: str, entity_id: str) -> ResolvedEnvironment | None:
        kept = self._known.get((execution_id, entity_id))
        if kept is None or time.monotonic() - kept[0] > _KEEP_RESOLVED.total_seconds():
            return None
        return kept[1]

    def knew(self, execution_id: str, entity_id: str) -> bool:
        """Whether it was ever put here, however long ago."""
        return (execution_id, entity_id) in self._known

    def forget(self, execution_id: str) -> None:
        self._known = {key: kept for key, kept in self._known.items() if key[0] != execution_id}
