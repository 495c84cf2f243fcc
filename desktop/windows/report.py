"""A report for a bug: the person reads every text of it before it is a file, and sends it or not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget

from desktop.look.language import fact, tr
from desktop.look.tokens import Space
from desktop.look.wording import size_text
from desktop.widgets.buttons import Button
from desktop.widgets.dialog import Dialog
from desktop.widgets.layouts import column, row
from desktop.widgets.named_texts import NamedTexts
from desktop.widgets.text import Label
from worker_core.errors import KubiyaError

if TYPE_CHECKING:
    from worker_core.checks.diagnostics import Texts

FILE_NAME: Final = "kubiya-worker-diagnostics.zip"


class ReportDialog(Dialog):
    """Shows texts by name. `save` writes them; nothing else leaves the window."""

    def __init__(self, texts: Texts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._texts = texts
        self.setWindowTitle(tr("Report for a bug"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setProperty("ground", "window")
        words = Label(
            tr(
                "This is everything that the report holds. Secrets are masked and nothing was sent: read it before you "
                "save it and give it to anybody."
            ),
            tone="muted",
            wrap=True,
        )
        shown = NamedTexts(
            [(f"{name}  ·  {size_text(len(text.encode()))}", partial(str, text)) for name, text in texts.items()],
            names_are=tr("Files of the report"),
            text_is=tr("Text of the file"),
        )
        self.names, self.text = shown.names, shown.text
        self.said = Label("", role="small", tone="muted", wrap=True)
        self.save_button = Button(tr("Save as…"), icon="export", variant="primary")
        self.save_button.clicked.connect(self._choose)
        close = Button(tr("Close"))
        close.clicked.connect(self.reject)
        foot = row(self.said, close, self.save_button)
        foot.setStretch(0, 1)
        margins = (Space.XL, Space.XL, Space.XL, Space.L)
        layout = column(words, shown, foot, gap=Space.L, margins=margins)
        layout.setStretch(1, 1)
        self.setLayout(layout)
        self.resize(980, 640)
        self.names.setFocus()

    def save(self, file: Path) -> None:
        """Write the report where the person chose."""
        from worker_core.checks.diagnostics import write_bundle

        try:
            write_bundle(file, self._texts)
        except KubiyaError as error:
            self.said.set_tone("danger")
            self.said.setText(fact(error))
        else:
            self.said.set_tone("success")
            self.said.setText(tr("Saved as {path}.", path=file))

    def _choose(self) -> None:
        dialog = QFileDialog(self, tr("Save the report"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("zip")
        dialog.selectFile(FILE_NAME)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.save(Path(path)))
        dialog.open()
