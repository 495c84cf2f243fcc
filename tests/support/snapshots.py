"""Snapshots for tables of tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from desktop.tray.facts import TrayFacts
from worker_core.snapshot import (
    ApprovalView,
    EngineSnapshot,
    EngineState,
    ExecutionView,
    OutboxView,
    QueueStatistics,
    QueueView,
)

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def queue(name: str = "default", *, polling: bool = True, backlog: int | None = 0, reason: str = "") -> QueueView:
    statistics = None
    if backlog is not None:
        statistics = QueueStatistics(
            backlog=backlog, backlog_age_seconds=0, added_per_second=0, dispatched_per_second=0, pollers=1
        )
    return QueueView(queue_id=f"id-of-{name}", queue_name=name, polling=polling, reason=reason, statistics=statistics)


def execution(number: int, *, status: str = "running", step: str = "model") -> ExecutionView:
    return ExecutionView(
        execution_id=f"{number:08d}-aaaa", queue_id="q", turn=1, status=status, step=step, started_at=NOON
    )


def snapshot(
    state: EngineState = EngineState.RUNNING, *, running: int = 0, reason: str = "Waiting for work.", **more: Any
) -> EngineSnapshot:
    more.setdefault("queues", (queue(),))
    executions = tuple(execution(number) for number in range(running))
    return EngineSnapshot(state=state, reason=reason, executions=executions, pid=4242, **more)


def facts(state: EngineState = EngineState.RUNNING, *, running: int = 0, **more: Any) -> TrayFacts:
    own = {name: more.pop(name) for name in ("attached", "paused_until", "autostart", "snoozed_until") if name in more}
    return TrayFacts(snapshot=snapshot(state, running=running, **more), now=NOON, **own)


def troubled(sentence: str) -> EngineSnapshot:
    return replace(snapshot(), outbox=OutboxView(interrupted_reason=sentence))


def asking(*titles: str, state: EngineState = EngineState.RUNNING) -> EngineSnapshot:
    at = datetime.now(UTC)
    waiting = tuple(
        ApprovalView(id=f"a{number}", execution_id="e", tool=title, parts=(), left_out=0, asked_at=at, expires_at=at)
        for number, title in enumerate(titles)
    )
    return EngineSnapshot(state=state, reason="Waiting for work.", queues=(queue(),), approvals=waiting)
