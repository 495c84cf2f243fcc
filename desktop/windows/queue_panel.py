"""All that is known of one queue: its figures, how they went, who serves it, and what it is called elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QGuiApplication, QMouseEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.look.wording import duration_text, rate_text, when_text
from desktop.models.queue_history import POINTS, QueueHistory
from desktop.models.queue_list import QueueRow
from desktop.widgets.buttons import IconButton
from desktop.widgets.charts import AreaChart, Series
from desktop.widgets.fleet import FleetList
from desktop.widgets.layouts import column, row
from desktop.widgets.pills import Pill
from desktop.widgets.text import ElidedLabel, Label
from desktop.windows.desk import Frame
from desktop.windows.overview import Figure
from worker_core.control_plane.models import QueueWorker


class QueuePanel(QWidget):
    """Shows one queue at a time; nothing is kept of the one before."""

    def __init__(self, history: QueueHistory, frame: Frame) -> None:
        super().__init__()
        self._history, self._frame = history, frame
        self._queue_id = self._ours = ""
        self._reason = Label("", role="small", tone="warning", wrap=True)
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
        self.fleet = FleetList()
        inside = QVBoxLayout(self)
        inside.setContentsMargins(Space.L, Space.S, Space.L, Space.L)
        inside.setSpacing(Space.M)
        inside.addWidget(self._reason)
        inside.addLayout(figures)
        inside.addLayout(charts)
        inside.addLayout(self._names())
        inside.addWidget(self.fleet)

    def know_workers(self, workers: Sequence[QueueWorker]) -> None:
        """Those that the control plane counts as active."""
        self.fleet.show_workers(workers, ours=self._ours)

    def show_queue(self, one: QueueRow) -> None:
        """This one, as it is now."""
        queue, known = one.queue, one.queue.statistics
        if queue.queue_id != self._queue_id:
            self._queue_id = queue.queue_id
            self.fleet.show_workers((), ours="")
        self._ours = queue.worker_id
        self.setAccessibleName(one.name)
        self._reason.setText(one.remark)
        self._reason.setVisible(bool(one.remark))
        self._figures["backlog"].say(str(known.backlog) if known else "–")
        self._figures["age"].say(duration_text(known.backlog_age_seconds) if known and known.backlog else "–")
        self._figures["pollers"].say(str(known.pollers) if known else "–", tr("all workers") if known else "")
        self._figures["ours"].say(str(one.running), tr("of {n} places", n=one.places) if one.places else "")
        history = self._history.of(queue.queue_id)
        self._rates.set_series(
            Series(name=tr("added"), values=tuple(history.added), tone="accent"),
            Series(name=tr("dispatched"), values=tuple(history.dispatched), tone="success"),
        )
        self._waiting.set_series(Series(name=tr("waiting"), values=tuple(history.backlog), tone="accent"))
        self._legend_added.say(tr("added {rate}", rate=rate_text(known.added_per_second) if known else "–"), "accent")
        self._legend_sent.say(
            tr("dispatched {rate}", rate=rate_text(known.dispatched_per_second) if known else "–"), "success"
        )
        for name, said in {
            "environment": queue.environment_name,
            "namespace": queue.temporal_namespace,
            "queue": queue.queue_id,
            "worker": queue.worker_id,
            "heartbeat": when_text(queue.last_heartbeat_at),
        }.items():
            self._says[name].setText(said or "–")
            self._says[name].setAccessibleDescription(said)
            if name in self._copies:
                self._copies[name].setEnabled(bool(said))

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        """A click here is none on the row below which it lies."""
        event.accept()

    mouseReleaseEvent = mouseDoubleClickEvent = mousePressEvent  # noqa: N815 (Qt's own names)

    # -- below ----------------------------------------------------------------------------------------------------

    def _names(self) -> QGridLayout:
        self._says: dict[str, ElidedLabel] = {}
        self._copies: dict[str, IconButton] = {}
        grid = QGridLayout()
        grid.setHorizontalSpacing(Space.M)
        grid.setVerticalSpacing(Space.XS)
        for place, (name, label, copy) in enumerate(
            (
                ("environment", tr("Environment"), ""),
                ("queue", tr("Queue id"), tr("Copy the queue's id")),
                ("namespace", tr("Namespace"), tr("Copy the namespace")),
                ("worker", tr("Worker id"), tr("Copy the worker's id")),
                ("heartbeat", tr("Last heartbeat"), ""),
            )
        ):
            line, at = divmod(place, 2)
            said = self._says[name] = ElidedLabel("", role="small", middle=True)
            said.setAccessibleName(label)
            said.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
            beside: list[QWidget | None] = [said]
            if copy:
                button = self._copies[name] = IconButton("copy", copy)
                button.clicked.connect(lambda *_, name=name: self._copy(name))
                beside.append(button)
            grid.addWidget(Label(label, role="small", tone="muted"), line, 2 * at)
            grid.addLayout(row(*beside, None, gap=Space.XS), line, 2 * at + 1)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        return grid

    def _copy(self, name: str) -> None:
        QGuiApplication.clipboard().setText(self._says[name].text())
        self._frame.say(tr("It is on the clipboard."), tone="success")
