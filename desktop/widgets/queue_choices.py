"""Queues to pick from, by environment: for the first run and for Settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.look.wording import tooltip_text
from desktop.widgets.layouts import empty
from desktop.widgets.text import Label

if TYPE_CHECKING:
    from worker_core.control_plane.models import Queue


class QueueChoices(QWidget):
    """One box a queue. What is picked and no longer there is kept."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[str, QCheckBox] = {}
        self._gone: tuple[str, ...] = ()
        self._list = QVBoxLayout(self)
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(Space.S)

    @property
    def picked(self) -> tuple[str, ...]:
        """Ids, in the order of the list."""
        shown = tuple(queue_id for queue_id, box in self.boxes.items() if box.isChecked())
        return (*shown, *self._gone)

    def offer(self, found: Sequence[Queue], *, picked: Iterable[str] = ()) -> None:
        """Show these, sorted by environment; where there is one alone, it is picked."""
        chosen = tuple(picked)
        empty(self._list)
        self.boxes.clear()
        if not found:
            words = tr("This organization has no worker queue yet. Make one on the control plane, then look again.")
            self._list.addWidget(Label(words, tone="muted", wrap=True))
        for environment, queues in groupby(found, key=lambda queue: queue.environment_name):
            if environment:
                self._list.addWidget(Label(environment, role="small", tone="muted"))
            for queue in queues:
                box = QCheckBox((queue.display_name or queue.name or queue.id).replace("&", "&&"))
                box.setToolTip(tooltip_text(queue.description or queue.id))
                box.setChecked(queue.id in chosen or (len(found) == 1 and not chosen))
                box.toggled.connect(self.changed)
                self.boxes[queue.id] = box
                self._list.addWidget(box)
        self._gone = tuple(one for one in chosen if one not in self.boxes)
        self.changed.emit()
