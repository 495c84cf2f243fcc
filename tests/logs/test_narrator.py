from __future__ import annotations

import logging

import pytest

from worker_core import events
from worker_core.logs.narrator import narrate
from worker_core.snapshot import EngineSnapshot

TOLD = [
    (
        events.QueueRegistered(queue_id="q", queue_name="laptops", worker_id="w"),
        logging.INFO,
        "queue laptops as worker w",
    ),
    (events.ExecutionStarted(execution_id="e", queue_id="q", turn=2), logging.INFO, "e: turn 2 begins"),
    (events.ExecutionWaiting(execution_id="e", turn=2), logging.INFO, "waits for its user"),
    (events.ExecutionFinished(execution_id="e", status="completed"), logging.INFO, "e: completed."),
    (
        events.ExecutionFinished(execution_id="e", status="failed", error="It broke."),
        logging.WARNING,
        "failed. It broke.",
    ),
    (events.ToolStarted(execution_id="e", call_id="c", tool_name="shell"), logging.INFO, "runs shell"),
    (
        events.ToolFinished(execution_id="e", call_id="c", tool_name="shell", succeeded=False, duration_seconds=1.25),
        logging.INFO,
        "shell failed after 1.2 s",
    ),
    (events.PollingStalled(queue_id="q", sentence="No sign."), logging.WARNING, "No sign."),
    (events.SnapshotReplaced(snapshot=EngineSnapshot()), None, ""),
]


@pytest.mark.parametrize(("event", "level", "words"), TOLD, ids=lambda value: type(value).__name__)
def test_each_event_is_one_sentence_or_none(
    event: events.Event, level: int | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    bus = events.EventBus()
    stop = narrate(bus)
    with caplog.at_level(logging.INFO):
        bus.publish(event)
        stop()
        bus.publish(event)
    told = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert len(told) == (0 if level is None else 1)
    if told:
        assert told[0][0] == level
        assert words in told[0][1]
        assert told[0][1].endswith(".")
