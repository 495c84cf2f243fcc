"""The report of a crash, for a person to read. It leaves this machine only in the person's own hands."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.widgets.dialog import Dialog

SMALLEST = QSize(420, 140)
"""Pixels of its width, and of the report's height."""


class CrashDialog(Dialog):
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
        self.text.setProperty("variant", "field")
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
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
        layout.setContentsMargins(Space.XL, Space.XL, Space.XL, Space.L)
        layout.setSpacing(Space.L)
        layout.addWidget(explanation)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.setMinimumWidth(SMALLEST.width())
        self.text.setMinimumHeight(SMALLEST.height())
        self.resize(760, 480)
