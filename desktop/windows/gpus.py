"""The GPUs on the page of health: asked for while somebody looks at it, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.look.language import retold, tr
from desktop.look.tokens import Space
from desktop.models.gpu_history import SECONDS_A_LOOK, GpuHistory
from desktop.widgets.clock import SeenClock
from desktop.widgets.gpu_card import GpuCard
from desktop.widgets.gpu_processes import GpuProcesses
from desktop.widgets.layouts import row
from desktop.widgets.surfaces import Card, Icon
from desktop.widgets.text import Label
from desktop.windows.desk import Desk
from worker_core.errors import KubiyaError
from worker_core.snapshot import EngineSnapshot

if TYPE_CHECKING:
    from worker_core.machine.gpu_use import GpuUse

INTERVAL_MS = round(SECONDS_A_LOOK * 1000)


class GpuPanel(QWidget):
    """Hidden, and without a clock, where there is nothing to ask."""

    def __init__(self, desk: Desk, *, seen: QWidget, history: GpuHistory | None = None) -> None:
        """`seen`: the page, whose being seen counts."""
        super().__init__()
        self._desk, self._page = desk, seen
        self._history = history or GpuHistory()
        self._is_asking = False
        self._worker: tuple[int, bool] | None = None
        self._cards: list[tuple[tuple[str, int], GpuCard]] = []
        self._trouble, self._sentence, self._sign = Card(), Label("", tone="muted", wrap=True), Icon("info", size=16)
        line = row(self._sign, self._sentence, gap=Space.S)
        line.setStretch(1, 1)
        self._trouble.body.addLayout(line)
        self._processes = GpuProcesses(name_of=self._name_of)
        self._processes.chosen.connect(lambda execution_id: desk.frame.show_page("executions", execution_id))
        self._places = QVBoxLayout()
        self._places.setSpacing(Space.L)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(Space.L)
        layout.addLayout(self._places)
        layout.addWidget(self._trouble)
        layout.addWidget(self._processes)
        self.hide()
        self.clock = SeenClock(seen, self.look, interval_ms=INTERVAL_MS)

    def begin(self) -> None:
        """The page is shown, or another worker is: it is asked whether there is anything."""
        self.clock.wind()
        self.look()

    def take(self, snapshot: EngineSnapshot) -> None:
        worker = snapshot.pid, bool(snapshot.queues)
        if worker != self._worker:
            self._worker = worker
            if self._page.isVisible():
                self.begin()

    def look(self) -> None:
        """Ask once, unless that is under way or nobody sees it."""
        if self._is_asking or not self._page.isVisible() or self._page.window().isMinimized():
            return
        self._is_asking = True

        async def ask() -> None:
            use = None
            try:
                use = await self._desk.worker.gpus()
            except KubiyaError:
                pass  # a worker that does not answer is told of elsewhere
            finally:
                self._is_asking = False
            self.show_use(use)

        self._desk.background.ask(ask(), doing=tr("ask for the GPUs"))

    def show_use(self, use: GpuUse | None) -> None:
        """None: nothing is asked there, now or until the page is shown again."""
        there = use is not None and bool(use.gpus or use.trouble)
        self.clock.wind(there)
        self.setVisible(there)
        if use is None or not there:
            self._lay(None)
            return
        self._lay(use)
        for (_, card), one, course in zip(self._cards, use.gpus, self._history.note(use), strict=True):
            card.show_use(one, course)
        self._sentence.setText(retold(use.trouble, use.said))
        self._sign.show_icon(*(("info", "neutral") if use.gpus else ("alert", "warning")))
        self._trouble.setVisible(bool(use.trouble))
        self._processes.show_use(use)

    def _lay(self, use: GpuUse | None) -> None:
        """A card for each GPU; those that are still there stay."""
        gpus = () if use is None else use.gpus
        keys = [(one.gpu.uuid or one.gpu.name, one.gpu.index) for one in gpus]
        if keys == [key for key, _ in self._cards]:
            return
        for _, card in self._cards:
            card.setParent(None)
            card.deleteLater()
        self._cards = [(key, GpuCard(one, alone=len(keys) == 1)) for key, one in zip(keys, gpus, strict=True)]
        for _, card in self._cards:
            self._places.addWidget(card)

    def _name_of(self, execution_id: str) -> str:
        found = self._desk.executions.get(execution_id)
        return found.name if found is not None else tr("Task {id}", id=execution_id[:8])
