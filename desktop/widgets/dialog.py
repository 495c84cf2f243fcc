"""A dialog that is never less high than what it says."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QDialog


class Dialog(QDialog):
    """Qt takes the least height of a window from lines that are not wrapped: what is wrapped, or comes later, would be
    squeezed. It grows as far as the screen goes, and never shrinks by itself.
    """

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() is QEvent.Type.LayoutRequest:
            self._grow()
        return done

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._grow()

    def _grow(self) -> None:
        if (layout := self.layout()) is None:
            return
        width = max(self.width(), layout.totalMinimumSize().width())
        wanted = layout.totalMinimumHeightForWidth(width) if layout.hasHeightForWidth() else 0
        wanted = min(max(wanted, layout.totalMinimumSize().height()), self.screen().availableGeometry().height())
        if wanted != self.minimumHeight():
            self.setMinimumHeight(wanted)
