"""What a worker counts: executions that ended, and turns, also of conversations that go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from worker_core.agents.activities import tracker as tracker_module
from worker_core.agents.activities.tracker import ExecutionTracker

Step = Callable[[ExecutionTracker], object]


def begins(tracker: ExecutionTracker) -> None:
    tracker.turn_began("e", queue_id="q", turn=1)


def works(tracker: ExecutionTracker) -> None:
    with tracker.step("e", "model", queue_id="q", turn=1):
        pass


def asks(tracker: ExecutionTracker) -> None:
    tracker.waits_for_approval("e")


def ends_its_turn(tracker: ExecutionTracker) -> None:
    tracker.turn_ended("e")


def ends(tracker: ExecutionTracker) -> None:
    tracker.ended("e")


def goes(tracker: ExecutionTracker) -> None:
    tracker.forget("e")


@pytest.mark.parametrize(
    ("steps", "turns", "executions"),
    [
        ([], 0, 0),
        ([begins, works], 0, 0),
        ([begins, ends_its_turn], 1, 0),
        ([begins, ends_its_turn, ends_its_turn], 1, 0),
        ([begins, ends_its_turn, begins, works, ends_its_turn], 2, 0),
        ([begins, ends_its_turn, ends], 1, 1),
        ([begins, works, ends], 1, 1),
        ([begins, asks, ends], 1, 1),
        ([works, ends_its_turn], 1, 0),
        ([begins, goes, ends], 0, 1),
        ([begins, goes], 0, 0),
    ],
)
def test_a_turn_is_counted_once_however_it_ends(steps: Sequence[Step], turns: int, executions: int) -> None:
    tracker = ExecutionTracker(limit=2)
    for step in steps:
        step(tracker)
    assert (tracker.turns_ended, tracker.processed) == (turns, executions)


def test_an_execution_without_a_step_for_long_may_have_gone_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker_module, "UNTOUCHED_SECONDS", -1.0)
    changes: list[int] = []
    tracker = ExecutionTracker(limit=2, on_change=lambda: changes.append(tracker.running))
    tracker.turn_began("e", queue_id="q", turn=1, workflow_id="w")
    [one] = tracker.without_steps()
    assert (one.execution_id, one.queue_id, one.workflow_id) == ("e", "q", "w")
    with tracker.step("e", "model", queue_id="q", turn=1):
        assert tracker.without_steps() == []
        assert not tracker.forget_untouched(one)
    assert not tracker.forget_untouched(one)  # it has run meanwhile
    [again] = tracker.without_steps()
    assert tracker.forget_untouched(again)
    assert not tracker.forget_untouched(again)
    assert (tracker.running, tracker.views(), changes[-1]) == (0, (), 0)


def test_one_that_waits_holds_no_place_and_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = ExecutionTracker(limit=2)
    begins(tracker)
    assert tracker.without_steps() == []  # not for long
    monkeypatch.setattr(tracker_module, "UNTOUCHED_SECONDS", -1.0)
    ends_its_turn(tracker)
    assert tracker.without_steps() == []
