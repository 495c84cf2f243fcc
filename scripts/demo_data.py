"""Data for screenshots: a worker on a good day. Nothing here is real."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from desktop.notices.notice import Level, Notice
from worker_core import __version__
from worker_core.basics.sentences import joined, worded
from worker_core.events import (
    Event,
    ExecutionEventPublished,
    ExecutionFinished,
    ExecutionStarted,
    ExecutionWaiting,
    ModelCalled,
)
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

NOW = datetime.now(UTC)
GPU_MODELS = (("NVIDIA H200", 143_771), ("NVIDIA H200", 143_771), ("NVIDIA H200", 143_771), ("Quadro K620", 2_002))
GB = 1024**3
_random = random.Random(7)  # noqa: S311

ANSWER = """The checkout service is failing because its **database pool is exhausted**, not because of the new release.

Three things point the same way:

1. `checkout-7d9f` restarts every four minutes, always after `QueuePool limit of size 5 overflow 10 reached`.
2. The release of 09:12 raised `WORKERS` from 4 to 16 and left `DB_POOL_SIZE` at 5.
3. Rolling back on staging with a larger pool brings the error rate to zero.

This is the smallest change that fixes it:

```yaml
# deploy/checkout/values.yaml
env:
  WORKERS: 16
  DB_POOL_SIZE: 20      # was 5
  DB_POOL_OVERFLOW: 20
```

I can open a pull request with it and watch the rollout. Shall I?"""

PODS = """NAME                        READY   STATUS             RESTARTS        AGE
checkout-7d9f6c8b5-2xkqp    0/1     CrashLoopBackOff   11 (2m ago)     47m
checkout-7d9f6c8b5-9hw4z    1/1     Running            9 (4m ago)      47m
payments-5c7b9d6f4-l8s2d    1/1     Running            0               6d
catalog-86d5f7c9b-q7n5m     1/1     Running            0               6d"""


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


def _event(execution: str, kind: str, seconds_ago: float, **payload: object) -> ExecutionEventPublished:
    return ExecutionEventPublished(
        execution_id=execution, type=kind, payload=payload, sequence=0, at=NOW - timedelta(seconds=seconds_ago)
    )


def _tool(
    execution: str, call: str, name: str, ago: float, took: float, output: str, **arguments: object
) -> list[Event]:
    return [
        _event(
            execution,
            "tool_started",
            ago,
            tool_name=name,
            tool_execution_id=call,
            tool_arguments=arguments,
            sandbox="bubblewrap",
        ),
        _event(
            execution,
            "tool_completed",
            ago - took,
            tool_name=name,
            tool_execution_id=call,
            status="success",
            tool_output=output,
            duration_ms=took * 1000,
            sandbox="bubblewrap",
        ),
    ]


def _model(execution: str, ago: float, took: float, read: int = 0, written: int = 0) -> ModelCalled:
    """One that was answered with nothing had failed."""
    return ModelCalled(
        execution_id=execution,
        succeeded=written > 0,
        duration_seconds=took,
        prompt_tokens=read,
        completion_tokens=written,
        cached_tokens=read * 3 // 4,
        cost_dollars=(read * 0.8 + written * 15) / 1e6,
        at=NOW - timedelta(seconds=ago - took),
    )


def events() -> list[Event]:
    one, two, three = "4b1d77a0-checkout", "91c3f0de-costs", "e52a9b14-certs"
    made: list[Event] = [
        _event(one, "metadata", 192, execution_type="AGENT"),
        _event(
            one,
            "message",
            192,
            role="user",
            message_id="u1",
            user_name="Maya",
            content="Checkout returns 502 since this morning. Find out why and propose the smallest fix.",
        ),
        _event(
            one,
            "message_chunk",
            188,
            message_id="a0",
            content="I will look at the pods first, then at what changed since yesterday.",
        ),
        *_tool(one, "c1", "shell", 186, 1.24, PODS, command="kubectl get pods -n shop"),
        *_tool(
            one,
            "c2",
            "shell",
            182,
            41,
            "QueuePool limit of size 5 overflow 10 reached",
            command="kubectl logs -n shop deploy/checkout --since=1h | grep -i pool",
        ),
        *_tool(
            one,
            "c3",
            "read_file",
            131.9,
            0.04,
            "env:\n  WORKERS: 16\n  DB_POOL_SIZE: 5",
            path="deploy/checkout/values.yaml",
        ),
        _event(one, "message_chunk", 20, message_id="a1", content=ANSWER),
        _model(one, 191, 4.6, 3_900, 64),
        _model(one, 184.6, 2.5, 4_120, 52),
        _model(one, 140.8, 8.8, 4_610, 70),
        _model(one, 131.7, 3.7),
        _model(one, 112, 3.1),
        _model(one, 60, 41, 4_980, 624),
        _event(
            one,
            "approval_requested",
            12,
            approval_id="ap-1",
            tool_name="shell",
            parts=[
                {"name": "command", "text": "git push origin fix/checkout-pool && gh pr create --fill"},
                {"name": "timeout_seconds", "text": "60"},
                {"name": "working folder", "text": f"~/.local/state/kubiya-worker/workspaces/{one}", "kind": "place"},
                {
                    "name": "asked because",
                    "text": "the command git push origin fix/checkout-pool: It publishes. (ask command = 'git push*', "
                    "policy.toml:3)",
                    "kind": "reason",
                },
            ],
        ),
        _event(two, "metadata", 64, execution_type="AGENT"),
        _event(
            two,
            "message",
            64,
            role="user",
            message_id="u1",
            user_name="Jonas",
            content="Which ten workloads grew most in cost last month?",
            usage={"total_tokens": 6_120},
        ),
        _event(
            two,
            "tool_started",
            31,
            tool_name="python",
            tool_execution_id="c1",
            sandbox="bubblewrap",
            tool_arguments={"code": "import pandas as pd\ncosts = pd.read_parquet('costs.parquet')\n"},
        ),
        _event(three, "metadata", 540, execution_type="AGENT"),
        _event(
            three,
            "message",
            540,
            role="user",
            message_id="u1",
            user_name="Maya",
            content="Renew the staging certificates that expire this week",
            usage={"total_tokens": 9_870},
        ),
        ExecutionWaiting(execution_id=three, turn=1, at=NOW - timedelta(minutes=4)),
    ]
    past = [
        ("Summarize the overnight alerts and group them by cause", "SRE on call", "completed", 34, 71, 12_480),
        ("Bump the base image of all services to Debian 12.9", "Release manager", "completed", 58, 412, 48_310),
        ("Why is the nightly ETL two hours late?", "Data engineer", "failed", 96, 133, 7_904),
        ("Rotate the read-only database credentials", "Security bot", "cancelled", 140, 22, 1_730),
    ]
    for number, (title, _, status, minutes, took, tokens) in enumerate(past):
        execution, ago = f"past-{number}", minutes * 60.0
        made += [
            _event(execution, "metadata", ago, execution_type="AGENT"),
            ExecutionStarted(execution_id=execution, queue_id="q-7f31", turn=1, at=NOW - timedelta(seconds=ago)),
            _event(
                execution, "message", ago, role="user", message_id="u1", content=title, usage={"total_tokens": tokens}
            ),
            ExecutionFinished(execution_id=execution, status=status, at=NOW - timedelta(seconds=ago - took)),
        ]
    return made


def agents() -> dict[str, str]:
    return {"past-0": "SRE on call", "past-1": "Release manager", "past-2": "Data engineer", "past-3": "Security bot"}


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
