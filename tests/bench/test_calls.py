"""What the bench reads from the history of an execution."""

from __future__ import annotations

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from bench.calls import calls_of


def step(number: int, kind: str, *, begun: int, ended: int) -> list[HistoryEvent]:
    """The events of a step that was begun and ended at these milliseconds."""
    scheduled, started, completed = (HistoryEvent(event_id=number + one) for one in range(3))
    scheduled.activity_task_scheduled_event_attributes.activity_type.name = kind
    started.activity_task_started_event_attributes.scheduled_event_id = number
    started.event_time.FromMilliseconds(begun)
    completed.activity_task_completed_event_attributes.scheduled_event_id = number
    completed.event_time.FromMilliseconds(ended)
    return [scheduled, started, completed]


def test_calls_are_timed_from_the_begin_of_their_step_to_its_outcome() -> None:
    one, two = step(4, "run_tool", begun=1000, ended=1012), step(9, "run_tool", begun=1100, ended=1107)
    begin, signal = HistoryEvent(event_id=1), HistoryEvent(event_id=12)
    begin.workflow_execution_started_event_attributes.attempt = 1
    signal.workflow_execution_signaled_event_attributes.signal_name = "run_tool"
    model = step(20, "call_model", begun=1200, ended=1900)
    assert calls_of(WorkflowHistory(workflow_id="w", events=[begin, *one, *two, signal, *model])) == [12.0, 7.0]
    at_once = [one[0], two[0], two[1], one[1], two[2], one[2]]
    assert calls_of(WorkflowHistory(workflow_id="w", events=at_once)) == [7.0, 12.0]
