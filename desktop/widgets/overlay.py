"""A panel over the whole of a window: it takes the keys until it is closed, and gives them back."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QHideEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QFrame, QVBoxLayout, QWidget

from desktop.look.theme import theme
from desktop.look.tokens import Space

HIGHEST = 560
_SHADOW = 14


class Overlay(QWidget):
    """A child of the window and no window of its own: no window manager has to place it, and none can lose it.

    Escape closes it, a click beside the panel, and whatever takes the focus elsewhere in the window.
    """

    def __init__(self, window: QWidget, *, name: str, widest: int) -> None:
        super().__init__(window)
        self._under, self._widest = window, widest
        self._before: QWidget | None = None
        self.setAccessibleName(name)
        self.panel = QFrame(self)
        self.panel.setProperty("ground", "overlay")
        self.panel.setAccessibleName(name)
        self.body = QVBoxLayout(self.panel)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(0)
        self.hide()
        window.installEventFilter(self)

    def open_on(self, first: QWidget) -> None:
        """Show it, with the focus in one of its parts."""
        self._before = QApplication.focusWidget()
        self._place()
        self.show()
        self.raise_()
        first.setFocus(Qt.FocusReason.PopupFocusReason)
        QApplication.instance().focusChanged.connect(self._focus_moved)  # type: ignore[union-attr]

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        event.accept()  # nothing below is meant

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        if not self.panel.geometry().contains(event.position().toPoint()):
            self.close()

    def focusNextPrevChild(self, forward: bool) -> bool:  # noqa: N802 (Qt's own name)
        """The Tab key stays in here."""
        parts = [
            one
            for one in self.findChildren(QWidget)
            if one.isVisible() and one.isEnabled() and one.focusPolicy() & Qt.FocusPolicy.TabFocus
        ]
        at = QApplication.focusWidget()
        if parts:
            place = parts.index(at) + (1 if forward else -1) if at in parts else 0
            reason = Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
            parts[place % len(parts)].setFocus(reason)
        return True

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 (Qt's own name)
        super().hideEvent(event)
        before, self._before = self._before, None
        at = QApplication.focusWidget()
        if before is not None and (at is None or self.isAncestorOf(at)) and before.isVisible():
            before.setFocus(Qt.FocusReason.PopupFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if watched is self._under and self.isVisible():
            if event.type() is QEvent.Type.Resize:
                self._place()
            elif event.type() is QEvent.Type.Hide:
                self.close()
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        colors, painter = theme().palette, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shade = QColor(colors.sunken if colors.dark else colors.text)
        shade.setAlpha(150 if colors.dark else 70)
        painter.fillRect(self.rect(), shade)
        painter.setPen(Qt.PenStyle.NoPen)
        shade.setAlpha(14 if colors.dark else 6)
        painter.setBrush(shade)
        for step in range(1, _SHADOW):
            around = QRectF(self.panel.geometry()).adjusted(-step, -step + 4, step, step + 4)
            painter.drawRoundedRect(around, 14 + step, 14 + step)

    # -- below ----------------------------------------------------------------------------------------------------

    def height_for(self, room: int) -> int:
        """How high the panel is to be where there are so many pixels."""
        return min(HIGHEST, room)

    def _place(self) -> None:
        whole = self._under.rect()
        self.setGeometry(whole)
        width = min(self._widest, whole.width() - 2 * Space.XL)
        above = max(int(Space.XL), min(120, whole.height() // 10))
        height = self.height_for(whole.height() - above - Space.XL)
        corner = QPoint((whole.width() - width) // 2, above)
        self.panel.setGeometry(corner.x(), corner.y(), width, height)
        self.update()

    def _focus_moved(self, _: QWidget | None, now: QWidget | None) -> None:
        if self.isVisible() and now is not None and now.window() is self.window() and not self.isAncestorOf(now):
            self.close()
