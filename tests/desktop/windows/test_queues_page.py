"""The queues page: who else serves a queue, asked only while somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop.widgets.fleet import SHOWN, FleetList
from desktop.widgets.pills import Dot
from desktop.windows.main import MainWindow
from desktop.windows.queues import FLEET_EVERY_MS, QueuesPage
from tests.desktop.windows.stand_ins import HOSTILE, busy, run_now, shown_window
from worker_core.control_plane.models import QueueWorker
from worker_core.errors import KubiyaError

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def worker(number: int, **more: Any) -> QueueWorker:
    fields = {
        "id": f"w-{number}",
        "last_heartbeat": (NOW - timedelta(seconds=20)).isoformat(),
        "system_info": {"hostname": f"host-{number:03d}", "os_name": "Debian", "os_version": "12", "cpu_percent": 7.4},
        **more,
    }
    return QueueWorker(**fields)


class Fleet:
    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.trouble: KubiyaError | None = None
        self.workers = [worker(1), worker(2)]

    async def list_queues(self) -> list[Any]:
        return []

    async def queue_workers(self, queue_ids: Sequence[str]) -> dict[str, list[QueueWorker]]:
        self.asked.append(tuple(queue_ids))
        if self.trouble is not None:
            raise self.trouble
        return dict.fromkeys(queue_ids, self.workers)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def window(qtbot, tmp_path: Path, fleet: Fleet) -> MainWindow:
    return shown_window(qtbot, tmp_path, snapshot=busy(), fleet=fleet, run=run_now)


@pytest.fixture
def page(window: MainWindow) -> QueuesPage:
    found = window.page_named("queues")
    assert isinstance(found, QueuesPage)
    return found


def names(shown: FleetList) -> list[str]:
    lines = [shown._lines.itemAt(place).widget() for place in range(shown._lines.count())]
    return [line.accessibleName() for line in lines]


def test_workers_are_asked_for_while_somebody_looks(window: MainWindow, page: QueuesPage, fleet: Fleet) -> None:
    assert fleet.asked == []
    assert not page._clock.runs
    window.show_page("queues")
    assert fleet.asked == [("q", "p")]
    assert page._clock.runs
    assert page._clock._timer.interval() == FLEET_EVERY_MS
    assert names(page._cards["q"].fleet)[0].startswith("host-001. Debian 12  ·  processor 7 %")
    window.show_page("overview")
    assert not page._clock.runs


def test_a_queue_that_comes_later_is_asked_about(window: MainWindow, page: QueuesPage, fleet: Fleet) -> None:
    window.show_page("queues")
    another = replace(busy().queues[0], queue_id="new")
    window.take(replace(busy(), queues=(*busy().queues, another)))
    assert fleet.asked[-1] == ("q", "p", "new")
    window.take(replace(busy(), queues=(*busy().queues, another)))
    assert len(fleet.asked) == 2


def test_a_control_plane_that_does_not_answer_is_no_banner(window: MainWindow, page: QueuesPage, fleet: Fleet) -> None:
    fleet.trouble = KubiyaError("The control plane does not answer.")
    window.show_page("queues")
    assert not window.banner.isVisible()
    fleet.trouble = None
    page._ask()
    assert len(names(page._cards["q"].fleet)) == 2, "it is asked again"


def test_ours_comes_first_and_late_ones_are_marked(qtbot) -> None:
    shown = FleetList()
    qtbot.addWidget(shown)
    late = worker(1, last_heartbeat=(NOW - timedelta(seconds=100)).isoformat(), tasks_processed=12)
    silent = worker(2, last_heartbeat="")
    naive = worker(3, last_heartbeat="2026-11-27T11:59:50")
    shown.show_workers([late, silent, naive], ours="w-3", now=NOW)
    assert [name.split(".")[0] for name in names(shown)] == ["host-003", "host-001", "host-002"]
    assert "this worker" in names(shown)[0]
    assert "12 done" in names(shown)[1]
    assert [dot._tone for dot in shown.findChildren(Dot)] == ["success", "warning", "warning"]


def test_many_workers_are_counted(qtbot) -> None:
    shown = FleetList()
    qtbot.addWidget(shown)
    shown.show_workers([worker(number) for number in range(SHOWN + 30)], ours="", now=NOW)
    assert shown._lines.count() == SHOWN + 1
    assert shown._title.text() == f"{SHOWN + 30} workers"
    lines = [shown._lines.itemAt(place).widget() for place in range(shown._lines.count())]
    shown.show_workers([worker(number) for number in range(SHOWN + 30)], ours="", now=NOW)
    assert lines == [shown._lines.itemAt(place).widget() for place in range(shown._lines.count())], "nothing is redrawn"
    shown.show_workers([], ours="", now=NOW)
    assert not shown.isVisible()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    info=st.dictionaries(
        st.sampled_from(["hostname", "os_name", "platform", "cpu_percent", "memory_percent"]),
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=80) | st.lists(st.integers()),
    ),
    heard=st.text(max_size=40) | st.just(HOSTILE[:5000]),
)
def test_whatever_a_worker_says_of_itself_it_has_a_line(qtbot, info: dict[str, Any], heard: str) -> None:
    shown = FleetList()
    shown.show_workers([worker(1, system_info=info, last_heartbeat=heard)], ours="", now=NOW)
    assert shown._lines.count() == 1
    shown.deleteLater()
