"""The queues page: a row each, what opens below it, and who else serves a queue, asked only while somebody looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import call

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QRect, Qt, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter
from PySide6.QtWidgets import QLineEdit, QStyle, QStyleOptionViewItem, QWidget
from pytestqt.qtbot import QtBot

from desktop.look.theme import theme
from desktop.look.wording import when_text
from desktop.widgets.charts import AreaChart
from desktop.widgets.choice import Choice
from desktop.widgets.fleet import SHOWN, FleetList
from desktop.widgets.pills import Dot, Pill
from desktop.widgets.queue_rows import QueueList, row_height
from desktop.windows.main import MainWindow
from desktop.windows.queue_panel import QueuePanel
from desktop.windows.queues import FLEET_EVERY_MS, QueuesPage
from tests.desktop.windows.stand_ins import AT, HOSTILE, a_worker, busy, shown_window
from tests.support.finding import click, named, reads, settle, ticks
from worker_core.control_plane.models import QueueWorker
from worker_core.errors import KubiyaError
from worker_core.snapshot import EngineSnapshot, Trouble

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


def the_list(page: QueuesPage) -> QueueList:
    return named(page, "Queues", QueueList)


def rows(page: QueuesPage) -> list[str]:
    """The names, from the top to the bottom."""
    model = the_list(page).model()
    return [model.index(place, 0).data() for place in range(model.rowCount())]


def panel(page: QueuesPage) -> QueuePanel:
    [found] = page.findChildren(QueuePanel)
    return found


def many(count: int) -> EngineSnapshot:
    """So many queues, the first of which has the most to do."""
    [one] = [queue for queue in busy().queues if queue.statistics is not None]
    assert one.statistics is not None
    return replace(
        busy(),
        queues=tuple(
            replace(
                one, queue_id=f"q{place:03d}", queue_name=f"queue {place:03d}",
                statistics=replace(one.statistics, backlog=count - place),
            )
            for place in range(count)
        ),
    )  # fmt: skip


def with_backlog(snapshot: EngineSnapshot, queue_id: str, backlog: int) -> EngineSnapshot:
    return replace(
        snapshot,
        queues=tuple(
            replace(one, statistics=replace(one.statistics, backlog=backlog))
            if one.queue_id == queue_id and one.statistics is not None
            else one
            for one in snapshot.queues
        ),
    )


def test_places_are_the_queue_s_own_where_it_has_a_limit(window: MainWindow, page: QueuesPage) -> None:
    window.show_page("queues", "q")
    first = busy().queues[0]
    for own, shown in ((0, "of 8 places"), (2, "of 2 places"), (20, "of 8 places")):
        window.take(replace(busy(), executions_limit=8, queues=(replace(first, executions_limit=own),)))
        settle()
        assert reads(page, shown)


def test_an_open_row_has_all_that_is_known_of_its_queue(qtbot: QtBot, window: MainWindow, page: QueuesPage) -> None:
    queue = replace(
        busy().queues[0], queue_name="builds", environment_name="Production", temporal_namespace="acme",
        worker_id="w-7", trouble=Trouble(what="temporal_silent", sentence="Temporal does not answer.", since=AT),
    )  # fmt: skip
    window.take(replace(busy(), queues=(queue,)))
    window.show_page("queues", "q")
    shown = panel(page)
    assert shown.accessibleName() == "builds"
    for text in (
        "Waiting", "3", "Oldest waits", "4.0 s", "Pollers", "2", "all workers", "Running here", "1", "of 4 places",
        "Environment", "Production", "Namespace", "acme", "Queue id", "q", "Worker id", "w-7", "Last heartbeat",
        when_text(AT), "Temporal does not answer.", "Rates", "Backlog", "2 workers",
    ):  # fmt: skip
        assert reads(shown, text), text
    assert [pill.text for pill in shown.findChildren(Pill)] == ["added 1.0/s", "dispatched 12.0/min"]
    charts = {one.accessibleName(): one.accessibleDescription() for one in shown.findChildren(AreaChart)}
    assert charts == {
        "Added and dispatched per second": "added: 1.0/s, dispatched: 12.0/min", "Waiting tasks": "waiting: 3",
    }  # fmt: skip
    for name, copied in (
        ("Copy the queue's id", "q"), ("Copy the namespace", "acme"), ("Copy the worker's id", "w-7")
    ):  # fmt: skip
        click(shown, name)
        assert QGuiApplication.clipboard().text() == copied


def test_a_click_opens_a_row_and_another_one_closes_it(qtbot: QtBot, window: MainWindow, page: QueuesPage) -> None:
    window.show_page("queues")
    shown, left = the_list(page), Qt.MouseButton.LeftButton
    assert not panel(page).isVisible()
    for open_ in (True, False, True):
        head = shown.visualRect(shown.model().index(0, 0)).topLeft() + QPoint(60, 20)
        qtbot.mouseClick(shown.viewport(), left, pos=head)
        assert panel(page).isVisible() is open_
    qtbot.mouseClick(panel(page), left, pos=QPoint(3, 3))
    assert panel(page).isVisible(), "a click into it is none on its row"
    area, below = panel(page).geometry(), shown.visualRect(shown.model().index(1, 0))
    assert area.height() >= panel(page).minimumSizeHint().height()
    assert area.bottom() < below.top(), "it lies over no other row"


def test_keys_lead_from_the_search_into_the_rows_and_open_them(
    qtbot: QtBot, window: MainWindow, page: QueuesPage
) -> None:
    window.take(many(5))
    window.show_page("queues")
    window.activateWindow()
    page.search()
    field, shown = named(page, "Search queues", QLineEdit), the_list(page)
    qtbot.keyClicks(field, "queue 00")
    qtbot.keyClick(field, Qt.Key.Key_Down)
    assert window.focusWidget() is shown
    assert shown.currentIndex().data() == "queue 000"
    opened = []
    for key in (
        Qt.Key.Key_Return, Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Return, Qt.Key.Key_Right,
        Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Enter, Qt.Key.Key_Escape,
    ):  # fmt: skip
        qtbot.keyClick(shown, key)
        opened.append(panel(page).accessibleName() if panel(page).isVisible() else "")
    second = "queue 001"
    assert opened == ["queue 000", "queue 000", second, "", second, second, "", second, ""]
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert field.text() == ""


def test_a_search_that_finds_nothing_says_so(qtbot: QtBot, window: MainWindow, page: QueuesPage) -> None:
    window.take(many(12))
    window.show_page("queues")
    assert reads(page, "12 queues served by this worker")
    field = named(page, "Search queues", QLineEdit)
    field.setText("Q01")
    assert rows(page) == ["queue 010", "queue 011"]
    assert reads(page, "2 of 12 queues")
    field.setText("elsewhere")
    assert reads(page, "Nothing matches")
    window.show_page("queues", "q007")
    assert (field.text(), panel(page).accessibleName()) == ("", "queue 007")
    assert shown_of(page, "queue 007"), "it is led to"


def shown_of(page: QueuesPage, name: str) -> bool:
    """Whether the head of this row is on the screen."""
    found = the_list(page)
    area = found.visualRect(found.model().index(rows(page).index(name), 0))
    return found.viewport().rect().contains(area.topLeft() + QPoint(20, row_height() - 2))


def test_the_order_that_was_chosen_is_there_again(qtbot: QtBot, tmp_path: Path) -> None:
    for expected in ("waiting", "name"):
        made = shown_window(qtbot, tmp_path, snapshot=many(3), page="queues")
        made.take(with_backlog(many(3), "q002", 50))
        page = made.page_named("queues")
        assert isinstance(page, QueuesPage)
        order = named(page, "Order of the queues", Choice)
        assert order.chosen == expected
        assert rows(page)[0] == ("queue 002" if expected == "waiting" else "queue 000")
        order.choose("name")
        assert rows(page) == ["queue 000", "queue 001", "queue 002"]


def test_what_is_open_stays_where_it_is_when_others_overtake_it(window: MainWindow, page: QueuesPage) -> None:
    window.take(many(40))
    window.show_page("queues", "q020")
    settle()
    shown, where = the_list(page), panel(page).pos()
    bar = shown.verticalScrollBar().value()
    window.take(with_backlog(many(40), "q030", 99))
    settle()
    assert rows(page)[0] == "queue 030"
    assert panel(page).pos() == where
    assert shown.verticalScrollBar().value() == bar + row_height(), "one more row is above it"
    assert shown.currentIndex().data() == "queue 020"
    window.take(with_backlog(many(40), "q005", 2))
    settle()
    assert (panel(page).pos(), panel(page).accessibleName()) == (where, "queue 020")


def test_300_queues_are_one_panel_and_only_rows_that_are_seen_are_drawn(
    window: MainWindow, page: QueuesPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.show_page("queues")
    settle()
    window.take(many(1))
    settle()
    parts = len(page.findChildren(QWidget))
    window.take(many(300))
    settle()
    assert len(page.findChildren(QWidget)) == parts
    drawn: list[object] = []
    monkeypatch.setattr("desktop.widgets.queue_rows.paint_pill", lambda *given: drawn.append(given[2]))
    the_list(page).viewport().grab()
    assert 3 < len(drawn) <= the_list(page).viewport().height() // row_height() + 2


def test_the_row_at_the_keyboard_has_a_ring(qtbot: QtBot, window: MainWindow, page: QueuesPage) -> None:
    window.show_page("queues")
    shown = the_list(page)
    option, ink = QStyleOptionViewItem(), QColor(theme().palette.accent_ink)
    option.rect = QRect(0, 0, 600, row_height())
    edges = []
    for state in (QStyle.StateFlag.State_Selected, QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_HasFocus):
        option.state = state
        picture = QImage(600, row_height(), QImage.Format.Format_RGB32)
        picture.fill(QColor(theme().palette.surface))
        painter = QPainter(picture)
        shown.itemDelegate().paint(painter, option, shown.model().index(0, 0))
        painter.end()
        edges.append(picture.pixelColor(300, 1) == ink)
    assert edges == [False, True]


def lines(shown: FleetList) -> list[QWidget]:
    settle()
    parts = shown.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
    return [part for part in parts if part.layout() is not None]


def names(shown: FleetList) -> list[str]:
    return [line.accessibleName() for line in lines(shown)]


def test_workers_are_asked_for_while_a_row_is_open_and_seen(window: MainWindow, page: QueuesPage, fleet: Any) -> None:
    window.show_page("queues")
    fleet.queue_workers.assert_not_called()
    assert not ticks(page)
    window.show_page("queues", "q")
    fleet.queue_workers.assert_called_once_with(("q",))
    assert [one.interval() for one in page.findChildren(QTimer) if one.isActive()] == [FLEET_EVERY_MS]
    assert names(panel(page).fleet)[0].startswith("host-001. Debian 12  ·  processor 7 %")
    window.show_page("overview")
    assert not ticks(page)


def test_another_queue_s_workers_are_never_shown(window: MainWindow, page: QueuesPage, fleet: Any) -> None:
    window.show_page("queues", "q")
    fleet.queue_workers.side_effect = KubiyaError("The control plane does not answer.")
    window.show_page("queues", "p")
    assert fleet.queue_workers.call_args == call(("p",))
    assert not panel(page).fleet.isVisible()
    window.take(replace(busy(), reason="another"))
    assert fleet.queue_workers.call_count == 2


def test_a_control_plane_that_does_not_answer_is_no_banner(window: MainWindow, page: QueuesPage, fleet: Any) -> None:
    answer = fleet.queue_workers.side_effect
    fleet.queue_workers.side_effect = KubiyaError("The control plane does not answer.")
    window.show_page("queues", "q")
    assert not window.banner.isVisible()
    fleet.queue_workers.side_effect = answer
    window.show_page("overview")
    window.show_page("queues")
    assert len(names(panel(page).fleet)) == 2, "it is asked again"


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
