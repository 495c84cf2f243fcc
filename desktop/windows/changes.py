"""The changes of the execution that is shown: looked at, merged, discarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.look.language import retold, tr
from desktop.look.tokens import Space
from desktop.widgets.changes_card import ChangesCard
from desktop.widgets.layouts import empty
from desktop.windows.desk import Desk

if TYPE_CHECKING:
    from worker_core.checkouts.changes import Changes


class ChangesPanel(QWidget):
    """Empty and out of sight until somebody asks."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._execution_id = ""
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(Space.XL, Space.S, Space.XL, Space.S)
        self.hide()

    def has(self, execution_id: str) -> bool:
        """Whether an execution has a copy of a repository."""
        return self._desk.copies.find(execution_id) is not None

    def show_changes(self, execution_id: str) -> None:
        """Look at them, and show them when they are there."""
        self._execution_id = execution_id

        async def look() -> None:
            changes = await self._desk.copies.changes(execution_id)
            if self._execution_id == execution_id:
                self._show(changes)

        self._desk.background.ask(look(), doing=tr("look at the changes"))

    def close_changes(self) -> None:
        """Another execution is shown, or they were dealt with."""
        self._execution_id = ""
        empty(self._layout)
        self.hide()

    def _show(self, changes: Changes) -> None:
        execution_id = self._execution_id
        empty(self._layout)
        self._layout.addWidget(
            ChangesCard(
                changes,
                merge=lambda seal: self._merge(execution_id, seal),
                discard=lambda: self._ask_discard(execution_id),
                close=self.close_changes,
            )
        )
        self.show()

    def _merge(self, execution_id: str, seal: str) -> None:
        async def merge() -> None:
            self._said(retold(await self._desk.copies.merge(execution_id, seal=seal)))

        self._desk.background.ask(merge(), doing=tr("merge the changes"))

    def _ask_discard(self, execution_id: str) -> None:
        async def discard() -> None:
            self._said(retold(await self._desk.copies.discard(execution_id)))

        self._desk.frame.say(
            tr("Discard these changes? They cannot be brought back."),
            tone="warning",
            action=tr("Discard them"),
            act=lambda: self._desk.background.ask(discard(), doing=tr("discard the changes")),
        )

    def _said(self, sentence: str) -> None:
        self.close_changes()
        self._desk.frame.say(sentence, tone="success")
