"""The timeline as hands, eyes and screen readers meet it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QHelpEvent, QImage, QWheelEvent
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from desktop.look.theme import theme
from desktop.models.timeline import TimelineSpan
from desktop.models.timeline_table import TimelineTable
from desktop.widgets.lists import FactTable
from desktop.widgets.timeline import Timeline
from tests.support.finding import settle

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
SPANS = (
    TimelineSpan(lane="model", name="Model call", begin=NOON, end=NOON + 10, key="m", tokens_in=1200, tokens_out=30),
    TimelineSpan(lane="tool", name="shell", about="ls", begin=NOON + 10, end=NOON + 20, key="c", state="failed"),
    TimelineSpan(lane="wait", name="Question", begin=NOON + 20, end=NOON + 8_000, key="a"),
    TimelineSpan(lane="tool", name="python", begin=NOON + 8_000, end=None, key="d", state="running"),
)


@pytest.fixture
def shown(qtbot: QtBot) -> Timeline:
    made = Timeline()
    qtbot.addWidget(made)
    made.resize(700, 200)
    made.show()
    made.show_spans(SPANS, now=NOON + 8_010)
    settle()
    return made


def place_of(timeline: Timeline, span: TimelineSpan) -> QPoint:
    """Where a person sees it."""
    area = timeline.viewport().rect()
    found = [
        point
        for y in range(2, area.height(), 4)
        for x in range(area.width())
        if (bar := timeline.bar_at(QPointF(point := QPoint(x, y)))) is not None and span in bar.spans
    ]
    return found[len(found) // 2]


def test_a_click_chooses_what_is_there_and_nothing_where_nothing_is(shown: Timeline, qtbot: QtBot) -> None:
    heard: list[tuple[str, bool]] = []
    shown.chosen.connect(lambda span, by_key: heard.append((span.key, by_key)))
    for span in SPANS:
        qtbot.mouseClick(shown.viewport(), Qt.MouseButton.LeftButton, pos=place_of(shown, span))
    qtbot.mouseClick(shown.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(2, 2))
    assert heard == [("m", False), ("c", False), ("a", False), ("d", False)]


def test_the_keyboard_goes_from_span_to_span_and_says_each(shown: Timeline, qtbot: QtBot) -> None:
    heard: list[tuple[str, bool]] = []
    shown.chosen.connect(lambda span, by_key: heard.append((span.key, by_key)))
    said = []
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_End, Qt.Key.Key_Left):
        qtbot.keyClick(shown, key)
        qtbot.keyClick(shown, Qt.Key.Key_Return)
        said.append(shown.accessibleName())
    assert heard == [(key, True) for key in ("m", "c", "m", "c", "d", "a")]
    assert said[0].startswith("Model: Model call")
    assert "1.2k tokens in, 30 out" in said[0]
    assert "so far" in said[4]
    qtbot.keyClick(shown, Qt.Key.Key_Home)
    qtbot.keyClick(shown, Qt.Key.Key_Left)
    assert shown.current is SPANS[0]


def test_the_pointer_is_told_what_it_is_over(shown: Timeline, qtbot: QtBot) -> None:
    told: list[str] = []
    shown.told.connect(told.append)
    qtbot.mouseMove(shown.viewport(), place_of(shown, SPANS[1]))
    assert told[-1].startswith("shell")
    point, viewport = place_of(shown, SPANS[1]), shown.viewport()
    QApplication.sendEvent(viewport, QHelpEvent(QEvent.Type.ToolTip, point, viewport.mapToGlobal(point)))
    assert QToolTip.text().split("\n")[:2] == ["shell", "ls"]
    QToolTip.hideText()
    QApplication.sendEvent(shown.viewport(), QEvent(QEvent.Type.Leave))
    assert told[-1] == ""


def test_what_runs_grows_and_the_current_span_stays_it(shown: Timeline, qtbot: QtBot) -> None:
    qtbot.keyClick(shown, Qt.Key.Key_End)
    running = shown.bar_at(QPointF(place_of(shown, SPANS[3])))
    assert running is not None
    shown.tick(now=NOON + 8_050)
    grown = shown.bar_at(QPointF(place_of(shown, SPANS[3])))
    assert grown is not None
    assert grown.right - grown.left > running.right - running.left
    ended = TimelineSpan(lane="tool", name="python", begin=NOON + 8_000, end=NOON + 8_060, key="d")
    shown.show_spans((*SPANS[:3], ended), now=NOON + 8_060)
    assert shown.current is ended
    assert not shown.runs


def test_it_zooms_around_the_pointer_scrolls_and_fits_again(shown: Timeline, qtbot: QtBot) -> None:
    bar = shown.horizontalScrollBar()
    assert bar.maximum() == 0
    point = place_of(shown, SPANS[1])
    for _ in range(4):
        wheel(shown, point, Qt.KeyboardModifier.ControlModifier)
    under = shown.bar_at(QPointF(point))
    assert under is not None
    assert under.spans == [SPANS[1]], "what was under the pointer still is"
    assert bar.maximum() > 0
    before = bar.value()
    wheel(shown, point, Qt.KeyboardModifier.NoModifier)
    assert bar.value() != before
    qtbot.keyClick(shown, Qt.Key.Key_0)
    assert (shown.zoom, bar.maximum()) == (1.0, 0)
    for _ in range(80):
        shown.zoom_in()
    qtbot.keyClick(shown, Qt.Key.Key_End)
    assert not shown.grab().isNull()
    assert bar.value() > 0
    qtbot.keyClick(shown, Qt.Key.Key_Minus)
    assert shown.zoom > 1.0


def wheel(timeline: Timeline, point: QPoint, modifier: Qt.KeyboardModifier) -> None:
    turned = QWheelEvent(
        QPointF(point), QPointF(timeline.viewport().mapToGlobal(point)), QPoint(), QPoint(0, 120),
        Qt.MouseButton.NoButton, modifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(timeline.viewport(), turned)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_failure_is_seen_by_its_colour_and_its_height(shown: Timeline, mode: str) -> None:
    theme().set_mode(mode)  # type: ignore[arg-type]
    heights = {}
    for span, tone in ((SPANS[1], "danger"), (SPANS[0], "accent")):
        point, picture = place_of(shown, span), shown.viewport().grab().toImage()
        ink = theme().palette.ink(tone)  # type: ignore[arg-type]
        heights[tone] = sum(picture_has(picture, QPoint(point.x() + 12, y), ink) for y in range(picture.height()))
    assert heights["danger"] > heights["accent"] > 0


def picture_has(picture: QImage, point: QPoint, color: str) -> bool:
    return picture.pixelColor(point).name() == color


@pytest.mark.parametrize(
    "spans",
    [
        (),
        SPANS[:1],
        (TimelineSpan(lane="remark", name="x", begin=NOON, end=NOON),),
        tuple(TimelineSpan(lane="remark", name="x", begin=NOON + n * 9e5, end=NOON + n * 9e5) for n in range(40)),
        tuple(TimelineSpan(lane="tool", name="x" * 300, begin=NOON + n, end=NOON + n + 90) for n in range(9)),
    ],
    ids=["nothing", "one", "a moment", "moments of years", "many at a time"],
)
@pytest.mark.parametrize("width", [40, 700])
def test_it_draws_whatever_there_is(qtbot: QtBot, spans: tuple[TimelineSpan, ...], width: int) -> None:
    made = Timeline()
    qtbot.addWidget(made)
    made.resize(width, 100)
    made.show()
    made.show_spans(spans, now=NOON)
    qtbot.keyClick(made, Qt.Key.Key_Right)
    assert not made.grab().isNull()
    assert made.height() < 300


def test_the_table_has_the_same_in_words(qtbot: QtBot) -> None:
    model = TimelineTable()
    table = FactTable("Timeline", model, widths=(90,) * 8)
    qtbot.addWidget(table)
    table.show()
    model.show_spans(SPANS[:3], now=NOON + 8_010)
    table.selectRow(1)
    model.show_spans(SPANS, now=NOON + 8_010)
    assert table.currentIndex().row() == 1, "a row that comes moves none"
    rows = [[model.data(model.index(row, column)) for column in range(8)] for row in range(model.rowCount())]
    assert rows[1][:2] == ["Tools", "shell  ·  ls"]
    assert rows[0][5:] == ["1.2k", "30", ""]
    assert rows[3][3] == "10 s so far"
    chosen = []
    table.chosen.connect(lambda index: chosen.append(model.span_of(index.row()).key))
    qtbot.keyClick(table, Qt.Key.Key_Return)
    assert chosen == ["c"]
    grew = []
    model.dataChanged.connect(lambda first, *_: grew.append(first.row()))
    model.tick(now=NOON + 8_020)
    assert grew == [3]
    assert model.data(model.index(3, 3)) == "20 s so far"
