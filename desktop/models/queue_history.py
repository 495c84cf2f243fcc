"""How the rates of each queue were, for as long as this process has been looking. No Qt."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import field

from worker_core.basics.quick_dataclass import dataclass
from worker_core.snapshot import QueueStatistics, QueueView

POINTS = 120


@dataclass(slots=True)
class History:
    added: deque[float | None] = field(default_factory=lambda: deque(maxlen=POINTS))
    dispatched: deque[float | None] = field(default_factory=lambda: deque(maxlen=POINTS))
    backlog: deque[float | None] = field(default_factory=lambda: deque(maxlen=POINTS))


class QueueHistory:
    """One point for each answer of the server; snapshots that repeat an answer add nothing."""

    def __init__(self) -> None:
        self._of: dict[str, History] = {}
        self._last: dict[str, QueueStatistics | None] = {}

    def of(self, queue_id: str) -> History:
        return self._of.setdefault(queue_id, History())

    def take(self, queues: Iterable[QueueView]) -> None:
        for queue in queues:
            last = self._last.get(queue.queue_id)
            if queue.statistics is None or queue.statistics is last:
                continue
            if queue.statistics.asked_at is not None and queue.statistics == last:
                continue  # of a worker service, which sends it with each of its snapshots
            self._last[queue.queue_id] = queue.statistics
            history = self.of(queue.queue_id)
            history.added.append(queue.statistics.added_per_second)
            history.dispatched.append(queue.statistics.dispatched_per_second)
            history.backlog.append(float(queue.statistics.backlog))
