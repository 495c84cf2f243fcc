"""The report of a crash, for a person to read. It leaves this machine only in the person's own hands."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from desktop.look.language import tr


class CrashDialog(QDialog):
    """Shows a report."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Something went wrong"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        explanation = QLabel(
            tr(
                "An unexpected error happened. Running work goes on where it can. This report was kept among the logs; "
                "nothing was sent. Secrets are masked, but please read it before you give it to anybody."
            )
        )
        explanation.setWordWrap(True)
        self.text = QPlainTextEdit(text)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(tr("Report"))
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        copy, close = QPushButton(tr("Copy")), QPushButton(tr("Close"))
        for part in (copy, close):
            part.setAccessibleName(part.text())
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(text))
        close.clicked.connect(self.reject)
        close.setDefault(True)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (copy, close):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(explanation)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.resize(760, 480)
