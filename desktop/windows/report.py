"""A report for a bug: the person reads every text of it before it is a file, and sends it or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QDialog, QFileDialog, QListWidget, QListWidgetItem, QPlainTextEdit, QWidget

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.look.wording import size_text
from desktop.widgets.buttons import Button
from desktop.widgets.layouts import column, row
from desktop.widgets.text import Label
from worker_core.errors import KubiyaError

if TYPE_CHECKING:
    from worker_core.checks.diagnostics import Texts

LINE_HEIGHT: Final = 32
FILE_NAME: Final = "kubiya-worker-diagnostics.zip"


class ReportDialog(QDialog):
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
        self.names = QListWidget()
        self.names.setAccessibleName(tr("Files of the report"))
        self.names.setFixedWidth(250)
        for name, text in texts.items():
            line = QListWidgetItem(f"{name}  ·  {size_text(len(text.encode()))}")
            line.setSizeHint(QSize(0, LINE_HEIGHT))  # the style is not known yet, which would give it its own
            self.names.addItem(line)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setProperty("variant", "field")
        self.text.setAccessibleName(tr("Text of the file"))
        self.text.setFont(theme().font("code"))
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.names.currentRowChanged.connect(self._show)
        self.said = Label("", role="small", tone="muted", wrap=True)
        self.save_button = Button(tr("Save as…"), icon="export", variant="primary")
        self.save_button.clicked.connect(self._choose)
        close = Button(tr("Close"))
        close.clicked.connect(self.reject)
        inside = row(self.names, self.text, gap=Space.M)
        inside.setStretch(1, 1)
        foot = row(self.said, close, self.save_button)
        foot.setStretch(0, 1)
        margins = (Space.XL, Space.XL, Space.XL, Space.L)
        layout = column(words, inside, foot, gap=Space.L, margins=margins)
        layout.setStretch(1, 1)
        self.setLayout(layout)
        self.resize(980, 640)
        self.names.setCurrentRow(0)
        self.names.setFocus()

    def save(self, file: Path) -> None:
        """Write the report where the person chose."""
        from worker_core.checks.diagnostics import write_bundle

        try:
            write_bundle(file, self._texts)
        except KubiyaError as error:
            self.said.set_tone("danger")
            self.said.setText(error.sentence)
        else:
            self.said.set_tone("success")
            self.said.setText(tr("Saved as {path}.", path=file))

    def _show(self, place: int) -> None:
        if 0 <= place < len(self._texts):
            self.text.setPlainText(list(self._texts.values())[place])

    def _choose(self) -> None:
        dialog = QFileDialog(self, tr("Save the report"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("zip")
        dialog.selectFile(FILE_NAME)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.save(Path(path)))
        dialog.open()
