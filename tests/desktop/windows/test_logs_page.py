"""Ids in the log: short in a line, whole below it, and a way to the lines that have them, by mouse and by keys."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit

from desktop.models.log_lines import LineRole
from desktop.widgets.choice import Choice
from desktop.widgets.code import CodeText
from desktop.widgets.log_table import LogTable, laid_out, text_area
from tests.desktop.windows.stand_ins import Scene
from tests.support.finding import button, named
from worker_core.logs.ring import LogLine

ONE, TWO = "590b4b10-fd51-4d7e-8a51-0123456789ab", "17aa4b10-fd51-4d7e-8a51-0123456789ab"
SAID = (f"{ONE}: begins.", "Nothing else.", f"{TWO} follows {ONE}.", f"{TWO}: ends.", f"Broken.\nBy {TWO}.")


@pytest.fixture
def table(empty: Scene) -> LogTable:
    empty.show_page("logs")
    at = datetime(2026, 11, 29, 10, tzinfo=UTC)
    empty.window.add_lines([LogLine(at=at, level="INFO", logger="x", message=message) for message in SAID])
    return named(empty.window.logs, "Log lines", LogTable)


def shown(table: LogTable) -> list[str]:
    model = table.model()
    return [model.index(row, 0).data(LineRole).message for row in range(model.rowCount())]


def current(table: LogTable) -> str:
    return str(table.currentIndex().data(LineRole).message)


def place_of(table: LogTable, row: int, piece: int) -> QPoint:
    index = table.model().index(row, 0)
    table.scrollTo(index)
    pieces = list(laid_out(index.data(LineRole), text_area(table.visualRect(index))))
    return pieces[piece][0].center()


def with_(id_: str) -> list[str]:
    return [message for message in SAID if id_ in message]


def test_a_click_on_an_id_shows_its_lines_and_another_one_all(table: LogTable, empty: Scene) -> None:
    left = Qt.MouseButton.LeftButton
    QTest.mouseClick(table.viewport(), left, pos=place_of(table, 2, 2))
    assert shown(table) == with_(ONE)
    assert current(table) == SAID[2], "the line that led here stays"
    assert named(empty.window.logs, "Execution", Choice).currentText() == "590b4b10"
    assert named(empty.window.logs, "Search the log", QLineEdit).text() == ""
    QTest.mouseClick(table.viewport(), left, pos=place_of(table, 0, 0))
    assert shown(table) == list(SAID)
    assert current(table) == SAID[0]
    QTest.mouseClick(table.viewport(), left, pos=place_of(table, 2, 1))
    assert shown(table) == list(SAID), "beside an id, a click chooses the line"
    assert current(table) == SAID[2]


def test_a_click_that_ends_elsewhere_is_none(table: LogTable) -> None:
    QTest.mousePress(table.viewport(), Qt.MouseButton.LeftButton, pos=place_of(table, 0, 0))
    QTest.mouseMove(table.viewport(), place_of(table, 1, 0))
    QTest.mouseRelease(table.viewport(), Qt.MouseButton.LeftButton, pos=place_of(table, 1, 0))
    assert shown(table) == list(SAID)
    assert not table.selectionModel().hasSelection()


def test_the_hand_says_that_an_id_is_a_link(table: LogTable) -> None:
    QTest.mouseMove(table.viewport(), place_of(table, 2, 0))
    assert table.viewport().cursor().shape() is Qt.CursorShape.PointingHandCursor
    QTest.mouseMove(table.viewport(), place_of(table, 2, 1))
    assert table.viewport().cursor().shape() is Qt.CursorShape.ArrowCursor


def test_enter_shows_the_lines_of_the_execution_that_is_known(table: LogTable, empty: Scene) -> None:
    logs = empty.window.logs
    logs.know_executions([(ONE, "Restart it")])
    table.setCurrentIndex(table.model().index(2, 0))
    QTest.keyClick(table, Qt.Key.Key_Return)
    assert shown(table) == with_(ONE)
    assert named(logs, "Execution", Choice).currentText() == "Restart it"
    QTest.keyClick(table, Qt.Key.Key_Return)
    assert shown(table) == list(SAID)
    table.setCurrentIndex(table.model().index(1, 0))
    QTest.keyClick(table, Qt.Key.Key_Return)
    assert shown(table) == list(SAID), "it has no id"


def test_below_a_line_each_of_its_ids_has_a_button(table: LogTable, empty: Scene) -> None:
    logs = empty.window.logs
    table.setCurrentIndex(table.model().index(2, 0))
    whole = named(logs, "The whole line", CodeText).toPlainText()
    assert SAID[2] in whole
    button(logs, "Only lines with 590b4b10").click()
    assert shown(table) == with_(ONE)
    button(logs, "Only lines with 17aa4b10").click()
    assert shown(table) == with_(TWO)
    named(logs, "Search the log", QLineEdit).setText("ends")
    assert shown(table) == [SAID[3]]
    table.setCurrentIndex(table.model().index(0, 0))
    button(logs, "All lines again").click()
    assert shown(table) == [SAID[3]], "what was searched for is searched for still"
    logs.know_executions([("e", "Another")])
    named(logs, "Search the log", QLineEdit).clear()
    assert shown(table) == list(SAID)
    table.setCurrentIndex(table.model().index(4, 0))
    assert button(logs, "Only lines with 17aa4b10").isVisible(), "wherever in its message it is"


def test_lines_of_an_old_execution_stay_while_newer_ones_come(table: LogTable, empty: Scene) -> None:
    logs = empty.window.logs
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place_of(table, 0, 0))
    logs.know_executions([(f"e{number}", f"Task {number}") for number in range(40)])
    assert shown(table) == with_(ONE)
    assert named(logs, "Execution", Choice).chosen == ONE
