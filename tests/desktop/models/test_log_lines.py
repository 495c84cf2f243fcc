from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from desktop.models.log_lines import INTAKE, SLICE, LogModel, compile_search
from worker_core.logs.ring import LogLine

AT = datetime(2026, 1, 1, tzinfo=UTC)


def line(number: int, level: str = "INFO", message: str = "") -> LogLine:
    return LogLine(at=AT, level=level, logger="l", message=message or f"line {number}")


def fill(model: LogModel, count: int) -> None:
    for first in range(0, count, INTAKE):
        model.append(line(number) for number in range(first, min(count, first + INTAKE)))


class Signals:
    """Counts what a view would have to do."""

    def __init__(self, model: LogModel) -> None:
        self.inserts = self.removals = self.resets = 0
        model.rowsInserted.connect(lambda *_: self._count("inserts"))
        model.rowsRemoved.connect(lambda *_: self._count("removals"))
        model.modelReset.connect(lambda: self._count("resets"))

    def _count(self, name: str) -> None:
        setattr(self, name, getattr(self, name) + 1)


def test_100_000_lines_in_batches_are_one_insert_each(qapp) -> None:
    model = LogModel()
    signals = Signals(model)
    fill(model, 100_000)
    batches = 100_000 // INTAKE
    assert (signals.inserts, signals.removals, signals.resets) == (batches, 0, 0)
    assert model.rowCount() == 100_000
    model.append(line(number) for number in range(500))
    assert (signals.inserts, signals.removals) == (batches + 1, 1)
    assert model.rowCount() == 100_000
    assert model.lines([0])[0].message == "line 500"


def test_a_flood_is_taken_a_slice_a_turn_in_order(qapp, qtbot) -> None:
    model = LogModel()
    signals = Signals(model)
    model.append(line(number) for number in range(250_000))  # more than it keeps: the oldest are not even looked at
    assert model.rowCount() == INTAKE
    model.append([line(250_000)])
    qtbot.waitUntil(lambda: model.rowCount() == 100_000 and model.lines([99_999])[0].message == "line 250000")
    assert signals.inserts == 100_000 // INTAKE + 1
    assert [model.lines([row])[0].message for row in (0, 50_000)] == ["line 150001", "line 200001"]
    model.append(line(number) for number in range(10_000))
    model.clear()
    qtbot.wait(1)
    assert model.rowCount() == model.total == 0


def test_the_filter_looks_at_a_slice_at_a_time_the_newest_first(qapp, qtbot) -> None:
    model = LogModel()
    fill(model, 3 * SLICE)
    signals = Signals(model)
    model.set_filter(pattern=re.compile("line"))
    assert model.rowCount() == SLICE, "the first slice is there at once"
    assert model.lines([0])[0].message == f"line {2 * SLICE}"
    with qtbot.waitSignal(model.filtered):
        pass
    assert model.rowCount() == 3 * SLICE
    assert (signals.inserts, signals.resets) == (3, 1)
    assert [one.message for one in model.lines([0, -1 + 3 * SLICE])] == ["line 0", f"line {3 * SLICE - 1}"]


def test_lines_that_come_while_a_filter_works_keep_their_order(qapp, qtbot) -> None:
    model = LogModel(capacity=3 * SLICE)
    fill(model, 3 * SLICE)
    model.set_filter(level="INFO", pattern=re.compile("line"))
    model.append(line(3 * SLICE + number) for number in range(100))
    with qtbot.waitSignal(model.filtered):
        pass
    numbers = [int(one.message.split()[1]) for one in model.lines()]
    assert numbers == list(range(100, 3 * SLICE + 100))


def test_levels_executions_and_patterns(qapp) -> None:
    model = LogModel()
    model.append([line(1, "DEBUG"), line(2, "ERROR", "Execution abc: failed"), line(3, "ODD", "abc too")])
    model.set_filter(level="WARNING")
    assert model.rowCount() == 2, "a level nobody knows is shown"
    model.set_filter(execution="abc")
    assert model.rowCount() == 2
    model.set_filter(pattern=compile_search("FAIL"))
    assert model.rowCount() == 1
    model.clear()
    assert (model.rowCount(), model.total) == (0, 0)


@pytest.mark.parametrize(("typed", "hits"), [("", None), ("a.c", True), ("(", False), ("[x", False)])
def test_what_is_no_regular_expression_is_text(typed: str, hits: bool | None) -> None:
    pattern = compile_search(typed)
    assert (pattern is None) is (hits is None)
    if pattern is not None:
        assert bool(pattern.search("abc")) is hits
        assert bool(pattern.search(typed)) is True


def test_a_line_of_ten_megabytes_is_searched_at_its_beginning_only(qapp) -> None:
    model = LogModel()
    model.append([line(1, message="x" * 10_000_000 + "needle")])
    model.set_filter(pattern=re.compile("needle"))
    assert model.rowCount() == 0


def test_the_model_is_a_good_model(qtmodeltester) -> None:
    model = LogModel()
    model.append(line(number) for number in range(10))
    qtmodeltester.check(model)
