"""A folder and files that go along with a task: one line each, and a button that takes it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.widgets.buttons import IconButton
from desktop.widgets.layouts import empty, row
from desktop.widgets.surfaces import Icon
from desktop.widgets.text import ElidedLabel, Label

SHOWN: Final = 4
"""Lines; the rest is counted, so that a small screen has room for the request."""


Thing = tuple[str, str, str, Callable[[], object]]
"""Its icon, its name, a note, and what takes it out."""


class GivenThings(QWidget):
    """Not seen where there is nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = QVBoxLayout(self)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(Space.XS)
        self.hide()

    def show_things(self, things: Sequence[Thing]) -> None:
        empty(self._lines)
        for icon, name, note, take_out in things[:SHOWN]:
            out = IconButton("close", tr("Take out {name}", name=(Path(name).name or name)[:80]))
            out.clicked.connect(lambda *_, take_out=take_out: take_out())
            said = Label(note, role="small", tone="muted")
            line = QWidget()
            line.setLayout(row(Icon(icon, size=16), ElidedLabel(name, middle=True), said, out, gap=Space.S))
            self._lines.addWidget(line)
        if len(things) > SHOWN:
            self._lines.addWidget(Label(tr("{count} more", count=len(things) - SHOWN), role="small", tone="muted"))
        self.setVisible(bool(things))
