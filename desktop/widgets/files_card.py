"""The files that an execution left: each can be saved elsewhere, and looked at where that does nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.look.wording import size_text, when_text
from desktop.system.open_elsewhere import is_only_shown
from desktop.widgets.buttons import Button, IconButton
from desktop.widgets.layouts import column, row
from desktop.widgets.text import ElidedLabel, Label, widget
from worker_core.basics.visible import visible_line
from worker_core.workspaces.workspace import Artefact

MOST_SHOWN = 100
"""Files in the list; the workspace has the others."""

_TALLEST = 260


class FilesCard(QFrame):
    """One look at them; what is written later is in the next one."""

    def __init__(
        self,
        files: Sequence[Artefact],
        *,
        look: Callable[[Artefact], object],
        save: Callable[[Artefact], object],
        close: Callable[[], object],
    ) -> None:
        super().__init__()
        self.setProperty("ground", "card")
        title = tr("Files that it left")
        self.setAccessibleName(title)
        rows = [_row(one, look=look, save=save) for one in files[:MOST_SHOWN]]
        inside = widget("clear")
        inside.setLayout(column(*rows, gap=2))
        listed = QScrollArea()
        listed.setAccessibleName(title)
        listed.setFrameShape(QFrame.Shape.NoFrame)
        listed.setWidgetResizable(True)
        listed.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        listed.setWidget(inside)
        listed.setFixedHeight(min(_TALLEST, inside.sizeHint().height() + 4))
        listed.setVisible(bool(rows))
        none = Label(tr("It left no files."), tone="muted")
        none.setVisible(not rows)
        more = Label(
            tr("These are the first {n}. Its workspace has the others.", n=MOST_SHOWN), role="small", tone="muted"
        )
        more.setVisible(len(files) > MOST_SHOWN)
        hide = Button(tr("Close"), variant="quiet")
        hide.clicked.connect(lambda: close())
        self.setLayout(
            column(
                Label(title, role="strong"), listed, none, more, row(None, hide), gap=Space.S, margins=(16, 14, 16, 14)
            )
        )


def _row(file: Artefact, *, look: Callable[[Artefact], object], save: Callable[[Artefact], object]) -> QWidget:
    name = visible_line(file.path)
    shown = IconButton("file", tr("Open {name}", name=name[:200]))
    shown.clicked.connect(lambda: look(file))
    kept = IconButton("export", tr("Save {name} as…", name=name[:200]))
    kept.clicked.connect(lambda: save(file))
    about = Label(f"{size_text(file.size_bytes)}  ·  {when_text(file.modified_at)}", role="small", tone="muted")
    made = widget("clear")
    made.setLayout(row(ElidedLabel(name, role="code", middle=True), about, shown, kept, gap=Space.S))
    keeps_its_place = shown.sizePolicy()
    keeps_its_place.setRetainSizeWhenHidden(True)
    shown.setSizePolicy(keeps_its_place)
    shown.setVisible(is_only_shown(file.path))
    return made
