"""Executions: the list, and beside it what one of them says and does, as it happens."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QSplitter, QStackedWidget, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.look.wording import tooltip_text
from desktop.models.conversation_items import Item
from desktop.models.execution_list import ExecutionListModel, ExecutionRole
from desktop.widgets.buttons import Button, IconButton
from desktop.widgets.clock import SeenClock
from desktop.widgets.delegates import ExecutionDelegate
from desktop.widgets.layouts import column, row
from desktop.widgets.lists import RowList
from desktop.widgets.surfaces import EmptyState
from desktop.widgets.text import ElidedLabel, widget
from desktop.windows.desk import Desk
from desktop.windows.execution_detail import ExecutionDetail


class ExecutionsPage(QWidget):
    """Two panes: choosing on the left, reading on the right."""

    name = "executions"

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.setProperty("ground", "window")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName(tr("Executions"))
        self._model = ExecutionListModel(desk.executions, self)
        self._search = QLineEdit()
        self._search.setProperty("variant", "search")
        self._search.setPlaceholderText(tr("Search"))
        self._search.setAccessibleName(tr("Search executions"))
        self._search.setToolTip(tooltip_text(tr("Search executions")))
        self._search.setClearButtonEnabled(False)
        self._live = Button(tr("Active"), variant="quiet", tip=tr("Only what runs or waits"))
        self._live.setCheckable(True)
        self._search.textChanged.connect(self._filter)
        self._live.toggled.connect(self._filter)
        self._list = RowList(tr("Executions"), self._model, ExecutionDelegate(), follows_arrows=True)
        self._list.chosen.connect(lambda index: self.open(index.data(ExecutionRole).execution_id))
        self._none = EmptyState(
            "executions",
            tr("Nothing here yet"),
            tr("Executions appear as soon as this worker takes one from a queue."),
            action=tr("Ask an agent…"),
            act=desk.frame.task_wanted.emit,
        )
        self._left = QStackedWidget()
        self._left.addWidget(self._none)
        self._left.addWidget(self._list)
        new = IconButton("plus", tr("New task"))
        new.clicked.connect(lambda: desk.frame.task_wanted.emit())
        head = column(
            ElidedLabel(tr("Executions"), role="title"),
            row(self._search, self._live, new, gap=Space.XS),
            gap=Space.M,
            margins=(Space.L, Space.XL + 2, Space.L, Space.S),
        )
        left = widget("window")
        left.setLayout(column(head, self._left, gap=Space.XS, margins=(0, 0, 0, Space.S)))
        self._list.setContentsMargins(Space.S, 0, Space.S, 0)
        left.setMinimumWidth(220)
        self.detail = ExecutionDetail(desk)
        self._choose_one = EmptyState(
            "agent", tr("Choose an execution"), tr("Its conversation, its tools and what they did appear here.")
        )
        self._right = QStackedWidget()
        self._right.addWidget(self._choose_one)
        self._right.addWidget(self.detail)
        self._right.setMinimumWidth(474)
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._split.addWidget(left)
        self._split.addWidget(self._right)
        self._split.setStretchFactor(0, 0)
        self._split.setStretchFactor(1, 1)
        self._split.setSizes([340, 760])
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._split)
        self._opened = ""
        self._caught_up = ("", 0, "")
        self._stop = desk.executions.listen(self._heard)
        self._clock = SeenClock(self, self._tick)
        for signal in (self._model.rowsInserted, self._model.rowsRemoved, self._model.modelReset):
            signal.connect(self._sort_out)
        self._sort_out()

    def open(self, execution_id: str) -> None:
        """Show an execution; one that was not seen from its beginning is fetched."""
        one = self.desk.executions.get(execution_id)
        if one is None or not one.conversation.complete:
            self._fetch(execution_id)
        self._opened = execution_id
        self._right.setCurrentWidget(self.detail)
        self.detail.show_execution(execution_id)
        row_number = self._model.row_of(execution_id)
        if row_number >= 0 and self._list.currentIndex().row() != row_number:
            self._list.setCurrentIndex(self._model.index(row_number))

    def take(self, snapshot: object) -> None:
        """Rows and the detail follow the store."""

    def search(self) -> None:
        self._search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._search.selectAll()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        if not self._opened and self._model.rowCount():
            self.open(self._model.data(self._model.index(0), ExecutionRole).execution_id)

    # -- below ----------------------------------------------------------------------------------------------------

    def _filter(self, *_: object) -> None:
        self._model.set_filter(text=self._search.text(), live_only=self._live.isChecked())
        self._sort_out()

    def _sort_out(self, *_: object) -> None:
        if self._model.rowCount():
            self._left.setCurrentWidget(self._list)
            return
        if self._search.text() or self._live.isChecked():
            self._none.say(tr("Nothing matches"), tr("Search for a word of the request, an agent, a queue or an id."))
        else:
            self._none.say(
                tr("Nothing here yet"), tr("Executions appear as soon as this worker takes one from a queue.")
            )
        self._left.setCurrentWidget(self._none)

    def _heard(self, execution_id: str, item: Item | None) -> None:
        if execution_id == self._opened:
            self.detail.heard(item)
            self._catch_up(execution_id)
        self._clock.wind(self.desk.executions.has_live)

    def _tick(self) -> None:
        """Durations of what runs grow while somebody looks."""
        self._list.viewport().update()
        self.detail.tick()

    def _catch_up(self, execution_id: str) -> None:
        """At the end of a turn: what was said elsewhere, in a terminal or on the web, stands in the session alone. So
        does everything of an execution that this worker does not tell of.
        """
        one = self.desk.executions.get(execution_id)
        if one is None:
            return
        ended = self._stand_of(execution_id)
        later = one.status == "waiting_for_input" and one.turn > 1
        if (later or (not one.is_told and one.conversation.complete)) and ended != self._caught_up:
            self._caught_up = ended
            self._fetch(execution_id)

    def _stand_of(self, execution_id: str) -> tuple[str, int, str]:
        one = self.desk.executions.get(execution_id)
        return (execution_id, one.turn, one.status) if one else (execution_id, 0, "")

    def _fetch(self, execution_id: str) -> None:
        worker, store = self.desk.worker, self.desk.executions

        async def fetch() -> None:
            store.describe(execution_id, await worker.get_execution(execution_id))
            self._caught_up = self._stand_of(execution_id)
            store.load_session(execution_id, await worker.load_session(execution_id))
            if self._opened == execution_id:
                self.detail.show_execution(execution_id)

        self.desk.background.ask(fetch(), doing=tr("load the conversation"))
