"""What a model reads of a call, in every loop alike."""

from __future__ import annotations

import pytest

from worker_core.agents.messages import UNKNOWN_OUTCOME, ToolOutcome


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (ToolOutcome(succeeded=True, output="done"), "done"),
        (ToolOutcome(succeeded=True, output=""), "(no output)"),
        (ToolOutcome(succeeded=False, output="half", error="It broke."), "half\n[It broke.]"),
        (ToolOutcome(succeeded=False, output="", error="It broke."), "It broke."),
        (ToolOutcome(succeeded=False, output="", error="It stopped.", unknown=True), UNKNOWN_OUTCOME),
    ],
)
def test_what_the_model_reads_of_a_call(outcome: ToolOutcome, text: str) -> None:
    assert outcome.for_model() == text
