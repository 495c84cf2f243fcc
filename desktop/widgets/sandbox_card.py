"""The question whether tools may run without a sandbox, with what that means."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QFrame

from desktop.look.language import retold, tr
from desktop.look.tokens import Space
from desktop.widgets.buttons import Button
from desktop.widgets.layouts import column, row
from desktop.widgets.surfaces import IconTile
from desktop.widgets.text import Label
from desktop.widgets.wrapping import Wrapped
from worker_core.snapshot import SandboxView


class SandboxCard(QFrame):
    """Seen while it waits for an answer."""

    def __init__(self, *, answer: Callable[[bool], object], repair: Callable[[], object]) -> None:
        """`answer` takes whether they may; `repair` leads to how a sandbox is got."""
        super().__init__()
        self.setProperty("ground", "card")
        title = tr("May tools run without a sandbox?")
        self.setAccessibleName(title)
        self._why = Label("", tone="muted", wrap=True)
        means = Label(
            tr("Without one, what an agent runs can read and change everything that you can, your keys too."), wrap=True
        )
        run, refuse = Button(tr("Run without"), variant="danger"), Button(tr("Do not start tools"), variant="primary")
        how = Button(tr("How to repair it"), variant="quiet")
        run.clicked.connect(lambda: answer(True))
        refuse.clicked.connect(lambda: answer(False))
        how.clicked.connect(lambda: repair())
        head = row(IconTile("alert", tone="warning", size=36), Label(title, role="strong", wrap=True), gap=Space.M)
        head.setStretch(1, 1)
        self.setLayout(column(head, self._why, means, Wrapped(refuse, run, how), gap=Space.M, margins=(16, 14, 16, 14)))
        self.hide()

    def take(self, sandbox: SandboxView) -> None:
        self._why.setText(retold(sandbox.reason, sandbox.said))
        self.setVisible(sandbox.name == "asked")
