"""A desk whose worker remembers what was asked of it, and a window on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

from pytestqt.qtbot import QtBot

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
from desktop.tray.facts import TrayFacts
from desktop.tray.menu import menu
from desktop.windows.background import Background
from desktop.windows.desk import Desk
from desktop.windows.execution_detail import ExecutionDetail
from desktop.windows.main import MainWindow
from desktop.windows.settings import SettingsPage
from desktop.worker.face import WorkerFace
from tests.support.engine import home
from worker_core.budgets.usage import DailyUsage
from worker_core.checks.check import Check, ok
from worker_core.control_plane.models import ExecutionRecord, Queue
from worker_core.errors import KubiyaError
from worker_core.events import Event, ExecutionEventPublished
from worker_core.logs.ring import LogLine
from worker_core.snapshot import (
    EngineSnapshot,
    EngineState,
    ExecutionView,
    Health,
    QueueStatistics,
    QueueView,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = "<b onload=x>&amp;</b> \u202e שלום \x00 " + "y" * 10_000_000


def a_worker(snapshot: EngineSnapshot | None = None) -> Any:
    """A worker that takes every command of its face, and no other, and does nothing; the control plane knows little."""
    made = create_autospec(WorkerFace, instance=True)
    made.snapshot = snapshot or EngineSnapshot()
    made.attached, made.paused_until = False, None
    made.get_execution.side_effect = lambda execution_id: ExecutionRecord(id=execution_id)
    made.load_session.return_value = None
    made.reload.return_value = None
    made.list_queues.return_value = []
    made.list_agents.return_value = []
    made.queue_executions.return_value = {}
    made.queue_workers.return_value = {}
    made.gpus.return_value = None
    return made


def remembers(worker: Any) -> None:
    """From now on the control plane has a conversation of every execution but `gone`."""

    async def get_execution(execution_id: str) -> ExecutionRecord:
        if execution_id == "gone":
            raise KubiyaError("The control plane has no such execution.")
        return ExecutionRecord(id=execution_id, status="completed", entity_name="Archivist", prompt="What was?")

    worker.get_execution.side_effect = get_execution
    worker.load_session.return_value = {
        "messages": [{"role": "user", "content": "What was?"}, {"role": "assistant", "content": "This."}]
    }


def commands(worker: Any) -> list[Any]:
    """What was asked of it, without what is only looked up."""
    looked_up = {
        "reload",
        "get_execution",
        "list_agents",
        "load_session",
        "list_queues",
        "queue_executions",
        "queue_workers",
    }
    return [one for one in worker.mock_calls if one[0] not in looked_up]


def run_now(wish: Any) -> None:
    """Carries out a coroutine that never really waits."""
    try:
        wish.send(None)
    except StopIteration:
        return
    raise AssertionError("The wish waits for something.")


async def nothing_measured() -> Health:
    return Health(
        cpu_percent=0,
        memory_percent=0,
        memory_total_bytes=0,
        memory_used_bytes=0,
        disk_percent=0,
        disk_total_bytes=0,
        disk_used_bytes=0,
        process_rss_bytes=0,
        sampled_at=datetime.min.replace(tzinfo=UTC),
    )


def a_desk(folder: Path, **parts: Any) -> Desk:
    """Real stores in a folder; a worker and ways out that take what their faces have, and do nothing."""
    whole: dict[str, Any] = {
        "worker": a_worker(),
        "settings": SettingsStore(home(folder), environ={}),
        "policy": PolicyStore(folder / "policy.toml"),
        "notices": Notifications(level=lambda: "all"),
        "updates": create_autospec(UpdateWatch, instance=True, state=UpdateState(), page="https://releases.example"),
        "diagnosis": create_autospec(Diagnosis, instance=True),
        "outside": create_autospec(Outside, instance=True),
        "copies": create_autospec(WorkingCopies, instance=True, find=lambda _: None),
        "files_left": create_autospec(FilesLeft, instance=True),
        "usage": create_autospec(UsageKept, instance=True),
        "keys": None,
        "autostart": None,
        "sample": nothing_measured,
        "charge": Charge,
        "follow": lambda _: None,
        "menu": lambda: menu(TrayFacts(snapshot=whole["worker"].snapshot)),
        "background": Background(run=run_now),
    }
    whole["files_left"].has_place.return_value = False
    whole["usage"].read.return_value = DailyUsage(first=AT.date(), last=AT.date(), agents={}, queues={})
    whole |= parts
    return Desk(**whole)


def shown_window(
    qtbot: QtBot,
    folder: Path,
    *,
    snapshot: EngineSnapshot | None = None,
    settings: Mapping[str, str] | None = None,
    page: str = "overview",
    **parts: Any,
) -> MainWindow:
    """The main window on one of its pages, with settings that were changed before; `parts` are fields of its desk."""
    if snapshot is not None:
        parts["worker"] = a_worker(snapshot)
    desk = a_desk(folder, **parts)
    if settings:
        desk.settings.change(**settings)
    made = MainWindow(desk)
    qtbot.addWidget(made)
    made.show()
    show_whole(qtbot, made, page)
    return made


def show_whole(qtbot: QtBot, window: MainWindow, name: str, target: str = "") -> None:
    """Show a page, and wait until all of it is there: Settings come in pieces."""
    window.show_page(name, target)
    page = window.page_named(name)
    if isinstance(page, SettingsPage):
        qtbot.waitUntil(lambda: page.is_whole, timeout=60_000)


def busy(text: str = "words") -> EngineSnapshot:
    return EngineSnapshot(
        state=EngineState.RUNNING,
        reason=text,
        since=AT,
        version="1.0",
        executions_limit=4,
        queues=(
            QueueView(
                queue_id="q",
                queue_name=text,
                environment_name=text,
                polling=True,
                last_heartbeat_at=AT,
                statistics=QueueStatistics(
                    backlog=3, backlog_age_seconds=4.0, added_per_second=1.0, dispatched_per_second=0.2, pollers=2
                ),
            ),
            QueueView(queue_id="p", reason=text),
        ),
        executions=(
            ExecutionView(
                execution_id="e", queue_id="q", turn=1, status="running", step=text, started_at=AT, agent_id=text
            ),
        ),
        health=Health(
            cpu_percent=3,
            memory_percent=90,
            memory_total_bytes=8,
            memory_used_bytes=7,
            disk_percent=99,
            disk_total_bytes=9,
            disk_used_bytes=8,
            process_rss_bytes=5,
            sampled_at=AT,
        ),
    )


def talk(text: str = "words", execution_id: str = "e") -> list[Event]:
    def one(kind: str, **payload: Any) -> Event:
        return ExecutionEventPublished(execution_id=execution_id, type=kind, payload=payload, sequence=1, at=AT)

    return [
        one("metadata"),
        one("message", role="user", content=text, message_id="u", user_name=text),
        one("message_chunk", content=text, message_id="m"),
        one(
            "tool_started", tool_name="shell", tool_execution_id="c", tool_arguments={"command": text}, sandbox="bwrap"
        ),
        one(
            "tool_completed",
            tool_name="shell",
            tool_execution_id="c",
            status="failed",
            tool_output=text,
            tool_error=text,
        ),
        one("error", severity="warning", details={"error_message": text}),
        one(
            "approval_requested",
            approval_id="a",
            tool_name="shell",
            parts=[{"name": text, "text": text}, {"name": "asked because", "text": text, "kind": "reason"}],
        ),
    ]


def lines(text: str = "words", count: int = 3) -> list[LogLine]:
    return [LogLine(at=AT, level="INFO", logger="l", message=f"{text} {number}") for number in range(count)]


def a_fleet() -> Any:
    """A worker whose control plane has three queues."""
    made = a_worker()
    made.list_queues.return_value = [
        Queue(id="q-2", name="builds", environment_name="Production", status="active"),
        Queue(id="q-1", name="alerts & more", environment_name="Production"),
        Queue(id="q-3", name="old", environment_name="Staging", status="inactive"),
    ]
    return made


class Scene:
    """A window with everything around it."""

    def __init__(self, qtbot: QtBot, folder: Path, snapshot: EngineSnapshot) -> None:
        self.worker = a_worker(snapshot)
        remembers(self.worker)
        self.desk = a_desk(folder, worker=self.worker)
        self.desk.diagnosis.test_connection.side_effect = self.test
        self.settings = self.desk.settings
        self.window = MainWindow(self.desk)
        self._qtbot = qtbot
        qtbot.addWidget(self.window)
        self.window.show()

    def show_page(self, name: str, target: str = "") -> None:
        """With all that is on it."""
        show_whole(self._qtbot, self.window, name, target)

    async def test(self, heard: Callable[[Check], object]) -> list[Check]:
        found = [ok("control plane", "It answers in 12 ms.")]
        heard(found[0])
        return found

    def arrive(self, text: str = "words") -> None:
        self.window.take(busy(text))
        self.window.apply(talk(text))
        self.window.add_lines(lines(text))

    @property
    def detail(self) -> ExecutionDetail:
        """The right half of the page of executions."""
        return self.window.executions.detail
