"""The files of the execution that is shown: listed, looked at, saved elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.system.files_left import name_for
from desktop.widgets.files_card import FilesCard
from desktop.widgets.layouts import empty
from desktop.windows.desk import Desk

if TYPE_CHECKING:
    from worker_core.workspaces.artefacts import LeftFiles
    from worker_core.workspaces.workspace import Artefact


class FilesPanel(QWidget):
    """Empty and out of sight until somebody asks."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._execution_id = ""
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(Space.XL, Space.S, Space.XL, Space.S)
        self.hide()

    def show_files(self, execution_id: str) -> None:
        """Look for them, and show them when they are there."""
        self._execution_id = execution_id

        async def look() -> None:
            left = await self._desk.files_left.of(execution_id)
            if self._execution_id == execution_id:
                self._show(left)

        self._desk.background.ask(look(), doing=tr("look at the files"))

    def close_files(self) -> None:
        """Another execution is shown, or nobody wants to see them any more."""
        self._execution_id = ""
        empty(self._layout)
        self.hide()

    def save_to(self, left: LeftFiles, file: Artefact, to: Path) -> None:
        """Save one where the person chose."""

        def saved() -> None:
            self._desk.frame.say(tr("Saved as {path}.", path=to), tone="success")

        self._desk.background.ask(self._desk.files_left.save(left, file, to=to), doing=tr("save the file"), done=saved)

    def _show(self, left: LeftFiles) -> None:
        empty(self._layout)
        self._layout.addWidget(
            FilesCard(
                left.files,
                look=lambda file: self._look(left.workspace.path / file.path),
                save=lambda file: self._ask_where(left, file),
                close=self.close_files,
            )
        )
        self.show()

    def _look(self, file: Path) -> None:
        if not self._desk.outside.open_file(file):
            self._desk.frame.say(tr("It was not opened: it is gone, or no program of this machine shows it."))

    def _ask_where(self, left: LeftFiles, file: Artefact) -> None:
        dialog = QFileDialog(self, tr("Save as…"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.selectFile(name_for(file.path))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.save_to(left, file, Path(path)))
        dialog.open()
