"""The queues as rows: their order, what a search leaves, and that nothing loses its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPersistentModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester

from desktop.models.queue_history import QueueHistory
from desktop.models.queue_list import OpenRole, QueueListModel, QueueRole, QueueRow
from desktop.settings.preferences import QueueOrder
from worker_core.snapshot import EngineSnapshot, ExecutionView, QueueStatistics, QueueView, Trouble

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
Accessible = Qt.ItemDataRole.AccessibleTextRole


def a_queue(name: str, *, waiting: int | None = None, age: float = 2.0, polling: bool = True) -> QueueView:
    known = None if waiting is None else QueueStatistics(
        backlog=waiting, backlog_age_seconds=age, added_per_second=0.0, dispatched_per_second=0.0, pollers=1
    )  # fmt: skip
    return QueueView(
        queue_id=f"id-{name}", queue_name=name, environment_name="Production", polling=polling, statistics=known,
        reason="" if polling else "The key is refused.",
    )  # fmt: skip


class Rows:
    """A model and its history."""

    def __init__(self) -> None:
        self.model, self.history = QueueListModel(), QueueHistory()
        self.watched = QAbstractItemModelTester(self.model, QAbstractItemModelTester.FailureReportingMode.Warning)
        self.changed: list[tuple[int, int]] = []
        self.model.dataChanged.connect(lambda first, last: self.changed.append((first.row(), last.row())))

    def take(self, *queues: QueueView, running: tuple[str, ...] = (), limit: int = 8) -> None:
        snapshot = EngineSnapshot(
            queues=queues,
            executions_limit=limit,
            executions=tuple(
                ExecutionView(
                    execution_id=f"e{place}", queue_id=f"id-{name}", turn=1, status="running", step="", started_at=AT
                )
                for place, name in enumerate(running)
            ),
        )
        self.history.take(snapshot.queues)
        self.model.take(snapshot, self.history)

    @property
    def rows(self) -> list[QueueRow]:
        return [self.model.index(place).data(QueueRole) for place in range(self.model.rowCount())]

    @property
    def names(self) -> list[str]:
        return [row.name for row in self.rows]


@pytest.fixture
def rows() -> Rows:
    return Rows()


def test_what_waits_most_comes_first_and_what_is_not_known_last(rows: Rows) -> None:
    rows.take(
        a_queue("none"), a_queue("empty", waiting=0), a_queue("young", waiting=3, age=1.0),
        a_queue("Zulu", waiting=9), a_queue("old", waiting=3, age=60.0),
    )  # fmt: skip
    assert rows.names == ["Zulu", "old", "young", "empty", "none"]
    rows.model.sort_by("name")
    assert rows.names == ["empty", "none", "old", "young", "Zulu"]


def test_by_state_what_is_not_well_comes_first(rows: Rows) -> None:
    silent = Trouble(what="temporal_silent", sentence="Temporal does not answer.", since=AT)
    rows.take(a_queue("well", waiting=9), a_queue("refused", polling=False), replace(a_queue("silent"), trouble=silent))
    rows.model.sort_by("state")
    assert [(row.name, row.state, row.tone) for row in rows.rows] == [
        ("silent", "No answer", "warning"), ("refused", "Not polling", "warning"), ("well", "Polling", "success"),
    ]  # fmt: skip
    assert [row.remark for row in rows.rows] == ["Temporal does not answer.", "The key is refused.", ""]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ["builds", "alerts"]), ("BUILD", ["builds"]), ("id-al", ["alerts"]), ("production", ["builds", "alerts"]),
        ("refused", ["alerts"]), ("not poll", ["alerts"]), ("prod alerts", ["alerts"]), ("nothing", []),
    ],
)  # fmt: skip
def test_a_search_reads_all_that_a_row_says(rows: Rows, words: str, found: list[str]) -> None:
    rows.take(a_queue("builds", waiting=4), a_queue("alerts", polling=False))
    rows.model.search(words)
    assert (rows.names, rows.model.total) == (found, 2)
    rows.model.search("")
    assert rows.names == ["builds", "alerts"]


def test_a_screen_reader_hears_the_whole_row(rows: Rows) -> None:
    rows.take(a_queue("builds", waiting=3, age=4.0), a_queue("alerts", polling=False), running=("builds", "builds"))
    said = [rows.model.index(place).data(Accessible) for place in (0, 1)]
    assert said[0] == "builds, Polling, Environment: Production, 3 waiting, oldest 4.0 s, 2 running here"
    assert said[1] == "alerts, Not polling, Environment: Production, 0 running here, The key is refused."
    rows.model.open("id-builds")
    assert rows.model.index(0).data(Accessible) == f"{said[0]}, open"


def test_only_what_changed_is_drawn_anew(rows: Rows) -> None:
    first, second, third = (a_queue(name, waiting=waiting) for name, waiting in (("a", 9), ("b", 5), ("c", 1)))
    rows.take(first, second, third)
    rows.changed.clear()
    rows.take(first, replace(second), third)  # an attached worker's snapshots are read anew each time
    assert rows.changed == []
    rows.take(first, a_queue("b", waiting=6), third)
    assert rows.changed == [(1, 1)]
    rows.take(first, a_queue("b", waiting=6), third, running=("c",))
    assert rows.changed == [(1, 1), (2, 2)]
    assert [row.trend for row in rows.rows] == [(9.0,), (5.0, 6.0), (1.0,)]


def test_one_row_is_open_at_a_time_and_none_of_a_queue_that_is_gone(rows: Rows) -> None:
    rows.take(a_queue("a", waiting=2), a_queue("b", waiting=1))
    rows.model.open("id-a")
    rows.model.open("id-b")
    assert [rows.model.index(place).data(OpenRole) for place in (0, 1)] == [False, True]
    rows.model.search("a")
    assert rows.model.opened == "id-b", "what is only left out is open when it is back"
    rows.take(a_queue("a", waiting=2))
    assert rows.model.opened == ""


def test_an_answer_that_is_told_twice_is_one_point(rows: Rows) -> None:
    """A worker service sends its statistics with each of its snapshots, read anew each time."""
    known = a_queue("a", waiting=4).statistics
    assert known is not None
    queue = QueueView(queue_id="id-a")
    for asked_at in (AT, AT, AT + timedelta(seconds=20)):
        rows.take(replace(queue, statistics=replace(known, asked_at=asked_at)))
    assert list(rows.history.of("id-a").backlog) == [4.0, 4.0]


_ORDERS = st.sampled_from(["waiting", "name", "state"])
_WORDS = st.sampled_from(["", "a", "b", "production", "not polling", "zz"])
_QUEUES = st.lists(
    st.builds(
        a_queue, st.sampled_from(["a", "b", "ab", "c", "cab", "d"]), waiting=st.none() | st.integers(0, 3),
        polling=st.booleans(),
    ),
    unique_by=lambda one: one.queue_id,
)  # fmt: skip


@pytest.mark.usefixtures("qtbot")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(steps=st.lists(st.tuples(_QUEUES, _ORDERS, _WORDS), max_size=6))
def test_whatever_comes_rows_are_in_order_and_places_are_kept(
    steps: list[tuple[list[QueueView], QueueOrder, str]],
) -> None:
    rows = Rows()
    kept: dict[str, QPersistentModelIndex] = {}
    for queues, order, words in steps:
        before = set(rows.names)
        rows.model.sort_by(order)
        rows.model.search(words)
        between = before & set(rows.names)
        rows.take(*queues)
        fresh = QueueListModel(order=order)
        fresh.search(words)
        fresh.take(EngineSnapshot(queues=tuple(queues)), QueueHistory())
        assert rows.names == [fresh.index(place).data(QueueRole).name for place in range(fresh.rowCount())]
        assert [row.queue for row in rows.rows] == [
            fresh.index(place).data(QueueRole).queue for place in range(fresh.rowCount())
        ]
        for name in between & kept.keys() & set(rows.names):
            assert kept[name].data() == name
        kept = {name: QPersistentModelIndex(rows.model.index(place)) for place, name in enumerate(rows.names)}
