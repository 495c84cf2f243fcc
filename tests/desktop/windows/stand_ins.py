"""A worker and a bridge that remember what was asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from pytestqt.qtbot import QtBot

from desktop.settings.store import SettingsStore
from desktop.windows.main import MainWindow
from tests.support.engine import home
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


class Bridge(QObject):
    snapshot_changed = Signal(object)
    events_arrived = Signal(object)
    logs_arrived = Signal(object)


class Worker:
    def __init__(self, snapshot: EngineSnapshot) -> None:
        self.snapshot = snapshot
        self.asked: list[tuple[Any, ...]] = []
        self.trouble: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        async def wish(*args: Any, **kwargs: Any) -> None:
            self.asked.append((name, *args, kwargs))
            if self.trouble is not None:
                raise self.trouble

        return wish


class Archive:
    async def get_execution(self, execution_id: str) -> dict[str, Any]:
        if execution_id == "gone":
            raise KubiyaError("The control plane has no such execution.")
        return {"status": "completed", "entity_name": "Archivist", "prompt": "What was?"}

    async def load_session(self, execution_id: str) -> dict[str, Any] | None:
        return {"messages": [{"role": "user", "content": "What was?"}, {"role": "assistant", "content": "This."}]}


def run_now(wish: Any) -> None:
    """Carries out a coroutine that never really waits."""
    try:
        wish.send(None)
    except StopIteration:
        return
    raise AssertionError("The wish waits for something.")


def shown_window(
    qtbot: QtBot,
    tmp_path: Path,
    *,
    snapshot: EngineSnapshot | None = None,
    settings: Mapping[str, str] | None = None,
    page: str = "overview",
    **parts: Any,
) -> MainWindow:
    """The main window on one of its pages, with settings that were changed before; `parts` are its own arguments."""
    store = SettingsStore(home(tmp_path), environ={})
    if settings:
        store.change(**settings)
    made = MainWindow(Worker(snapshot or EngineSnapshot()), Bridge(), store, **parts)
    qtbot.addWidget(made)
    made.show()
    made.show_page(page)
    return made


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
