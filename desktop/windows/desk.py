"""What all pages share: the worker, the stores, and the ways to elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from desktop.models.executions import ExecutionStore
from desktop.notices.notifications import Notice, Notifications
from desktop.notices.releases import RELEASES_URL
from desktop.notices.updates import UpdateWatch
from desktop.settings.keys import Keys
from desktop.settings.policy_store import PolicyStore
from desktop.settings.store import SettingsStore
from desktop.system.platforms.ports import AutostartEntry
from desktop.windows.background import Background
from desktop.windows.connection_test import Examine
from worker_core.snapshot import NOTHING, EngineSnapshot, Scope, StopMode, WholeQuestion

if TYPE_CHECKING:
    from worker_core.checks.diagnostics import Texts


class Worker(Protocol):
    """The worker, in this process or in another one of this machine."""

    @property
    def snapshot(self) -> EngineSnapshot: ...

    async def start(self) -> None: ...
    async def pause(self, *, reason: str, until: datetime | None = None) -> None: ...
    async def resume(self) -> None: ...
    async def stop(self, mode: StopMode) -> None: ...
    async def cancel_execution(self, execution_id: str) -> None: ...
    async def pause_execution(self, execution_id: str) -> None: ...
    async def resume_execution(self, execution_id: str) -> None: ...
    async def send_message(self, execution_id: str, text: str) -> None: ...
    async def whole_question(self, approval_id: str) -> WholeQuestion: ...
    async def answer_approval(
        self, approval_id: str, *, allow: bool, scope: Scope, seal: str = "", values: Mapping[str, Any] = NOTHING
    ) -> None: ...


class Archive(Protocol):
    """What the control plane remembers of executions; `ControlPlaneClient` is one."""

    async def get_execution(self, execution_id: str) -> Any: ...
    async def load_session(self, execution_id: str) -> dict[str, Any] | None: ...


class Fleet(Protocol):
    """What the control plane knows of queues and of those who serve them."""

    async def list_queues(self) -> Sequence[Any]: ...
    async def queue_workers(self, queue_ids: Sequence[str]) -> Mapping[str, Sequence[Any]]: ...


Diagnose = Callable[[], Mapping[str, str]]


@dataclass(slots=True, kw_only=True)
class Desk:
    worker: Worker
    store: ExecutionStore
    background: Background
    settings: SettingsStore
    policy: PolicyStore | None = None
    archive: Archive | None = None
    fleet: Fleet | None = None
    workspaces: Path | None = None
    open_url: Callable[[str], object] = lambda url: None
    open_folder: Callable[[Path], object] = lambda folder: None
    test_connection: Examine | None = None
    keys: Keys | None = None
    gather: Callable[[], Awaitable[Texts]] | None = None
    """The texts of a report."""
    updates: UpdateWatch | None = None
    releases_url: str = RELEASES_URL
    diagnose: Diagnose | None = None
    playground_model: Callable[[], str] = lambda: ""
    """Which model the playground has; empty where this is none."""
    show_page: Callable[..., object] = lambda name, target="": None
    open_execution: Callable[[str], object] = lambda execution_id: None
    autostart: AutostartEntry | None = None
    notices: Notifications | None = None
    follow: Callable[[Notice], object] = lambda notice: None
    """Open what a notice is about."""
    say: Callable[..., object] = field(default=lambda *args, **kwargs: None)
    """Show a sentence in the window's banner."""
