"""An execution's spans: what was seen, when, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.models.executions import Execution, ExecutionStore
from desktop.models.timeline import TimelineSpan, busy_times, seconds_in, timeline_of
from desktop.models.timeline_text import span_lines, span_text
from worker_core.events import (
    Event,
    ExecutionEventPublished,
    ExecutionFinished,
    ExecutionStarted,
    ExecutionWaiting,
    ModelCalled,
    ToolFinished,
)
from worker_core.snapshot import EngineSnapshot, ExecutionView

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
ZERO = AT.timestamp()


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def event(kind: str, when: float, **payload: Any) -> Event:
    return ExecutionEventPublished(execution_id="e", type=kind, payload=payload, sequence=1, at=at(when))


def model(begin: float, end: float, *, succeeded: bool = True) -> Event:
    return ModelCalled(
        execution_id="e", succeeded=succeeded, duration_seconds=end - begin, prompt_tokens=1200, completion_tokens=30,
        cached_tokens=800, cost_dollars=0.0125, at=at(end),
    )  # fmt: skip


def tool(begin: float, end: float | None, call: str = "c", status: str = "success") -> Iterator[Event]:
    about = {"tool_name": "shell", "tool_execution_id": call}
    yield event("tool_started", begin, tool_arguments={"command": "ls"}, **about)
    if end is not None:
        yield event("tool_completed", end, status=status, **about)


def lived(*happened: Event) -> Execution:
    store = ExecutionStore()
    store.apply(happened)
    one = store.get("e")
    assert one is not None
    return one


def told(one: Execution) -> list[tuple[str, float, float | None, str]]:
    """Each span: its lane, begin and end after noon, and state."""
    return [
        (span.lane, round(span.begin - ZERO, 3), None if span.end is None else round(span.end - ZERO, 3), span.state)
        for span in timeline_of(one)
    ]


def test_calls_waits_and_remarks_are_where_they_were() -> None:
    one = lived(
        ExecutionStarted(execution_id="e", queue_id="q", turn=1, at=at(0)),
        model(1, 4),
        *tool(4, 6),
        event("approval_requested", 6, approval_id="a", tool_name="shell", parts=[]),
        event("approval_answered", 36, approval_id="a", answer="deny"),
        *tool(36, 36.5, "d", status="failed"),
        ToolFinished(
            execution_id="e", call_id="d", tool_name="shell", succeeded=False, duration_seconds=0.5, failure="denied"
        ),
        event("error", 37, severity="warning", message="The answer was cut."),
        ExecutionWaiting(execution_id="e", turn=1, at=at(38)),
        ExecutionStarted(execution_id="e", queue_id="q", turn=2, at=at(100)),
        *tool(101, None, "r"),
    )
    assert told(one) == [
        ("model", 1, 4, "done"),
        ("tool", 4, 6, "done"),
        ("wait", 6, 36, "denied"),
        ("tool", 36, 36.5, "denied"),
        ("remark", 37, 37, "warning"),
        ("wait", 38, 100, "done"),
        ("tool", 101, None, "running"),
    ]


def test_a_failed_call_and_the_wait_before_the_next_try() -> None:
    one = lived(model(0, 2, succeeded=False), model(5, 6, succeeded=False), model(10, 12))
    assert told(one) == [
        ("model", 0, 2, "failed"),
        ("retry", 2, 5, "done"),
        ("model", 5, 6, "failed"),
        ("retry", 6, 10, "done"),
        ("model", 10, 12, "done"),
    ]
    assert [span.name for span in timeline_of(one) if span.lane == "model"][-1] == "Model call, try 3"


@pytest.mark.parametrize(
    "between",
    [
        [ExecutionWaiting(execution_id="e", turn=1, at=at(3))],
        list(tool(3, 4)),
        [model(-1, 4)],
    ],
    ids=["a new turn", "a tool", "another member's call"],
)
def test_what_was_not_seen_to_be_a_retry_is_none(between: list[Event]) -> None:
    one = lived(model(0, 2, succeeded=False), *between, model(8, 9))
    assert "retry" not in {span.lane for span in timeline_of(one)}


def test_what_has_no_length_is_a_moment_and_what_has_no_time_is_left_out() -> None:
    store = ExecutionStore()
    record = {"role": "tool", "tool_name": "shell", "content": "x"}
    store.load_session("e", {"messages": [{**record, "timestamp": at(5).isoformat()}, {**record, "message_id": "b"}]})
    one = store.get("e")
    assert one is not None
    assert told(one) == [("tool", 5, 5, "done")]
    [span] = timeline_of(one)
    assert span.is_moment
    assert span_lines(span, ZERO + 60)[-1].endswith("Done"), "no length is said"


def test_what_runs_when_the_execution_ends_runs_no_more() -> None:
    asked = event("approval_requested", 3, approval_id="a", tool_name="shell", parts=[])
    one = lived(*tool(1, None), asked, ExecutionFinished(execution_id="e", status="cancelled", at=at(9)))
    assert told(one) == [("tool", 1, 9, "unknown"), ("wait", 3, 9, "expired")]


def view(step: str, status: str = "running") -> EngineSnapshot:
    shown = ExecutionView(execution_id="e", queue_id="q", turn=1, status=status, step=step, started_at=AT)
    return EngineSnapshot(executions=(shown,))


def test_a_model_call_runs_from_when_it_was_seen_to_begin() -> None:
    store = ExecutionStore()
    store.take(view("model"))
    one = store.get("e")
    assert one is not None
    assert timeline_of(one) == (), "it began before anybody looked"
    store.take(view("tool shell"))
    before = datetime.now(UTC)
    store.take(view("model"))
    [running] = timeline_of(one)
    assert (running.lane, running.end) == ("model", None)
    assert before.timestamp() <= running.begin <= datetime.now(UTC).timestamp()
    ended = datetime.now(UTC)
    store.apply([ModelCalled(**{name: getattr(model(0, 1), name) for name in MODEL_FIELDS}, at=ended)])
    [done] = timeline_of(one)
    assert done.end == ended.timestamp()


MODEL_FIELDS = (
    "execution_id", "succeeded", "duration_seconds", "prompt_tokens", "completion_tokens", "cached_tokens",
    "cost_dollars",
)  # fmt: skip


def test_a_wait_that_was_not_seen_to_begin_is_not_shown() -> None:
    store = ExecutionStore()
    store.take(view("", "waiting_for_input"))
    store.take(view("", "waiting_for_input"))
    one = store.get("e")
    assert one is not None
    assert timeline_of(one) == ()
    store.take(view("", "paused"))
    assert [(span.lane, span.end) for span in timeline_of(one)] == [("wait", None)], "this one was"


def test_each_span_leads_to_its_card() -> None:
    one = lived(
        event("message", 0, role="user", content="Do it", message_id="u"),
        event("message_chunk", 2, content="I look.", message_id="m"),
        model(1, 3),
        *tool(3, 4),
        model(4.5, 6),
        *tool(6.1, 7, "d"),
        ExecutionWaiting(execution_id="e", turn=1, at=at(8)),
    )
    assert [span.key for span in timeline_of(one)] == ["m", "c", "d", "d", "d"], "what came of a call that said nothing"


def test_a_span_says_what_it_is() -> None:
    call, shell = timeline_of(lived(model(1, 4), *tool(4, 6.5, status="failed")))
    said = span_text(call, ZERO + 60)
    assert all(
        part in said for part in ("Model call", "3.0 s", "Done", "1.2k (800 cached) tokens in, 30 out", "$0.0125")
    )
    assert span_lines(shell, ZERO + 60)[:2] == ("shell", "ls")
    assert "2.5 s  ·  Failed" in span_text(shell, ZERO + 60)
    [running] = timeline_of(lived(*tool(4, None)))
    assert "56 s so far" in span_text(running, ZERO + 60)


ENDS = st.floats(min_value=0, max_value=1e6, allow_nan=False)
SPANS = st.builds(
    lambda lane, begin, took: TimelineSpan(lane=lane, name="x", begin=begin, end=begin + took),
    st.sampled_from(["model", "tool", "wait"]),
    ENDS,
    st.floats(min_value=0, max_value=1e4),
)


@given(st.lists(SPANS, max_size=30))
def test_busy_times_are_in_order_hold_all_work_and_nothing_else(spans: list[TimelineSpan]) -> None:
    busy = busy_times(spans, 0)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(busy))
    work = [span for span in spans if span.lane != "wait"]
    assert all(any(begin <= one.begin and one.until(0) <= end for begin, end in busy) for one in work)
    assert sum(end - begin for begin, end in busy) == pytest.approx(seconds_in(work, 0), abs=1e-3)


HAPPENED = st.lists(
    st.one_of(
        st.builds(lambda begin, took, ok: [model(begin, begin + took, succeeded=ok)], ENDS, ENDS, st.booleans()),
        st.builds(lambda begin, took, n: list(tool(begin, begin + took, f"c{n}")), ENDS, ENDS, st.integers(0, 9)),
        st.builds(lambda when: [ExecutionWaiting(execution_id="e", turn=1, at=at(when))], ENDS),
        st.builds(lambda when: [ExecutionStarted(execution_id="e", queue_id="q", turn=1, at=at(when))], ENDS),
        st.builds(lambda when: [ExecutionFinished(execution_id="e", status="failed", at=at(when))], ENDS),
        st.builds(lambda when: [event("error", when, message="x")], ENDS),
    ),
    max_size=20,
)


@given(HAPPENED)
def test_whatever_happened_spans_are_ordered_and_never_end_before_they_begin(happened: list[list[Event]]) -> None:
    if not happened:
        return
    spans = timeline_of(lived(*(one for several in happened for one in several)))
    assert [span.begin for span in spans] == sorted(span.begin for span in spans)
    assert all(span.end is None or span.end >= span.begin for span in spans)
