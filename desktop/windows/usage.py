"""Usage: what executions took on this machine, a bar for each day or a table. Read when the page is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
)

from desktop.look.language import day_text, number_text, tr
from desktop.look.tokens import Space
from desktop.look.wording import count_text
from desktop.models.usage import LEAST_COST_STEP, Measure, days_with_numbers, scale, value_of
from desktop.widgets.bars import Bar, BarChart, ScaleLine
from desktop.widgets.buttons import Button, IconButton
from desktop.widgets.choice import Choice
from desktop.widgets.layouts import column, row
from desktop.widgets.surfaces import Card, EmptyState
from desktop.widgets.text import Label, widget
from desktop.windows.desk import Desk
from desktop.windows.page import Page

if TYPE_CHECKING:
    from worker_core.budgets.usage import DailyUsage, Part, UsageNumbers

FILE_NAME: Final = "kubiya-usage.csv"
_ALL: Final = ""
_ONE: Final = "="
"""Values of a choice: all, and one, whose id stands behind the sign; an id may be empty."""

_Days = Sequence[tuple[date, "UsageNumbers"]]


class UsagePage(Page):
    name = "usage"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Usage"))
        self.say_below(tr("What executions took in the last 90 days. The numbers stay on this machine."))
        self._usage: DailyUsage | None = None
        self._is_built = False

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        if not self._is_built:  # not with the window, whose start it would delay
            self._is_built = True
            self._build()
        super().showEvent(event)
        self.look()

    def look(self) -> None:
        """Read the numbers and show them, on a page that was shown."""

        async def read() -> None:
            self.show_usage(await self.desk.usage.read())

        self.desk.background.ask(read(), doing=tr("read the numbers"))

    def show_usage(self, usage: DailyUsage) -> None:
        """Show these, on a page that was shown. What was chosen stays so where it is still there."""
        self._usage = usage
        self._save.setEnabled(bool(usage.rows))
        self._stack.setCurrentIndex(1 if usage.rows else 2)
        self.agents.offer([(_ALL, tr("All agents")), *_options(usage, "agent", tr("Unknown agent"))])
        self.queues.offer([(_ALL, tr("All queues")), *_options(usage, "queue", tr("Unknown queue"))])
        self._draw()

    def save_to(self, file: Path) -> None:
        """Save all numbers where the person chose."""
        if self._usage is None:
            return

        def saved() -> None:
            self.desk.frame.say(tr("Saved as {path}.", path=file), tone="success")

        self.desk.background.ask(self.desk.usage.save(self._usage, to=file), doing=tr("save the file"), done=saved)

    # -- below ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._again = IconButton("refresh", tr("Look again"))
        self._again.clicked.connect(self.look)
        self._save = Button(tr("Save as CSV…"), icon="export")
        self._save.clicked.connect(self._ask_where)
        self.tools.addWidget(self._again)
        self.tools.addWidget(self._save)
        measures = (("tokens", tr("Tokens")), ("cost", tr("Cost")), ("turns", tr("Turns")))
        self.measure = Choice(tr("What the bars show"), measures, chosen="tokens")
        self.agents = Choice(tr("Agent"), ((_ALL, tr("All agents")),))
        self.queues = Choice(tr("Queue"), ((_ALL, tr("All queues")),))
        for choice in (self.measure, self.agents, self.queues):
            choice.currentIndexChanged.connect(self._draw)
        self._as_table = Button(tr("Show as a table"))
        self._as_table.clicked.connect(self._switch)
        self._total = Label("", role="heading")
        self.chart = BarChart(tr("Usage by day"))
        self.table = _Table(tr("Usage by day"))
        self._card = Card()
        self._card.body.addWidget(self._total)
        self._card.body.addWidget(self.chart)
        self._card.body.addWidget(self.table)
        self.table.hide()
        numbers = widget("clear")
        choices = row(self.measure, self.agents, self.queues, None, self._as_table, gap=Space.S)
        layout = column(choices, self._card, gap=Space.L)
        layout.setStretch(1, 1)
        numbers.setLayout(layout)
        self._stack = QStackedWidget()
        self._stack.addWidget(widget("clear"))
        self._stack.addWidget(numbers)
        sentence = tr("They come with the first turn that ends on this machine, and are kept for 90 days.")
        self._stack.addWidget(EmptyState("usage", tr("No numbers yet"), sentence))
        self._save.setEnabled(False)
        self.body.addWidget(self._stack, 1)

    def _draw(self, *_: object) -> None:
        if self._usage is None:
            return
        from worker_core.budgets.usage import added

        measure: Measure = self.measure.chosen  # type: ignore[assignment]
        days = self._usage.by_day(agent_id=_id_of(self.agents), queue_id=_id_of(self.queues))
        self._total.setText(numbers_text(added(numbers for _, numbers in days)))
        highest = max(value_of(numbers, measure) for _, numbers in days)
        lines = scale(highest, least_step=LEAST_COST_STEP if measure == "cost" else 1.0)
        self.chart.show_bars(
            [
                Bar(
                    name=_day(day),
                    said=tr("{day}: {said}", day=_day(day), said=numbers_text(numbers)),
                    value=value_of(numbers, measure),
                    bad=numbers.failed if measure == "turns" else 0,
                )
                for day, numbers in days
            ],
            [ScaleLine(value=line, said=_line(line, measure)) for line in lines],
        )
        self.table.show_days([days[place] for place in reversed(days_with_numbers([one for _, one in days]))])

    def _switch(self) -> None:
        table = self.chart.isVisibleTo(self)
        self.chart.setVisible(not table)
        self.table.setVisible(table)
        words = tr("Show as a chart") if table else tr("Show as a table")
        self._as_table.setText(words)
        self._as_table.setAccessibleName(words)

    def _ask_where(self) -> None:
        dialog = QFileDialog(self, tr("Save as CSV…"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("csv")
        dialog.selectFile(FILE_NAME)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.save_to(Path(path)))
        dialog.open()


class _Table(QTableWidget):
    """The days on which there was something, the newest first."""

    def __init__(self, name: str) -> None:
        super().__init__(0, 5)
        self.setAccessibleName(name)
        for place, title in enumerate((tr("Day"), tr("Turns"), tr("Failed turns"), tr("Tokens"), tr("Cost"))):
            head = QTableWidgetItem(title)
            head.setTextAlignment(_side(place))
            self.setHorizontalHeaderItem(place, head)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setCornerButtonEnabled(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setHighlightSections(False)

    def show_days(self, days: _Days) -> None:
        self.setRowCount(len(days))
        for line, (day, numbers) in enumerate(days):
            texts = (
                _day(day), number_text(numbers.turns), number_text(numbers.failed), number_text(numbers.tokens),
                _cost(numbers),
            )  # fmt: skip
            for place, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setTextAlignment(_side(place))
                self.setItem(line, place, item)


def numbers_text(numbers: UsageNumbers) -> str:
    """`12.4k tokens, $0.50, 3 turns, 1 failed`."""
    tokens = tr("1 token") if numbers.tokens == 1 else tr("{n} tokens", n=count_text(numbers.tokens))
    turns = tr("1 turn") if numbers.turns == 1 else tr("{n} turns", n=number_text(numbers.turns))
    parts = [tokens, _cost(numbers), turns]
    if numbers.failed:
        parts.append(tr("{n} of them failed", n=number_text(numbers.failed)))
    if numbers.unpriced:
        parts.append(tr("some prices are unknown"))
    return ", ".join(parts)


def _options(usage: DailyUsage, part: Part, unknown: str) -> list[tuple[str, str]]:
    return [(f"{_ONE}{id_}", usage.name(part, id_) or unknown) for id_, _ in usage.by(part)]


def _id_of(choice: Choice) -> str | None:
    return choice.chosen[1:] if choice.chosen else None


def _side(place: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if place else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _day(day: date) -> str:
    return day_text(datetime.combine(day, time()))


def _cost(numbers: UsageNumbers) -> str:
    return _dollars(numbers.cost) + ("+" if numbers.unpriced else "")


def _dollars(amount: float) -> str:
    places = 2 if amount == 0 or amount >= 0.01 else min(6, 1 - math.floor(math.log10(amount)))
    return tr("${amount}", amount=number_text(amount, places=places))


def _line(value: float, measure: Measure) -> str:
    if measure == "cost":
        return _dollars(value)
    for size, sign in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{number_text(value / size, places=0 if value % size == 0 else 1)}{sign}"
    return number_text(value)
