"""Which executions are on this worker, and whether it takes another."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from datetime import UTC, datetime
from threading import Lock

from worker_core.basics.quick_dataclass import dataclass
from worker_core.snapshot import ExecutionView

FORGOTTEN_AFTER_SECONDS = 900.0
"""An execution without a step for so long has gone elsewhere, or was terminated; it no longer holds a place."""

UNTOUCHED_SECONDS = 5.0
"""Without a step for so long, it may have gone elsewhere: between two steps are milliseconds."""


@dataclass(slots=True)
class _Entry:
    queue_id: str
    agent_id: str
    turn: int
    workflow_id: str = ""
    status: str = "running"
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    steps: dict[int, str] = field(default_factory=dict)
    touched: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Untouched:
    """An execution in mid-turn without a step."""

    execution_id: str
    queue_id: str
    workflow_id: str
    touched: float


class ExecutionTracker:
    """Counts executions and their steps. Safe to read from any thread; changed on the event loop alone.

    Args:
        limit: executions in the middle of a turn at the same time.
        on_change: called after each change.

    """

    def __init__(self, *, limit: int, on_change: Callable[[], None] = lambda: None) -> None:
        self.limit = limit
        self.processed = 0
        """Executions that ended here."""

        self.turns_ended = 0
        """Of those that ended and of those that go on, with whatever outcome."""

        self._on_change = on_change
        self._entries: dict[str, _Entry] = {}
        self._step_number = 0
        self._lock = Lock()

    @property
    def running(self) -> int:
        """Executions in the middle of a turn."""
        with self._lock:
            return sum(1 for entry in self._entries.values() if entry.status == "running")

    def running_by_queue(self) -> Counter[str]:
        """Executions in the middle of a turn, by the id of their queue."""
        with self._lock:
            return Counter(entry.queue_id for entry in self._entries.values() if entry.status == "running")

    def runs(self, execution_id: str) -> bool:
        """Whether an execution holds a place here."""
        with self._lock:
            return (entry := self._entries.get(execution_id)) is not None and entry.status == "running"

    @property
    def busy_steps(self) -> int:
        """Model and tool calls at this moment."""
        with self._lock:
            return sum(len(entry.steps) for entry in self._entries.values())

    def current_task_id(self, queue_id: str) -> str | None:
        """The execution of a queue whose step began last and still runs."""
        with self._lock:
            newest = [
                (max(entry.steps, default=0), execution_id)
                for execution_id, entry in self._entries.items()
                if entry.queue_id == queue_id and entry.status == "running"
            ]
        return max(newest)[1] if newest else None

    def views(self) -> tuple[ExecutionView, ...]:
        with self._lock:
            return tuple(
                ExecutionView(
                    execution_id=execution_id,
                    queue_id=entry.queue_id,
                    turn=entry.turn,
                    status=entry.status,
                    step=", ".join(entry.steps.values()),
                    started_at=entry.started_at,
                    agent_id=entry.agent_id,
                )
                for execution_id, entry in self._entries.items()
            )

    def turn_began(
        self, execution_id: str, *, queue_id: str, turn: int, agent_id: str = "", workflow_id: str = ""
    ) -> None:
        with self._lock:
            made = _Entry(queue_id=queue_id, agent_id=agent_id, turn=turn, workflow_id=workflow_id)
            entry = self._entries.setdefault(execution_id, made)
            entry.turn, entry.status, entry.touched = turn, "running", time.monotonic()
        self._on_change()

    def turn_ended(self, execution_id: str) -> None:
        """The execution waits for its user: it is known, but holds no place."""
        with self._lock:
            entry = self._entries.get(execution_id)
            self.turns_ended += entry is None or entry.status != "waiting_for_input"  # a step may be repeated
            if entry is not None:
                entry.status = "waiting_for_input"
        self._on_change()

    def waits_for_approval(self, execution_id: str) -> None:
        """Nothing of it runs until its user answers: it is known, but holds no place, and no drain waits for it."""
        with self._lock:
            if (entry := self._entries.get(execution_id)) and not entry.steps:
                entry.status = "waiting_for_approval"
        self._on_change()

    def ended(self, execution_id: str) -> str:
        """The execution is over, and so is the turn in which it was. Returns the agent's id, where it began here."""
        with self._lock:
            entry = self._entries.pop(execution_id, None)
            self.processed += 1
            self.turns_ended += entry is not None and entry.status != "waiting_for_input"
        self._on_change()
        return "" if entry is None else entry.agent_id

    def forget(self, execution_id: str) -> None:
        """The execution goes on elsewhere, or never began."""
        with self._lock:
            self._entries.pop(execution_id, None)
        self._on_change()

    @contextmanager
    def step(self, execution_id: str, name: str, *, queue_id: str, turn: int, workflow_id: str = "") -> Iterator[None]:
        """A model or tool call. Also makes an execution known again after a restart of the worker."""
        with self._lock:
            made = _Entry(queue_id=queue_id, agent_id="", turn=turn, workflow_id=workflow_id)
            entry = self._entries.setdefault(execution_id, made)
            entry.status, entry.turn, entry.touched = "running", turn, time.monotonic()
            self._step_number += 1
            number = self._step_number
            entry.steps[number] = name
        self._on_change()
        try:
            yield
        finally:
            with self._lock:
                entry.steps.pop(number, None)
                entry.touched = time.monotonic()
            self._on_change()

    def without_steps(self) -> list[Untouched]:
        """Executions in mid-turn of which nothing has run here for UNTOUCHED_SECONDS."""
        limit = time.monotonic() - UNTOUCHED_SECONDS
        with self._lock:
            return [
                Untouched(
                    execution_id=key, queue_id=entry.queue_id, workflow_id=entry.workflow_id, touched=entry.touched
                )
                for key, entry in self._entries.items()
                if entry.status == "running" and not entry.steps and entry.touched < limit
            ]

    def forget_untouched(self, one: Untouched) -> bool:
        """The execution goes on elsewhere. False: something of it has run here meanwhile."""
        with self._lock:
            entry = self._entries.get(one.execution_id)
            if entry is None or entry.steps or entry.touched != one.touched:
                return False
            del self._entries[one.execution_id]
        self._on_change()
        return True

    def forget_silent(self) -> list[str]:
        """Drop executions that have had no step for long (terminated, or continued on another machine)."""
        limit = time.monotonic() - FORGOTTEN_AFTER_SECONDS
        with self._lock:
            silent = [key for key, entry in self._entries.items() if not entry.steps and entry.touched < limit]
            for key in silent:
                del self._entries[key]
        if silent:
            self._on_change()
        return silent
