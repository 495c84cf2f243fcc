"""How long the start of a daemon looks at its worker: as long as it may still turn out that it cannot serve."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from worker_core.daemon import launch
from worker_core.daemon.brief import Brief
from worker_core.snapshot import EngineSnapshot, EngineState, QueueView, Trouble

PID = 4711
BRIEF = cast("Brief", None)
SERVED = QueueView(queue_id="01234567-89ab-4def-8123-456789abcdef")
TROUBLE = Trouble(what="control_plane", sentence="Nothing listens there.", since=datetime.now(UTC))


@dataclass
class Worker:
    """Says one thing after the other, the last for good; behind it, its supervisor says that it has ended."""

    says: list[EngineSnapshot]
    said: queue.SimpleQueue[dict[str, Any]]
    ends_with: int | None = None
    pid: int = PID

    def status(self) -> EngineSnapshot:
        snapshot = self.says[0]
        if len(self.says) > 1:
            del self.says[0]
        elif self.ends_with is not None:
            self.said.put({"event": "ended", "code": self.ends_with, "why": "There is no worker queue."})
        return snapshot


def settled(monkeypatch: pytest.MonkeyPatch, *says: EngineSnapshot, ends_with: int | None = None) -> EngineSnapshot:
    said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    worker = Worker(list(says), said, ends_with=ends_with)
    monkeypatch.setattr(launch, "running_workers", lambda _folder: [worker])
    return launch._settled(BRIEF, Path(), PID, said)


STARTING = EngineSnapshot(state=EngineState.STARTING, queues=(SERVED,))
TROUBLED = EngineSnapshot(state=EngineState.STARTING, queues=(QueueView(queue_id=SERVED.queue_id, trouble=TROUBLE),))
RUNNING = EngineSnapshot(state=EngineState.RUNNING, queues=(SERVED,))


def test_a_slow_machine_is_waited_for_until_its_worker_serves_or_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "READY_SECONDS", 0.0)
    assert settled(monkeypatch, STARTING, STARTING, RUNNING).state is EngineState.RUNNING
    with pytest.raises(launch.DaemonFailed, match="There is no worker queue") as failed:
        settled(monkeypatch, STARTING, STARTING, ends_with=5)
    assert failed.value.exit_code == 5


def test_without_the_network_it_goes_on_behind_our_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "READY_SECONDS", 0.0)
    assert settled(monkeypatch, STARTING, TROUBLED) is TROUBLED


def test_nothing_is_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "SLOW_SECONDS", 0.0)
    assert settled(monkeypatch, STARTING) is STARTING
