"""Usage: what executions took on this machine, a bar for each day or a table. Read while the page is seen alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, QTimer
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
from desktop.models.usage import LEAST_COST_STEP, Measure, Stack, days_with_numbers, scale, stacked, value_of
from desktop.widgets.bars import Bar, BarChart, ScaleLine
from desktop.widgets.buttons import Button, IconButton
from desktop.widgets.choice import Choice
from desktop.widgets.clock import SeenClock
from desktop.widgets.layouts import column, row
from desktop.widgets.legend import Legend, LegendEntry
from desktop.widgets.surfaces import Card, EmptyState
from desktop.widgets.text import Label, widget
from desktop.widgets.wrapping import Wrapped
from desktop.windows.desk import Desk
from desktop.windows.page import Page
from worker_core.errors import KubiyaError
from worker_core.events import Event, ExecutionFinished, ExecutionWaiting

if TYPE_CHECKING:
    from worker_core.budgets.usage import DailyUsage, Part, UsageNumbers

FILE_NAME: Final = "kubiya-usage.csv"
_PART: Final = 1
"""The column of a table that says whose the numbers are."""

_ALL: Final = ""
_ONE: Final = "="
"""Values of a choice: all, and one, whose id stands behind the sign; an id may be empty."""

GATHERED_MS: Final = 500
"""Turns that end within so long are read at once."""

OTHERS_EVERY_MS: Final = 60_000
"""Other workers of this home count without telling this one, and a day ends."""

_Line = tuple[date, str, "UsageNumbers"]
"""Of a table: a day, the agent or queue, and the numbers."""


class UsagePage(Page):
    name = "usage"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Usage"))
        self.say_below(tr("What executions took in the last 90 days. The numbers stay on this machine."))
        self._usage: DailyUsage | None = None
        self._is_built = False
        self._is_reading = self._is_wanted_again = False
        self._is_readable = True
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(GATHERED_MS)
        self._soon.timeout.connect(self._follow)
        SeenClock(self, self._follow, interval_ms=OTHERS_EVERY_MS, wound=True)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        if not self._is_built:  # not with the window, whose start it would delay
            self._is_built = True
            self._build()
        super().showEvent(event)
        self.look()

    def look(self) -> None:
        """Read the numbers and show them, on a page that was shown. While they are read, once more after that."""
        if self._is_reading:
            self._is_wanted_again = True
            return
        self._is_reading, self._is_wanted_again = True, False
        self._soon.stop()

        async def read() -> None:
            try:
                self.show_usage(await self.desk.usage.read())
                self._is_readable = True
            except KubiyaError:
                self._is_readable = False  # it was said: who asks again looks again
                raise
            finally:
                self._is_reading = False
                if self._is_wanted_again:
                    self._follow()

        self.desk.background.ask(read(), doing=tr("read the numbers"))

    def apply(self, arrived: Sequence[Event]) -> None:
        """A turn that has ended is counted by now: the page follows, soon and where it is seen."""
        ended = any(isinstance(event, ExecutionWaiting | ExecutionFinished) for event in arrived)
        if ended and self.isVisible() and not self._soon.isActive():
            self._soon.start()

    def show_usage(self, usage: DailyUsage) -> None:
        """Show these, on a page that was shown. What was chosen stays so where it is still there."""
        self._usage = usage
        self._save.setEnabled(bool(usage.rows))
        self._stack.setCurrentIndex(1 if usage.rows else 2)
        self.agents.offer([(_ALL, tr("All agents")), *_options(usage, "agent")])
        self.queues.offer([(_ALL, tr("All queues")), *_options(usage, "queue")])
        self._draw()

    def save_to(self, file: Path) -> None:
        """Save all numbers where the person chose."""
        if self._usage is None:
            return

        def saved() -> None:
            self.desk.frame.say(tr("Saved as {path}.", path=file), tone="success")

        self.desk.background.ask(self.desk.usage.save(self._usage, to=file), doing=tr("save the file"), done=saved)

    # -- below ----------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Read again, unasked: where somebody sees it, and what could be read until now."""
        if self.isVisible() and not self.window().isMinimized() and self._is_readable:
            self.look()

    def _build(self) -> None:
        self._again = IconButton("refresh", tr("Look again"))
        self._again.clicked.connect(self.look)
        self._save = Button(tr("Save as CSV…"), icon="export")
        self._save.clicked.connect(self._ask_where)
        self.tools.addWidget(self._again)
        self.tools.addWidget(self._save)
        measures = (("tokens", tr("Tokens")), ("cost", tr("Cost")), ("turns", tr("Turns")))
        self.measure = Choice(tr("What the bars show"), measures, chosen="tokens")
        parts = (("", tr("Not split")), ("agent", tr("Split by agent")), ("queue", tr("Split by queue")))
        self.parts = Choice(tr("What the bars are made of"), parts)
        self.agents = Choice(tr("Agent"), ((_ALL, tr("All agents")),))
        self.queues = Choice(tr("Queue"), ((_ALL, tr("All queues")),))
        for choice in (self.measure, self.parts, self.agents, self.queues):
            choice.currentIndexChanged.connect(self._draw)
            choice.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
        self._as_table = Button(tr("Show as a table"))
        self._as_table.clicked.connect(self._switch)
        self._total = Label("", role="heading", wrap=True)
        self.chart = BarChart(tr("Usage by day"))
        self.table = _Table(tr("Usage by day"))
        self._card = Card()
        self._card.body.addWidget(self._total)
        self._card.body.addWidget(self.chart)
        self.legend = Legend(tr("What the bars are made of"))
        self._card.body.addWidget(self.legend)
        self._card.body.addWidget(self.table)
        self.table.hide()
        numbers = widget("clear")
        choices = row(Wrapped(self.measure, self.parts, self.agents, self.queues), self._as_table, gap=Space.S)
        choices.setStretch(0, 1)
        choices.setAlignment(self._as_table, Qt.AlignmentFlag.AlignTop)
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
        usage = self._usage.of(agent_id=_id_of(self.agents), queue_id=_id_of(self.queues))
        part: Part | None = self.parts.chosen or None  # type: ignore[assignment]
        stack = stacked(usage, part, measure) if part else None
        names = [_called(usage, part, id_) for id_ in stack.ids] if part and stack else []
        if stack and stack.others:
            names.append(tr("{n} others", n=number_text(stack.others)) if stack.others > 1 else tr("1 other"))
        days = usage.by_day()
        self._total.setText(numbers_text(added(numbers for _, numbers in days)))
        highest = max(value_of(numbers, measure) for _, numbers in days)
        lines = scale(highest, least_step=LEAST_COST_STEP if measure == "cost" else 1.0)
        self.chart.show_bars(
            [
                Bar(
                    name=_day(day),
                    said=tr("{day}: {said}", day=_day(day), said=_said(day, numbers, measure, stack, names)),
                    value=value_of(numbers, measure),
                    bad=numbers.failed if measure == "turns" and not stack else 0,
                    parts=stack.days.get(day, ()) if stack else (),
                )
                for day, numbers in days
            ],
            [ScaleLine(value=line, said=_line(line, measure)) for line in lines],
        )
        sums = stack.sums if stack else ()
        self.legend.show_entries(
            [LegendEntry(name=name, said=_amount(value, measure)) for name, value in zip(names, sums, strict=True)]
        )
        self.legend.setVisible(bool(names) and not self.table.isVisibleTo(self))
        if part:
            lines_of = [(day, _called(usage, part, id_), one) for (day, id_), one in usage.day_by(part).items()]
        else:
            lines_of = [(day, "", one) for day, one in days]
        kept = days_with_numbers([one for _, _, one in lines_of])
        self.table.show_lines([lines_of[place] for place in reversed(kept)], part=part)

    def _switch(self) -> None:
        table = self.chart.isVisibleTo(self)
        self.chart.setVisible(not table)
        self.table.setVisible(table)
        self.legend.setVisible(not table and bool(self.legend.accessibleDescription()))
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
    """The days on which there was something, the newest first; where it is asked for, a line for each part of them."""

    def __init__(self, name: str) -> None:
        super().__init__(0, 6)
        self.setAccessibleName(name)
        titles = (tr("Day"), tr("Agent"), tr("Turns"), tr("Failed turns"), tr("Tokens"), tr("Cost"))
        for place, title in enumerate(titles):
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

    def show_lines(self, lines: Sequence[_Line], *, part: Part | None) -> None:
        self.setColumnHidden(_PART, part is None)
        if (head := self.horizontalHeaderItem(_PART)) is not None:
            head.setText(tr("Queue") if part == "queue" else tr("Agent"))
        self.setRowCount(len(lines))
        for line, (day, called, numbers) in enumerate(lines):
            texts = (
                _day(day), called, number_text(numbers.turns), number_text(numbers.failed), number_text(numbers.tokens),
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


def _options(usage: DailyUsage, part: Part) -> list[tuple[str, str]]:
    return [(f"{_ONE}{id_}", _called(usage, part, id_)) for id_, _ in usage.by(part)]


def _called(usage: DailyUsage, part: Part, id_: str) -> str:
    return usage.name(part, id_) or (tr("Unknown agent") if part == "agent" else tr("Unknown queue"))


def _said(day: date, numbers: UsageNumbers, measure: Measure, stack: Stack | None, names: Sequence[str]) -> str:
    """All numbers of a day, and of what the bar shows how much is whose."""
    if stack is None or (values := stack.days.get(day)) is None:
        return numbers_text(numbers)
    parts = [f"{name} {_amount(value, measure)}" for name, value in zip(names, values, strict=True) if value > 0]
    return "; ".join((numbers_text(numbers), *parts))


def _amount(value: float, measure: Measure) -> str:
    return _dollars(value) if measure == "cost" else count_text(int(value))


def _id_of(choice: Choice) -> str | None:
    return choice.chosen[1:] if choice.chosen else None


def _side(place: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if place > _PART else Qt.AlignmentFlag.AlignLeft
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
