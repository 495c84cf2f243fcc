"""Picks the queues to serve, by their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from desktop.look.language import fact, tr
from desktop.look.tokens import Space
from desktop.settings.onboarding import usable_queues
from desktop.widgets.buttons import Button
from desktop.widgets.dialog import Dialog
from desktop.widgets.layouts import column, row
from desktop.widgets.queue_choices import QueueChoices
from desktop.widgets.text import Label
from desktop.windows.background import Background
from desktop.windows.page import scroll_area
from desktop.worker.face import WorkerFace
from worker_core.errors import KubiyaError


class QueueDialog(Dialog):
    """Asks the control plane when it opens. `take` gets the ids that were picked."""

    def __init__(
        self,
        worker: WorkerFace,
        background: Background,
        *,
        picked: Sequence[str],
        take: Callable[[tuple[str, ...]], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._worker, self._background, self._picked, self._take = worker, background, tuple(picked), take
        self.setWindowTitle(tr("Queues"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setProperty("ground", "window")
        self.said = Label(tr("Asking the control plane…"), tone="muted", wrap=True)
        self.choices = QueueChoices()
        self.choices.changed.connect(self._count)
        self.again = Button(tr("Look again"), icon="refresh")
        self.again.clicked.connect(self.look)
        self.again.hide()
        cancel = Button(tr("Cancel"), variant="quiet")
        cancel.clicked.connect(self.reject)
        self.use = Button(tr("Use these"), variant="primary")
        self.use.setEnabled(False)
        self.use.clicked.connect(self._use)
        inside = QWidget()
        inside.setLayout(column(self.choices, None))
        margins = (Space.XL, Space.XL, Space.XL, Space.L)
        layout = column(self.said, scroll_area(inside), row(self.again, None, cancel, self.use), margins=margins)
        layout.setStretch(1, 1)
        self.setLayout(layout)
        self.resize(460, 480)

    def look(self) -> None:
        """Ask which queues there are."""
        self.again.setEnabled(False)

        async def ask() -> None:
            try:
                found = usable_queues(await self._worker.list_queues())
            except KubiyaError as error:
                self.said.set_tone("danger")
                self.said.setText(fact(error))
                self.again.show()
            else:
                self.said.set_tone("muted")
                self.again.setVisible(not found)
                self.choices.offer(found, picked=self._picked)
            finally:
                self.again.setEnabled(True)

        self._background.ask(ask(), doing=tr("fetch the queues"))

    def _count(self) -> None:
        count = len(self.choices.picked)
        self.said.setText(tr("Where this machine takes its work from."))
        self.use.setEnabled(bool(count))

    def _use(self) -> None:
        self._take(self.choices.picked)
        self.accept()
