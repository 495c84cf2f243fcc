"""A field in which keys are pressed instead of typed."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QKeySequenceEdit, QLineEdit

_PORTABLE = QKeySequence.SequenceFormat.PortableText


class KeysField(QKeySequenceEdit):
    """One combination. `given` tells of keys that were pressed here, in Qt's portable text."""

    given = Signal(str)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._shown = QKeySequence()
        self.setMaximumSequenceLength(1)
        self.setAccessibleName(name)
        for field in self.findChildren(QLineEdit):  # in which Qt shows them
            field.setAccessibleName(name)
        self.keySequenceChanged.connect(self._pressed)

    def show_keys(self, keys: str) -> None:
        """Those in force, in Qt's portable text; nobody has pressed them."""
        self._shown = QKeySequence.fromString(keys, _PORTABLE)
        self.blockSignals(True)
        self.setKeySequence(self._shown)
        self.blockSignals(False)
        # Qt has no role for it: whoever hears the window hears its name, and this.
        self.setAccessibleDescription(self._shown.toString(QKeySequence.SequenceFormat.NativeText))

    def _pressed(self, keys: QKeySequence) -> None:
        if not keys.isEmpty() and keys != self._shown:
            self.given.emit(keys.toString(_PORTABLE))
