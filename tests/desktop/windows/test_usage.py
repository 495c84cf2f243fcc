"""The page of numbers: a bar for each day, by mouse, keys and as a table, and as a file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRectF, Qt, QTimer
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtWidgets import QTableWidget
from pytestqt.qtbot import QtBot

from desktop.look import language
from desktop.look.conventions import convention
from desktop.look.theme import theme
from desktop.system.usage_kept import UsageKept
from desktop.widgets.bars import BarChart
from desktop.widgets.legend import Legend, paint_part
from desktop.windows.usage import UsagePage, numbers_text
from tests.desktop.windows.stand_ins import Scene, a_desk
from tests.support.finding import button, click, named, reads
from worker_core.budgets.ledger import Ledger, LedgerError, Spender, Spending
from worker_core.budgets.usage import DailyUsage, DayNumbers, UsageNumbers
from worker_core.errors import KubiyaError
from worker_core.events import EventDeliveryResumed, ExecutionFinished, ExecutionWaiting

TODAY = date(2026, 11, 28)
FIRST = TODAY - timedelta(days=89)


def of(day: date, agent_id: str, queue_id: str, **numbers: float) -> DayNumbers:
    return DayNumbers(day=day, agent_id=agent_id, queue_id=queue_id, numbers=UsageNumbers(**numbers))  # type: ignore[arg-type]


USED = DailyUsage(
    first=FIRST,
    last=TODAY,
    rows=(
        of(FIRST, "a", "q", turns=1, tokens=1),
        of(TODAY - timedelta(days=1), "", "q", turns=2, failed=2, tokens=300, cost=0.004, unpriced=1),
        of(TODAY, "a", "p", turns=3, failed=1, tokens=12_400, cost=0.5),
    ),
    agents={"a": "Reviewer"},
    queues={"q": "build"},
)


@pytest.fixture
def page(qtbot: QtBot, tmp_path: Path) -> UsagePage:
    desk = a_desk(tmp_path)
    desk.usage.read.return_value = USED  # type: ignore[attr-defined]
    made = UsagePage(desk)
    qtbot.addWidget(made)
    made.resize(760, 520)
    made.show()
    return made


def table_of(page: UsagePage) -> list[list[str]]:
    table = page.findChild(QTableWidget)
    assert isinstance(table, QTableWidget)
    cells = [[table.item(line, place) for place in range(table.columnCount())] for line in range(table.rowCount())]
    return [[cell.text() if cell else "" for cell in line] for line in cells]


def numbers_of(page: UsagePage) -> list[list[str]]:
    """The table, where it does not say whose the numbers are."""
    return [[day, *numbers] for day, _, *numbers in table_of(page)]


def test_numbers_are_read_when_the_page_is_shown_and_not_before(scene: Scene) -> None:
    read = scene.window.desk.usage.read
    assert read.await_count == 0  # type: ignore[attr-defined]
    scene.window.show_page("usage")
    assert read.await_count == 1  # type: ignore[attr-defined]
    page = scene.window.page_named("usage")
    assert reads(page, "No numbers yet")
    assert not button(page, "Save as CSV…").isEnabled()
    scene.window.show_page("overview")
    scene.arrive()
    assert read.await_count == 1, "nobody sees it"  # type: ignore[attr-defined]


def test_the_arrow_keys_go_from_day_to_day(page: UsagePage, qtbot: QtBot) -> None:
    chart = page.chart
    chart.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(chart, Qt.Key.Key_End)
    assert chart.accessibleDescription() == "2026-11-28: 12.4k tokens, $0.50, 3 turns, 1 of them failed"
    qtbot.keyClick(chart, Qt.Key.Key_Left)
    assert chart.said == "2026-11-27: 300 tokens, $0.0040+, 2 turns, 2 of them failed, some prices are unknown"
    qtbot.keyClick(chart, Qt.Key.Key_Home)
    assert chart.said == "2026-08-31: 1 token, $0.00, 1 turn"
    qtbot.keyClick(chart, Qt.Key.Key_PageDown)
    assert chart.said.startswith("2026-09-07: 0 tokens")


def test_the_mouse_tells_a_day_and_leaves_it(page: UsagePage, qtbot: QtBot) -> None:
    chart = page.chart
    qtbot.mouseMove(chart, QPoint(chart.width() - 4, chart.height() // 2))
    assert chart.said.startswith("2026-11-28: ")
    assert not page.grab().isNull()
    qtbot.mouseMove(chart, QPoint(2, chart.height() // 2))
    assert chart.said == "", "beside the bars is no day"


def test_what_is_shown_is_chosen(page: UsagePage) -> None:
    assert reads(page, "12.7k tokens, $0.50+, 6 turns, 3 of them failed, some prices are unknown")
    page.agents.setCurrentText("Unknown agent")
    assert [line[0] for line in table_of(page)] == ["2026-11-27"]
    page.agents.setCurrentText("Reviewer")
    page.queues.setCurrentText("build")
    assert [line[0] for line in table_of(page)] == ["2026-08-31"]
    for measure in ("tokens", "cost", "turns"):
        page.measure.choose(measure)
        assert not page.grab().isNull()
    page.show_usage(USED)
    assert (page.agents.currentText(), page.queues.currentText()) == ("Reviewer", "build"), "they stay chosen"


def test_the_same_numbers_as_a_table(page: UsagePage) -> None:
    click(page, "Show as a table")
    assert page.findChild(QTableWidget).isVisible()
    assert not page.findChild(BarChart).isVisible()
    assert numbers_of(page) == [
        ["2026-11-28", "3", "1", "12,400", "$0.50"],
        ["2026-11-27", "2", "2", "300", "$0.0040+"],
        ["2026-08-31", "1", "0", "1", "$0.00"],
    ]
    click(page, "Show as a chart")
    assert page.findChild(BarChart).isVisible()


def test_days_and_numbers_as_the_system_writes_them(page: UsagePage) -> None:
    language.use({}, name="de", writes=convention("de"))
    try:
        page.show_usage(USED)
        assert numbers_of(page)[0] == ["28.11.2026", "3", "1", "12.400", "$0,50"]
    finally:
        language.use({})


def test_they_are_saved_where_the_person_says(page: UsagePage, tmp_path: Path) -> None:
    page.save_to(tmp_path / "usage.csv")
    page.desk.usage.save.assert_awaited_once_with(USED, to=tmp_path / "usage.csv")  # type: ignore[attr-defined]


MANY = DailyUsage(
    first=FIRST,
    last=TODAY,
    rows=tuple(
        of(TODAY - timedelta(days=day), f"a{number}", "q" if number % 2 else "", turns=1, tokens=100 * (8 - number))
        for number in range(8)
        for day in range(2)
    ),
    agents={f"a{number}": f"Agent {number}" for number in range(8)},
    queues={"q": "build"},
)


def test_bars_are_split_and_say_whose_each_part_is(page: UsagePage, qtbot: QtBot) -> None:
    page.show_usage(MANY)
    legend = named(page, "What the bars are made of", Legend)
    assert not legend.isVisible()
    page.parts.choose("agent")
    assert legend.isVisible()
    assert legend.accessibleDescription() == (
        "Agent 0: 1.6k; Agent 1: 1.4k; Agent 2: 1.2k; Agent 3: 1.0k; Agent 4: 800; 3 others: 1.2k"
    )
    page.chart.setFocus(Qt.FocusReason.TabFocusReason)
    assert page.chart.said == (
        "2026-11-28: 3.6k tokens, $0.00, 8 turns; Agent 0 800; Agent 1 700; Agent 2 600; Agent 3 500; Agent 4 400; "
        "3 others 600"
    )
    assert not page.grab().isNull()
    page.parts.choose("queue")
    assert legend.accessibleDescription() == "Unknown queue: 4.0k; build: 3.2k"
    page.measure.choose("cost")
    assert not legend.isVisible(), "nothing cost anything"
    page.measure.choose("tokens")
    page.agents.setCurrentText("Agent 1")
    assert legend.accessibleDescription() == "build: 1.4k"
    page.parts.choose("")
    assert not legend.isVisible()


def test_parts_look_different_without_colours(page: UsagePage) -> None:
    looks = set()
    for place in range(len(theme().palette.parts)):
        picture = QPixmap(48, 48)
        picture.fill(Qt.GlobalColor.white)
        with QPainter(picture) as painter:
            paint_part(painter, QRectF(0, 0, 48, 48), place)
        grey = picture.toImage()
        own = grey.pixelColor(1, 1)
        looks.add(bytes(grey.pixelColor(x, y) == own for x in range(48) for y in range(48)))
    assert len(looks) == len(theme().palette.parts)


def test_the_table_has_a_line_for_each_part(page: UsagePage) -> None:
    click(page, "Show as a table")
    table = page.findChild(QTableWidget)
    assert table.isColumnHidden(1)
    page.parts.choose("queue")
    assert not table.isColumnHidden(1)
    assert (table.horizontalHeaderItem(1).text(), [line[:2] for line in table_of(page)]) == (
        "Queue", [["2026-11-28", "p"], ["2026-11-27", "build"], ["2026-08-31", "build"]],
    )  # fmt: skip
    assert not page.legend.isVisible()
    click(page, "Show as a chart")
    assert page.legend.isVisible()


class Reading:
    """Numbers that come when they are let."""

    def __init__(self, page: UsagePage) -> None:
        self.asked: list[asyncio.Future[DailyUsage]] = []
        self._loop = asyncio.new_event_loop()
        page.desk.usage.read.side_effect = self._read  # type: ignore[attr-defined]
        page.desk.background._run = self._loop.create_task  # type: ignore[assignment]

    async def _read(self) -> DailyUsage:
        self.asked.append(self._loop.create_future())
        return await self.asked[-1]

    def go_on(self) -> None:
        self._loop.run_until_complete(asyncio.sleep(0))

    def answer(self, usage: DailyUsage) -> None:
        self.asked[-1].set_result(usage)
        for _ in range(4):
            self.go_on()

    def close(self) -> None:
        self._loop.close()


@pytest.fixture
def reading(page: UsagePage) -> Iterator[Reading]:
    with contextlib.closing(Reading(page)) as made:
        yield made


WAITING = ExecutionWaiting(execution_id="e", turn=1)


def test_a_turn_that_ends_is_followed_while_somebody_looks(page: UsagePage, qtbot: QtBot) -> None:
    read = page.desk.usage.read
    before = read.await_count  # type: ignore[attr-defined]
    page.apply([EventDeliveryResumed(replayed=1)])
    page.apply([WAITING, WAITING])
    page.apply([ExecutionFinished(execution_id="e", status="completed")])
    assert read.await_count == before, "they are gathered"  # type: ignore[attr-defined]
    read.return_value = MANY  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: reads(page, "7.2k tokens, $0.00, 16 turns"), timeout=60_000)
    assert read.await_count == before + 1  # type: ignore[attr-defined]
    page.hide()
    page.apply([WAITING])
    assert not [timer for timer in page.findChildren(QTimer) if timer.isActive()], "nobody looks"
    page.show()
    assert read.await_count == before + 2, "who comes back sees what is now"  # type: ignore[attr-defined]


def test_what_ends_while_numbers_are_read_is_read_after_them(page: UsagePage, reading: Reading) -> None:
    page.look()
    reading.go_on()
    page.look()
    page.look()
    assert len(reading.asked) == 1, "one at a time"
    reading.answer(USED)
    assert len(reading.asked) == 2
    reading.answer(MANY)
    assert len(reading.asked) == 2
    assert reads(page, "7.2k tokens, $0.00, 16 turns")


def test_what_cannot_be_read_is_said_once_until_somebody_asks(page: UsagePage, qtbot: QtBot) -> None:
    said: list[str] = []
    page.desk.background.failed.connect(said.append)
    read = page.desk.usage.read
    read.side_effect = LedgerError("It cannot be read.")  # type: ignore[attr-defined]
    page.look()
    assert said == ["It cannot be read."]
    asked = read.await_count  # type: ignore[attr-defined]
    page.apply([WAITING])
    [soon] = [timer for timer in page.findChildren(QTimer) if timer.isSingleShot()]
    qtbot.waitUntil(lambda: not soon.isActive(), timeout=60_000)
    assert (read.await_count, len(said)) == (asked, 1)  # type: ignore[attr-defined]
    read.side_effect = None  # type: ignore[attr-defined]
    click(page, "Look again")
    page.apply([WAITING])
    qtbot.waitUntil(lambda: read.await_count == asked + 2, timeout=60_000)  # type: ignore[attr-defined]


def test_nothing_at_all_and_one_day(page: UsagePage) -> None:
    page.show_usage(DailyUsage(first=TODAY, last=TODAY, agents={}, queues={}))
    assert reads(page, "No numbers yet")
    page.show_usage(DailyUsage(first=TODAY, last=TODAY, rows=(of(TODAY, "a", "q"),), agents={}, queues={}))
    assert not page.grab().isNull()
    assert numbers_text(UsageNumbers()) == "0 tokens, $0.00, 0 turns"


def test_what_the_window_asks_is_what_workers_have_counted(tmp_path: Path) -> None:
    file = tmp_path / "budget" / "spent.sqlite"
    today = asyncio.run(UsageKept(file).read()).last
    one = Spender(execution_id="e", turn=1, agent_id="a", queue_id="q", day=today)
    Ledger(file).add(one, Spending(tokens=7))
    usage = asyncio.run(UsageKept(file).read())
    assert usage.total.tokens == 7
    asyncio.run(UsageKept(file).save(usage, to=tmp_path / "usage.csv"))
    assert (tmp_path / "usage.csv").read_text().splitlines()[1] == f"{today},a,a,q,q,0,0,7,0.000000,0"
    with pytest.raises(KubiyaError, match="cannot be written"):
        asyncio.run(UsageKept(file).save(usage, to=tmp_path / "no" / "usage.csv"))
