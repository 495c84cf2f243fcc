"""Data for screenshots: a worker on a good day. Nothing here is real."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from demo_executions import NOW, events

from desktop.notices.notice import Level, Notice
from worker_core import __version__
from worker_core.basics.sentences import joined, worded
from worker_core.events import ExecutionEventPublished
from worker_core.logs.ring import LogLine
from worker_core.machine.gpu_facts import Gpu
from worker_core.machine.gpu_use import GpuInUse, GpuProcess, GpuUse
from worker_core.snapshot import (
    ApprovalView,
    EngineSnapshot,
    EngineState,
    ExecutionView,
    Health,
    OutboxView,
    QuestionPart,
    QueueStatistics,
    QueueView,
    SdkView,
)

GPU_MODELS = (("NVIDIA H200", 143_771), ("NVIDIA H200", 143_771), ("NVIDIA H200", 143_771), ("Quadro K620", 2_002))
GB = 1024**3
_random = random.Random(7)  # noqa: S311


def statistics(step: int, scale: float) -> QueueStatistics:
    wave = 1.2 + math.sin(step / 9) + 0.5 * math.sin(step / 3.1) + _random.random() * 0.3
    added = max(0.05, wave * scale)
    return QueueStatistics(
        backlog=max(0, round((2.4 + 2.2 * math.sin(step / 11 + 1)) * scale * 2)),
        backlog_age_seconds=6.4 * scale,
        added_per_second=added,
        dispatched_per_second=max(0.05, added * (0.85 + 0.15 * math.sin(step / 5))),
        pollers=round(4 + scale * 4),
    )


def snapshot(step: int = 120) -> EngineSnapshot:
    queues = (
        QueueView(
            queue_id="q-7f31",
            queue_name="platform",
            environment_name="Production",
            worker_id="w-1",
            temporal_namespace="acme.prod",
            polling=True,
            last_heartbeat_at=NOW - timedelta(seconds=8),
            statistics=statistics(step, 1.0),
        ),
        QueueView(
            queue_id="q-b210",
            queue_name="data-pipelines",
            environment_name="Production",
            worker_id="w-2",
            temporal_namespace="acme.prod",
            polling=True,
            last_heartbeat_at=NOW - timedelta(seconds=12),
            statistics=statistics(step + 20, 0.45),
        ),
        QueueView(
            queue_id="q-0c44",
            queue_name="staging",
            environment_name="Staging",
            worker_id="",
            temporal_namespace="acme.staging",
            polling=False,
            reason=joined(worded("Temporal does not answer."), worded("Trying again in {n} s.", n=12)),
        ),
    )
    running = (
        ExecutionView(
            execution_id="4b1d77a0-checkout",
            queue_id="q-7f31",
            turn=2,
            status="running",
            step="model",
            started_at=NOW - timedelta(minutes=3, seconds=12),
            agent_id="SRE on call",
        ),
        ExecutionView(
            execution_id="91c3f0de-costs",
            queue_id="q-b210",
            turn=1,
            status="running",
            step="tool python",
            started_at=NOW - timedelta(minutes=1, seconds=4),
            agent_id="Cost analyst",
        ),
        ExecutionView(
            execution_id="e52a9b14-certs",
            queue_id="q-7f31",
            turn=1,
            status="waiting_for_input",
            step="",
            started_at=NOW - timedelta(minutes=9),
            agent_id="Release manager",
        ),
    )
    return EngineSnapshot(
        state=EngineState.RUNNING,
        reason="Two of three queues are served; staging does not answer.",
        since=NOW - timedelta(hours=3, minutes=41),
        version=__version__,
        host_id="h-5f2c81d09a7e",
        pid=48213,
        control_plane_url="https://control-plane.kubiya.ai",
        queues=queues,
        executions=running,
        executions_limit=8,
        tasks_processed=148,
        turns_ended=391,
        outbox=OutboxView(pending=3, delivered=18_204),
        sdk=SdkView(
            polls=912,
            polls_empty=604,
            pollers=8,
            slots_used=5,
            slots_available=59,
            workflow_slots_used=1,
            activity_slots_used=4,
            cached_workflows=3,
            requests=4821,
            wait_ms=14.0,
        ),
        health=Health(
            cpu_percent=34,
            memory_percent=58,
            memory_total_bytes=32 * GB,
            memory_used_bytes=int(18.6 * GB),
            disk_percent=71,
            disk_total_bytes=994 * GB,
            disk_used_bytes=706 * GB,
            process_rss_bytes=128 * 1024**2,
            sampled_at=NOW,
        ),
    )


def asking(seen: EngineSnapshot) -> EngineSnapshot:
    """The same with all queues served, and with the question that the events ask."""
    asked: Any = next(
        one.payload for one in events() if isinstance(one, ExecutionEventPublished) and one.type == "approval_requested"
    )
    question = ApprovalView(
        id=asked["approval_id"],
        execution_id="4b1d77a0-checkout",
        tool=asked["tool_name"],
        parts=tuple(QuestionPart(**part) for part in asked["parts"]),
        left_out=0,
        asked_at=NOW,
        expires_at=NOW + timedelta(minutes=10),
    )
    return replace(seen, queues=tuple(one for one in seen.queues if one.polling), approvals=(question,))


def log_lines(count: int = 400) -> list[LogLine]:
    said = [
        ("INFO", "Registered on queue platform as worker w-1."),
        ("INFO", "Execution 4b1d77a0-checkout: turn 2 begins."),
        ("INFO", "Execution 4b1d77a0-checkout: runs shell."),
        ("INFO", "Execution 4b1d77a0-checkout: shell done after 1.2 s."),
        ("DEBUG", "Heartbeat of worker w-1 took 41 ms."),
        ("INFO", "Execution 91c3f0de-costs: runs python."),
        ("WARNING", "Queue staging: Temporal does not answer. Next try in 12 s."),
        ("INFO", "Execution past-1: completed."),
        (
            "ERROR",
            "Execution past-2: failed. The model gateway answered 429 eight times; its limit is reached.\n"
            "Traceback (most recent call last):\n  …",
        ),
        ("INFO", "Delivery of events resumed; 214 were replayed."),
    ]
    return [
        LogLine(
            at=NOW - timedelta(seconds=(count - number) * 1.7),
            level=said[place][0],
            logger="worker_core.engine.engine",
            message=said[place][1],
        )
        for number in range(count)
        for place in [_random.choices(range(len(said)), weights=[1, 4, 8, 8, 3, 4, 1, 2, 1, 1])[0]]
    ]


KEY_MINUTES = 480
"""Since the warning about the key."""


def notices() -> list[Notice]:
    """What was said over the last day, oldest first."""
    said: list[tuple[float, Level, str, str]] = [
        (1450, Level.NEWS, "Execution finished", "Rotate the read-only database credentials"),
        (
            KEY_MINUTES,
            Level.PROBLEM,
            "Your API key ends soon",
            "It ends on 2026-12-01 09:00. Make a new one on the control plane.",
        ),
        (
            190,
            Level.PROBLEM,
            "Connection lost for more than a minute",
            "Cannot reach control-plane.kubiya.ai: nothing listens there.",
        ),
        (188, Level.NEWS, "Connection restored", "The worker is connected again."),
        (
            95,
            Level.PROBLEM,
            "Execution failed",
            "The model gateway answered 429 eight times; its limit is reached.",
        ),
        (51, Level.NEWS, "Execution finished", "Bump the base image of all services to Debian 12.9"),
        (32, Level.NEWS, "Execution finished", "Summarize the overnight alerts and group them by cause"),
        (9, Level.NEWS, "A turn has ended", "Renew the staging certificates that expire this week"),
        (
            0.4,
            Level.QUESTION,
            "An agent asks for approval",
            "shell: git push origin fix/checkout-pool && gh pr create --fill",
        ),
    ]
    return [
        Notice(
            title=title,
            body=body,
            level=level,
            at=NOW - timedelta(minutes=minutes),
            about="connection" if title.startswith("Connection") else "",
            stands=level is Level.QUESTION or minutes == KEY_MINUTES,
        )
        for minutes, level, title, body in said
    ]


def gpu_use(step: int, count: int) -> GpuUse:
    """Of so many GPUs: most compute, the second is divided, the fourth is an older card that says little."""
    gpus = []
    running = [one.execution_id for one in snapshot().executions]
    for index in range(count):
        name, megabytes = GPU_MODELS[index % 4]
        old, divided = index % 4 == 3, index % 4 == 1
        busy = 74 + 18 * math.sin(step / 4 + index) + _random.random() * 6
        used = (0.62 + 0.2 * math.sin(step / 17 + index)) * megabytes
        gpu = Gpu(
            index=index, uuid=f"GPU-{index}", name=name, driver="580.159.04", memory_bytes=megabytes * 1024**2,
            used_bytes=None if old else int(used) * 1024**2, busy_percent=None if old or divided else min(100.0, busy),
            celsius=41.0 + index, watts=None if old else 412.0 + 9 * index, is_divided=divided,
        )  # fmt: skip
        own = [] if old else running[index : index + 1]
        processes = tuple(
            GpuProcess(pid=81734 + 7 * index, execution_id=one, memory_bytes=int(used * 0.9) * 1024**2) for one in own
        )
        parts = ("3g.71gb", "3g.71gb", "1g.18gb") if divided else ()
        gpus.append(GpuInUse(gpu=gpu, parts=parts, processes=processes, others=index % 2))
    return GpuUse(gpus=tuple(gpus))
