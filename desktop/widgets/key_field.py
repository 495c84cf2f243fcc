"""A field for an API key: masked, and nothing learns what is typed there."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit

from desktop.look.language import tr


class KeyField(QLineEdit):
    """Whoever reads it clears it."""

    def __init__(self) -> None:
        super().__init__()
        self.setEchoMode(QLineEdit.EchoMode.Password)
        self.setInputMethodHints(Qt.InputMethodHint.ImhSensitiveData | Qt.InputMethodHint.ImhNoPredictiveText)
        self.setAccessibleName(tr("API key"))
        self.setPlaceholderText(tr("Paste it here"))
