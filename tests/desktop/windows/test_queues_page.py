"""The queues page: who else serves a queue, asked only while somebody looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import call

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QWidget

from desktop.widgets.fleet import SHOWN, FleetList
from desktop.widgets.pills import Dot
from desktop.windows.main import MainWindow
from desktop.windows.queues import FLEET_EVERY_MS, QueuesPage
from tests.desktop.windows.stand_ins import HOSTILE, a_worker, busy, shown_window
from tests.support.finding import reads, settle, ticks
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


@pytest.fixture
def fleet() -> Any:
    """A worker whose control plane knows two workers on every queue."""
    made = a_worker(busy())
    made.queue_workers.side_effect = lambda queue_ids: {one: [worker(1), worker(2)] for one in queue_ids}
    return made


@pytest.fixture
def window(qtbot, tmp_path: Path, fleet: Any) -> MainWindow:
    return shown_window(qtbot, tmp_path, worker=fleet)


@pytest.fixture
def page(window: MainWindow) -> QueuesPage:
    found = window.page_named("queues")
    assert isinstance(found, QueuesPage)
    return found


def test_places_are_the_queue_s_own_where_it_has_a_limit(window: MainWindow, page: QueuesPage) -> None:
    window.show_page("queues")
    first = busy().queues[0]
    for own, shown in ((0, "of 8 places"), (2, "of 2 places"), (20, "of 8 places")):
        window.take(replace(busy(), executions_limit=8, queues=(replace(first, executions_limit=own),)))
        settle()
        assert reads(page, shown)


def lines(shown: FleetList) -> list[QWidget]:
    settle()
    parts = shown.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
    return [part for part in parts if part.layout() is not None]


def names(shown: FleetList) -> list[str]:
    return [line.accessibleName() for line in lines(shown)]


def test_workers_are_asked_for_while_somebody_looks(window: MainWindow, page: QueuesPage, fleet: Any) -> None:
    fleet.queue_workers.assert_not_called()
    assert not ticks(page)
    window.show_page("queues")
    fleet.queue_workers.assert_called_once_with(("q", "p"))
    assert [one.interval() for one in page.findChildren(QTimer) if one.isActive()] == [FLEET_EVERY_MS]
    assert names(page.findChildren(FleetList)[0])[0].startswith("host-001. Debian 12  ·  processor 7 %")
    window.show_page("overview")
    assert not ticks(page)


def test_a_queue_that_comes_later_is_asked_about(window: MainWindow, fleet: Any) -> None:
    window.show_page("queues")
    another = replace(busy().queues[0], queue_id="new")
    window.take(replace(busy(), queues=(*busy().queues, another)))
    assert fleet.queue_workers.call_args == call(("q", "p", "new"))
    window.take(replace(busy(), queues=(*busy().queues, another)))
    assert fleet.queue_workers.call_count == 2


def test_a_control_plane_that_does_not_answer_is_no_banner(window: MainWindow, page: QueuesPage, fleet: Any) -> None:
    answer = fleet.queue_workers.side_effect
    fleet.queue_workers.side_effect = KubiyaError("The control plane does not answer.")
    window.show_page("queues")
    assert not window.banner.isVisible()
    fleet.queue_workers.side_effect = answer
    window.show_page("overview")
    window.show_page("queues")
    assert len(names(page.findChildren(FleetList)[0])) == 2, "it is asked again"


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
    assert [dot.tone for dot in shown.findChildren(Dot)] == ["success", "warning", "warning"]


def test_many_workers_are_counted(qtbot) -> None:
    shown = FleetList()
    qtbot.addWidget(shown)
    shown.show_workers([worker(number) for number in range(SHOWN + 30)], ours="", now=NOW)
    assert len(lines(shown)) == SHOWN
    assert reads(shown, f"{SHOWN + 30} workers")
    assert reads(shown, "and 30 more")
    before = lines(shown)
    shown.show_workers([worker(number) for number in range(SHOWN + 30)], ours="", now=NOW)
    assert lines(shown) == before, "nothing is redrawn"
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
    assert len(lines(shown)) == 1
    shown.deleteLater()
