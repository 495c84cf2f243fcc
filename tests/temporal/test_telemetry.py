"""The SDK's own numbers, condensed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.snapshot import SdkView
from worker_core.temporal.telemetry import Telemetry

NAMES = (
    "temporal_long_request", "temporal_request", "temporal_request_failure", "temporal_long_request_failure",
    "temporal_num_pollers", "temporal_worker_task_slots_used", "temporal_worker_task_slots_available",
    "temporal_workflow_task_queue_poll_empty", "temporal_activity_poll_no_task",
    "temporal_sticky_cache_size", "temporal_activity_schedule_to_start_latency", "temporal_something_new",
)  # fmt: skip


def test_counters_add_up_and_gauges_are_the_newest_of_each_queue() -> None:
    telemetry = Telemetry()
    assert telemetry.view() == SdkView()
    for queue, kind, used in (("q", "WorkflowWorker", 1), ("q", "ActivityWorker", 3), ("p", "ActivityWorker", 2)):
        telemetry.take("temporal_worker_task_slots_used", 9, {"task_queue": queue, "worker_type": kind})
        telemetry.take("temporal_worker_task_slots_used", used, {"task_queue": queue, "worker_type": kind})
        telemetry.take("temporal_worker_task_slots_available", 10 - used, {"task_queue": queue, "worker_type": kind})
    for poller in ("workflow_task", "sticky_workflow_task"):
        telemetry.take("temporal_num_pollers", 2, {"task_queue": "q", "poller_type": poller})
    telemetry.take("temporal_long_request", 9, {"operation": "PollWorkflowTaskQueue"})
    telemetry.take("temporal_workflow_task_queue_poll_succeed", 1, {"task_queue": "q"})
    telemetry.take("temporal_workflow_task_queue_poll_empty", 1, {"task_queue": "q"})
    telemetry.take("temporal_activity_poll_no_task", 1, {"task_queue": "q"})
    telemetry.take("temporal_request", 4, {})
    telemetry.take("temporal_request_failure", 1, {})
    telemetry.take("temporal_long_request_failure", 1, {})
    telemetry.take("temporal_sticky_cache_size", 7, {"task_queue": "q"})
    for wait in (0.01, 0.02):
        telemetry.take("temporal_activity_schedule_to_start_latency", wait, {})
    assert telemetry.view() == SdkView(
        polls=3,
        polls_empty=2,
        pollers=4,
        slots_used=6,
        slots_available=24,
        workflow_slots_used=1,
        activity_slots_used=5,
        cached_workflows=7,
        requests=4,
        failures=2,
        wait_ms=15.0,
    )
    assert (telemetry.polls_answered("q"), telemetry.polls_answered("p")) == (3, 0)
    assert telemetry.is_polling("q")
    assert not telemetry.is_polling("p")


def test_only_the_newest_waits_count() -> None:
    telemetry = Telemetry()
    for wait in [1.0] * 100 + [0.01] * 50:
        telemetry.take("temporal_activity_schedule_to_start_latency", wait, {})
    assert telemetry.view().wait_ms == pytest.approx(10)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.integers(0, 10_000),
            st.dictionaries(st.sampled_from(["task_queue", "worker_type", "operation", "other"]), st.text(max_size=5)),
        ),
        max_size=50,
    )
)
def test_whatever_the_sdk_counts_there_is_a_view(updates: list[tuple[str, int, dict[str, str]]]) -> None:
    telemetry = Telemetry()
    for name, value, attributes in updates:
        telemetry.take(name, value, attributes)
    view = telemetry.view()
    assert view.requests == sum(value for name, value, _ in updates if name == "temporal_request")
