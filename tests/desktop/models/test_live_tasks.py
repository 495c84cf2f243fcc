"""In which order tasks stand that are not over."""

from __future__ import annotations

from desktop.models.executions import Execution
from desktop.models.live_tasks import live_tasks


def test_what_needs_an_answer_comes_first_then_what_works_then_what_rests() -> None:
    statuses = [
        "waiting_for_input", "completed", "running", "paused", "pending", "failed", "waiting_for_approval", "running",
    ]  # fmt: skip
    known = [Execution(execution_id=str(number), status=status) for number, status in enumerate(statuses)]
    assert [one.execution_id for one in live_tasks(known)] == ["6", "2", "7", "4", "3", "0"]
