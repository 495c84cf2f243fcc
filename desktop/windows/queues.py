"""Queues: one row each, with what waits and runs; a row opens in place, to all that is known of its queue."""

from __future__ import annotations

import logging
from typing import Final, cast

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QShowEvent
from PySide6.QtWidgets import QLineEdit, QStackedWidget, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.models.queue_history import QueueHistory
from desktop.models.queue_list import QueueListModel
from desktop.settings.preferences import QueueOrder
from desktop.widgets.choice import Choice
from desktop.widgets.clock import SeenClock
from desktop.widgets.layouts import column, row
from desktop.widgets.queue_rows import QueueHeadings, QueueList
from desktop.widgets.surfaces import Card, EmptyState, Line
from desktop.windows.desk import Desk
from desktop.windows.page import WIDEST, Page
from desktop.windows.queue_panel import QueuePanel
from worker_core.errors import KubiyaError
from worker_core.snapshot import EngineSnapshot

log = logging.getLogger(__name__)

FLEET_EVERY_MS: Final = 30_000
"""As often as workers say something new of themselves."""


class QueuesPage(Page):
    name = "queues"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Queues"), scrolls=False)
        order = desk.settings.preferences.queue_order
        self._history = QueueHistory()
        self._model = QueueListModel(self, order=order)
        self._panel = QueuePanel(self._history, desk.frame)
        self._list = QueueList(tr("Queues"), self._model, self._panel)
        self._headings = QueueHeadings()
        self._search = QLineEdit()
        self._search.setProperty("variant", "search")
        self._search.setPlaceholderText(tr("Search queues"))
        self._search.setAccessibleName(tr("Search queues"))
        self._search.setClearButtonEnabled(False)
        self._search.textChanged.connect(self._find)
        self._search.installEventFilter(self)
        self._order = Choice(
            tr("Order of the queues"),
            [("waiting", tr("Most waiting first")), ("name", tr("By name")), ("state", tr("By state"))],
            chosen=order,
        )
        self._order.currentIndexChanged.connect(self._sort)
        none = EmptyState(
            "queues",
            tr("No queue is served"),
            tr("Choose the queues that this worker takes work from; several at once are fine."),
            action=tr("Open settings"),
            act=lambda: desk.frame.show_page("settings"),
        )
        self._nothing = EmptyState(
            "search", tr("Nothing matches"), tr("Search for a queue, its environment, its state or an id.")
        )
        card = Card(padding=Space.XS)
        card.body.setContentsMargins(1, Space.S, 1, Space.S)
        card.body.setSpacing(Space.XS)
        for part in (self._headings, Line(), self._list):
            card.body.addWidget(part)
        self._rows = QStackedWidget()
        self._rows.addWidget(card)
        self._rows.addWidget(self._nothing)
        tools = row(self._search, self._order, gap=Space.S)
        tools.setStretch(0, 1)
        some = QWidget()
        some.setLayout(column(tools, self._rows, gap=Space.L))
        some.setMaximumWidth(WIDEST)
        self._either = QStackedWidget()
        self._either.addWidget(none)
        self._either.addWidget(some)
        self.body.addWidget(self._either, 1)
        self.setTabOrder(self._search, self._order)
        self.setTabOrder(self._order, self._list)
        self._list.verticalScrollBar().rangeChanged.connect(self._leave_room)
        self._model.dataChanged.connect(self._show_opened)
        self._asked = ""
        self._clock = SeenClock(self, self._ask, interval_ms=FLEET_EVERY_MS)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self._ask()

    def search(self) -> None:
        self._search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._search.selectAll()

    def reveal(self, queue_id: str) -> None:
        """Lead the person to a queue, and open it; one that is not served is not here."""
        if self._model.get(queue_id) is None:
            return
        self._search.clear()
        self._list.open(queue_id)
        self._list.setFocus(Qt.FocusReason.OtherFocusReason)

    def take(self, snapshot: EngineSnapshot) -> None:
        self._history.take(snapshot.queues)
        self._model.take(snapshot, self._history)
        self._say_how_many()
        self._show_opened()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        """From what is searched down to what was found."""
        if watched is self._search and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in {Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter} and self._model.rowCount():
                self._list.setCurrentIndex(self._model.index(0))
                self._list.setFocus(Qt.FocusReason.TabFocusReason)
                return True
            if event.key() == Qt.Key.Key_Escape and self._search.text():
                self._search.clear()
                return True
        return bool(super().eventFilter(watched, event))

    # -- below ----------------------------------------------------------------------------------------------------

    def _find(self, words: str) -> None:
        self._model.search(words)
        self._say_how_many()

    def _sort(self, *_: object) -> None:
        order = cast(QueueOrder, self._order.chosen)
        self._model.sort_by(order)
        self.desk.settings.remember(queue_order=order)

    def _say_how_many(self) -> None:
        shown, total = self._model.rowCount(), self._model.total
        many = tr("{n} queues served by this worker", n=total)
        some = tr("{shown} of {n} queues", shown=shown, n=total)
        said = some if shown < total else tr("1 queue served by this worker") if total == 1 else many
        self.say_below(said if total else "")
        self._either.setCurrentIndex(1 if total else 0)
        self._rows.setCurrentIndex(0 if shown else 1)

    def _leave_room(self, _: int, most: int) -> None:
        bar = self._list.verticalScrollBar()
        self._headings.leave(bar.sizeHint().width() if most > 0 else 0)

    def _show_opened(self, *_: object) -> None:
        """The panel follows what is open, and those are asked for who serve it."""
        opened = self._model.get(self._model.opened)
        self._clock.wind(opened is not None)
        if opened is not None:
            self._panel.show_queue(opened)
            if self._asked != opened.queue.queue_id:
                self._ask()
        else:
            self._asked = ""

    def _ask(self) -> None:
        """Who else serves the queue that is open; only while somebody looks, and what comes late is not shown."""
        worker, queue_id = self.desk.worker, self._model.opened
        if not queue_id or not self.isVisible():
            return
        self._asked = queue_id

        async def ask() -> None:
            try:
                workers = (await worker.queue_workers((queue_id,))).get(queue_id)
            except KubiyaError as error:  # the row says already whether the control plane answers
                log.info("The workers of the queue are not known: %s", error.sentence)
            else:
                if workers is not None and self._model.opened == queue_id:
                    self._panel.know_workers(workers)

        self.desk.background.ask(ask(), doing=tr("ask who serves the queues"))
