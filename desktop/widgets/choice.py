"""A list to choose one thing from, with an arrow of our own."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QComboBox, QListView, QStyle, QStyleOptionComboBox

from desktop.look.icons import paint_icon
from desktop.look.theme import theme
from desktop.look.wording import tooltip_text


class Choice(QComboBox):
    """Values with texts; `chosen` is the value."""

    def __init__(self, name: str, options: Sequence[tuple[str, str]], *, chosen: str = "") -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._has_own_list = False
        self.setMaxVisibleItems(14)
        self.currentIndexChanged.connect(self._tell)
        self.offer(options)
        self.choose(chosen)
        self.view().setAccessibleName(name)

    @property
    def chosen(self) -> str:
        return str(self.currentData() or "")

    def choose(self, value: str) -> None:
        if (place := self.findData(value)) >= 0:
            self.setCurrentIndex(place)

    def offer(self, options: Sequence[tuple[str, str]]) -> None:
        """Other options; what is chosen stays so where it is still there."""
        if [(self.itemData(n), self.itemText(n)) for n in range(self.count())] == list(options):
            return
        before = self.chosen
        self.blockSignals(True)
        self.clear()
        for value, text in options:
            self.addItem(text[:60], value)
        self.choose(before)
        self.blockSignals(False)
        self._tell()
        if self.chosen != before:
            self.currentIndexChanged.emit(self.currentIndex())

    def initStyleOption(self, option: QStyleOptionComboBox) -> None:  # noqa: N802 (Qt's own name)
        """What does not fit ends in an ellipsis; Qt asks for this to measure as well, where the texts are whole."""
        super().initStyleOption(option)
        if not self.testAttribute(Qt.WidgetAttribute.WA_WState_InPaintEvent):
            return
        room = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        option.currentText = self.fontMetrics().elidedText(
            self.currentText(), Qt.TextElideMode.ElideRight, room.width() + 1
        )

    def _tell(self, *_: object) -> None:
        """Its name, and all of what it says."""
        self.setToolTip(tooltip_text(f"{self.accessibleName()}: {self.currentText()}"))

    def showPopup(self) -> None:  # noqa: N802 (Qt's own name)
        """The list that has our style is made when it is first opened; most never are."""
        if not self._has_own_list:
            self._has_own_list = True
            view = QListView()
            view.setAccessibleName(self.accessibleName())
            self.setView(view)
        super().showPopup()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 (Qt's own name)
        """A wheel that passes by on a scrolling page changes nothing."""
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        super().paintEvent(event)
        painter = QPainter(self)
        area = QRectF(self.width() - 24, self.height() / 2 - 7, 14, 14)
        paint_icon(painter, "chevron-down", theme().palette.muted, area)
