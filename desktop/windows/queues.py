"""Queues: for each one what waits, how fast it comes and goes, who polls, and our part in it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QGridLayout, QVBoxLayout

from desktop.look.language import tr
from desktop.look.tokens import Space, Tone
from desktop.look.wording import duration_text, rate_text, when_text
from desktop.models.queue_history import POINTS, QueueHistory
from desktop.widgets.charts import AreaChart, Series
from desktop.widgets.clock import SeenClock
from desktop.widgets.fleet import FleetList
from desktop.widgets.layouts import column, row
from desktop.widgets.pills import Pill
from desktop.widgets.surfaces import Card, EmptyState
from desktop.widgets.text import ElidedLabel, Label
from desktop.windows.desk import Desk
from desktop.windows.overview import Figure
from desktop.windows.page import Page
from worker_core.control_plane.models import QueueWorker
from worker_core.errors import KubiyaError
from worker_core.snapshot import EngineSnapshot, QueueView

log = logging.getLogger(__name__)

FLEET_EVERY_MS: Final = 30_000
"""As often as workers say something new of themselves."""


class QueueCard(Card):
    """One queue."""

    def __init__(self, history: QueueHistory) -> None:
        super().__init__(padding=Space.L + 4)
        self._history = history
        self._name = ElidedLabel("", role="heading")
        self._about = ElidedLabel("", role="small", tone="muted")
        self._state = Pill()
        head = row(column(self._name, self._about, gap=2), self._state)
        head.setStretch(0, 1)
        self.body.addLayout(head)
        self._figures = {
            "backlog": Figure(tr("Waiting")),
            "age": Figure(tr("Oldest waits")),
            "pollers": Figure(tr("Pollers")),
            "ours": Figure(tr("Running here")),
        }
        figures = QGridLayout()
        for place, figure in enumerate(self._figures.values()):
            figures.addWidget(figure, 0, place)
            figures.setColumnStretch(place, 1)
        self.body.addLayout(figures)
        self._rates = AreaChart(tr("Added and dispatched per second"), said=rate_text, capacity=POINTS, least=0.1)
        self._waiting = AreaChart(
            tr("Waiting tasks"), said=lambda value: f"{value:.0f}", capacity=POINTS, least=4, height=96
        )
        self._legend_added, self._legend_sent = (Pill(tone="accent"), Pill(tone="success"))
        charts = row(
            column(
                row(Label(tr("Rates"), role="small", tone="muted"), None, self._legend_added, self._legend_sent),
                self._rates,
            ),
            column(row(Label(tr("Backlog"), role="small", tone="muted"), None), self._waiting),
            gap=Space.XL,
        )
        charts.setStretch(0, 1)
        charts.setStretch(1, 1)
        self.body.addSpacing(Space.XS)
        self.body.addLayout(charts)
        self.fleet = FleetList()
        self.body.addWidget(self.fleet)
        self._reason = Label("", role="small", tone="warning", wrap=True)
        self.body.addWidget(self._reason)

        self._ours = ""

    def know_workers(self, workers: Sequence[QueueWorker]) -> None:
        """Those that the control plane counts as active."""
        self.fleet.show_workers(workers, ours=self._ours)

    def take(self, queue: QueueView, snapshot: EngineSnapshot) -> None:
        self._ours = queue.worker_id
        self._name.setText(queue.queue_name or queue.queue_id)
        parts = [queue.environment_name, queue.temporal_namespace, queue.queue_id if queue.queue_name else ""]
        if queue.last_heartbeat_at:
            parts.append(tr("heartbeat {time}", time=when_text(queue.last_heartbeat_at)))
        self._about.setText("  ·  ".join(part for part in parts if part))
        at_work = queue.polling and not queue.is_silent
        said = tr("No answer") if queue.is_silent else tr("Polling") if queue.polling else tr("Not polling")
        self._state.say(said, "success" if at_work else "warning")
        self._reason.setText(queue.trouble.sentence if queue.trouble else "" if queue.polling else queue.reason)
        self._reason.setVisible(bool(self._reason.text()))
        known = queue.statistics
        self._figures["backlog"].say(str(known.backlog) if known else "–")
        self._figures["age"].say(duration_text(known.backlog_age_seconds) if known and known.backlog else "–")
        self._figures["pollers"].say(str(known.pollers) if known else "–", tr("all workers") if known else "")
        ours = sum(1 for one in snapshot.executions if one.queue_id == queue.queue_id and one.status == "running")
        limit = min(snapshot.executions_limit, queue.executions_limit or snapshot.executions_limit)
        self._figures["ours"].say(str(ours), tr("of {n} places", n=limit) if limit else "")
        history = self._history.of(queue.queue_id)
        tones: tuple[Tone, Tone] = ("accent", "success")
        self._rates.set_series(
            Series(name=tr("added"), values=tuple(history.added), tone=tones[0]),
            Series(name=tr("dispatched"), values=tuple(history.dispatched), tone=tones[1]),
        )
        self._waiting.set_series(Series(name=tr("waiting"), values=tuple(history.backlog), tone="accent"))
        self._legend_added.say(tr("added {rate}", rate=rate_text(known.added_per_second) if known else "–"), "accent")
        self._legend_sent.say(
            tr("dispatched {rate}", rate=rate_text(known.dispatched_per_second) if known else "–"), "success"
        )


class QueuesPage(Page):
    name = "queues"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Queues"))
        self._history = QueueHistory()
        self._cards: dict[str, QueueCard] = {}
        self._column = QVBoxLayout()
        self._column.setSpacing(Space.L)
        self._none = EmptyState(
            "queues",
            tr("No queue is served"),
            tr("Choose the queues that this worker takes work from; several at once are fine."),
            action=tr("Open settings"),
            act=lambda: desk.frame.show_page("settings"),
        )
        self._none.setMinimumHeight(380)
        self.body.addWidget(self._none)
        self.body.addLayout(self._column)
        self.body.addStretch(1)
        self._asking = False
        self._clock = SeenClock(self, self._ask, interval_ms=FLEET_EVERY_MS, wound=True)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self._ask()

    def reveal(self, queue_id: str) -> None:
        """Lead the person to a queue; one that is not served is not here."""
        if (card := self._cards.get(queue_id)) is not None:
            QTimer.singleShot(0, card, lambda: self.scroll_to(card))

    def _ask(self) -> None:
        """Who else serves these queues; one question at a time, and only while somebody looks."""
        worker, queue_ids = self.desk.worker, tuple(self._cards)
        if not queue_ids or self._asking:
            return
        self._asking = True

        async def ask() -> None:
            try:
                for queue_id, workers in (await worker.queue_workers(queue_ids)).items():
                    if queue_id in self._cards:
                        self._cards[queue_id].know_workers(workers)
            except KubiyaError as error:  # the card says already whether the control plane answers
                log.info("The workers of the queues are not known: %s", error.sentence)
            finally:
                self._asking = False

        self.desk.background.ask(ask(), doing=tr("ask who serves the queues"))

    def take(self, snapshot: EngineSnapshot) -> None:
        self._history.take(snapshot.queues)
        self._none.setVisible(not snapshot.queues)
        count = len(snapshot.queues)
        many = tr("{n} queues served by this worker", n=count)
        self.say_below(tr("1 queue served by this worker") if count == 1 else many if count else "")
        served = {queue.queue_id for queue in snapshot.queues}
        for gone in [queue_id for queue_id in self._cards if queue_id not in served]:
            card = self._cards.pop(gone)
            self._column.removeWidget(card)
            card.hide()
            card.deleteLater()
        new = False
        for queue in snapshot.queues:
            if queue.queue_id not in self._cards:
                new = True
                self._cards[queue.queue_id] = QueueCard(self._history)
                self._column.addWidget(self._cards[queue.queue_id])
            self._cards[queue.queue_id].take(queue, snapshot)
        if new and self.isVisible():
            self._ask()
