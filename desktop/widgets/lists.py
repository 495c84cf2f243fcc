"""List views that look like the rest and are driven by keys."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractItemModel, QModelIndex, Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemDelegate,
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QListView,
    QSizePolicy,
    QStyleOptionViewItem,
    QTableView,
)

from desktop.look.theme import theme


class RowList(QListView):
    """A list of rows drawn by a delegate. `chosen` comes with a click, Enter, or (where asked) with the arrow keys."""

    chosen = Signal(QModelIndex)

    def __init__(
        self, name: str, model: QAbstractItemModel, delegate: QAbstractItemDelegate, *, follows_arrows: bool = False
    ) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setModel(model)
        delegate.setParent(self)
        self.setItemDelegate(delegate)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.viewport().setAutoFillBackground(False)
        self._follows = follows_arrows
        self.clicked.connect(self.chosen)
        theme().changed.connect(self.viewport().update)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        before = self.currentIndex()
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and before.isValid():
            self.chosen.emit(before)
            return
        super().keyPressEvent(event)
        if self._follows and self.currentIndex() != before and self.currentIndex().isValid():
            self.chosen.emit(self.currentIndex())


class LineTable(QTableView):
    """One column of very many equal rows: a QListView would ask the model about each of them whenever one comes."""

    def __init__(self, name: str, model: QAbstractItemModel, delegate: QAbstractItemDelegate) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setModel(model)
        delegate.setParent(self)
        self.setItemDelegate(delegate)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setStyleSheet("QTableView { selection-background-color: transparent; }")  # the delegate draws it
        self.setShowGrid(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setAutoFillBackground(False)
        self.setCornerButtonEnabled(False)
        for part in (self.horizontalHeader(), self.verticalHeader(), *self.findChildren(QAbstractButton)):
            part.setAccessibleName(name)
        self.horizontalHeader().hide()
        self.horizontalHeader().setStretchLastSection(True)
        rows = self.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setMinimumSectionSize(1)
        rows.setDefaultSectionSize(delegate.sizeHint(QStyleOptionViewItem(), QModelIndex()).height())
        theme().changed.connect(self.viewport().update)


class FactTable(QTableView):
    """A table of words with a head. `chosen` comes with a click and with Enter."""

    chosen = Signal(QModelIndex)

    def __init__(self, name: str, model: QAbstractItemModel, *, widths: Sequence[int]) -> None:
        """`widths` of the columns, in pixels; the last takes what is left."""
        super().__init__()
        self.setAccessibleName(name)
        self.setModel(model)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.viewport().setAutoFillBackground(False)
        self.setCornerButtonEnabled(False)
        self.setFont(theme().font("small"))
        head, rows = self.horizontalHeader(), self.verticalHeader()
        for part in (head, rows, *self.findChildren(QAbstractButton)):
            part.setAccessibleName(name)
        head.setHighlightSections(False)
        head.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        head.setMinimumSectionSize(40)
        head.setStretchLastSection(True)
        for number, width in enumerate(widths):
            self.setColumnWidth(number, width)
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(QFontMetrics(self.font()).height() + 8)
        self.clicked.connect(self.chosen)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and self.currentIndex().isValid():
            self.chosen.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)


class FittedList(RowList):
    """A short list that is as high as its rows and does not scroll."""

    def __init__(self, name: str, model: QAbstractItemModel, delegate: QAbstractItemDelegate) -> None:
        super().__init__(name, model, delegate)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for signal in (model.rowsInserted, model.rowsRemoved, model.modelReset):
            signal.connect(self._fit)
        self._fit()

    def _fit(self, *_: object) -> None:
        rows = self.model().rowCount()
        self.setFixedHeight(max(1, rows * self.sizeHintForRow(0)) if rows else 0)
