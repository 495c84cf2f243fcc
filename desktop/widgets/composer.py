"""A box for what the person says: it grows with the lines, Enter sends them, Shift+Enter begins the next."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QMimeData, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy

LINES_SHOWN: Final = 8
"""More are scrolled."""

LONGEST: Final = 50_000
"""Characters that are sent."""

_EDGE: Final = 16


class Composer(QPlainTextEdit):
    """`sent` is emitted with what was written; the box stays as it is until `clear`."""

    sent = Signal()

    given = Signal(list)
    """Files and folders that were dropped or pasted, as paths; with `takes_files` alone."""

    def __init__(self, *, name: str, hint: str, least_lines: int = 1, takes_files: bool = False) -> None:
        """`name` is read out, `hint` stands in the empty box, which has `least_lines`."""
        super().__init__()
        self._least, self._takes_files = least_lines, takes_files
        self.setProperty("variant", "field")
        self.setPlaceholderText(hint)
        self.setAccessibleName(name)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(2)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit()

    @property
    def text(self) -> str:
        """Without white space at its ends, LONGEST at most; lines are kept."""
        return self.toPlainText()[:LONGEST].strip()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        enter = event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}
        if enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.sent.emit()
        else:
            super().keyPressEvent(event)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:  # noqa: N802 (Qt's own name)
        return bool(self._takes_files and dropped_paths(source)) or super().canInsertFromMimeData(source)

    def insertFromMimeData(self, source: QMimeData) -> None:  # noqa: N802 (Qt's own name)
        if self._takes_files and (paths := dropped_paths(source)):
            self.given.emit(paths)
        else:
            super().insertFromMimeData(source)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        return QSize(80, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._fit()

    def _fit(self, *_: object) -> None:
        written = round(self.document().size().height())
        lines = max(self._least, min(max(LINES_SHOWN, self._least), written))
        policy = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(policy.ScrollBarAsNeeded if written > lines else policy.ScrollBarAlwaysOff)
        height = lines * self.fontMetrics().lineSpacing() + _EDGE
        if height != self.height() or self.minimumHeight() != height:
            self.setFixedHeight(height)


def dropped_paths(source: QMimeData) -> list[Path]:
    """What of this is a file or a folder on this machine."""
    return [Path(url.toLocalFile()) for url in source.urls() if url.isLocalFile() and url.toLocalFile()]
