"""What the SDK counts of itself, condensed. The names of its metrics are those of Temporal's SDK reference."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, Final

from worker_core.snapshot import SdkView

_POLLS: Final = frozenset({
    "temporal_workflow_task_queue_poll_empty",
    "temporal_workflow_task_queue_poll_succeed",
    "temporal_activity_poll_no_task",
    "temporal_activity_task_received",
})  # fmt: skip
"""A poll that was answered. The SDK counts requests when they begin, so that tries in an outage would count as well."""

_EMPTY: Final = frozenset({"temporal_workflow_task_queue_poll_empty", "temporal_activity_poll_no_task"})
_REFUSALS: Final = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED"})

_WAITS_KEPT: Final = 50
"""Of the newest activity tasks: a mean over more of them says little of now."""


class Telemetry:
    """Takes updates one by one. Not for several threads."""

    def __init__(self) -> None:
        self._polls: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._polls_empty = 0
        self._requests = 0
        self._failures = 0
        self._pollers: dict[tuple[str, str], int] = {}
        self._used: dict[tuple[str, str], int] = {}
        self._available: dict[tuple[str, str], int] = {}
        self._cached: dict[str, int] = {}
        self._waits: deque[float] = deque(maxlen=_WAITS_KEPT)

    def take(self, name: str, value: float, attributes: Mapping[str, Any]) -> None:
        """One update: counters tell what was added, all others what is; times in seconds."""
        queue = str(attributes.get("task_queue", ""))
        if name in _POLLS:
            self._polls[queue] += int(value)
            self._polls_empty += int(value) * (name in _EMPTY)
            return
        if name == "temporal_long_request_failure" and attributes.get("status_code") in _REFUSALS:
            self._refused[queue] += int(value)
        match name:
            case "temporal_request":
                self._requests += int(value)
            case "temporal_request_failure" | "temporal_long_request_failure":
                self._failures += int(value)
            case "temporal_num_pollers":
                self._pollers[queue, str(attributes.get("poller_type", ""))] = int(value)
            case "temporal_worker_task_slots_used":
                self._used[queue, str(attributes.get("worker_type", ""))] = int(value)
            case "temporal_worker_task_slots_available":
                self._available[queue, str(attributes.get("worker_type", ""))] = int(value)
            case "temporal_sticky_cache_size":
                self._cached[queue] = int(value)
            case "temporal_activity_schedule_to_start_latency":
                self._waits.append(float(value))

    def polls_answered(self, task_queue: str) -> int:
        """Of this queue, so far."""
        return self._polls[task_queue]

    def polls_refused(self, task_queue: str) -> int:
        """Of this queue, so far, since Temporal does not take the key."""
        return self._refused[task_queue]

    def is_polling(self, task_queue: str) -> bool:
        """Whether a poller of this queue was reported."""
        return any(queue == task_queue and count > 0 for (queue, _), count in self._pollers.items())

    def view(self) -> SdkView:
        """As of the last update."""
        waits = self._waits
        return SdkView(
            polls=self._polls.total(),
            polls_empty=self._polls_empty,
            pollers=sum(self._pollers.values()),
            slots_used=sum(self._used.values()),
            slots_available=sum(self._available.values()),
            workflow_slots_used=self._used_by("WorkflowWorker"),
            activity_slots_used=self._used_by("ActivityWorker"),
            cached_workflows=sum(self._cached.values()),
            requests=self._requests,
            failures=self._failures,
            wait_ms=1000 * sum(waits) / len(waits) if waits else None,
        )

    def _used_by(self, kind: str) -> int:
        return sum(count for (_, worker_type), count in self._used.items() if worker_type == kind)
