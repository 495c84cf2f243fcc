"""Who computes on the GPUs: executions, each of which can be opened, and how many others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QTableWidget, QTableWidgetItem

from desktop.look.language import number_text, tr
from desktop.look.theme import theme
from desktop.look.wording import size_text, tooltip_text
from desktop.widgets.surfaces import Card
from desktop.widgets.text import Label

if TYPE_CHECKING:
    from worker_core.machine.gpu_use import GpuUse

ROWS_SEEN: Final = 8
"""More can be scrolled to."""

_GPU: Final = 1
"""The column that says on which; where there is but one, it says nothing."""

_EXECUTION: Final = Qt.ItemDataRole.UserRole


class GpuProcesses(Card):
    """`chosen` comes with an execution's id."""

    chosen = Signal(str)

    def __init__(self, *, name_of: Callable[[str], str]) -> None:
        """`name_of`: what an execution is called, by its id."""
        super().__init__(tr("Processes on the GPUs"))
        self._name_of = name_of
        self.table = _Table(tr("Processes on the GPUs"))
        self.table.chosen.connect(self.chosen)
        self._others = Label("", role="small", tone="muted", wrap=True)
        self.body.addWidget(self.table)
        self.body.addWidget(self._others)

    def show_use(self, use: GpuUse) -> None:
        """Hidden where nothing is known of any."""
        lines = [
            (
                process.execution_id,
                (
                    self._name_of(process.execution_id),
                    f"{one.gpu.index}",
                    f"{process.pid}",
                    "–" if process.memory_bytes is None else size_text(process.memory_bytes),
                ),
            )
            for one in use.gpus
            for process in one.processes
        ]
        self.table.setColumnHidden(_GPU, len(use.gpus) == 1)
        self.table.show_lines(lines)
        self.table.setVisible(bool(lines))
        unlisted, others = (sum(one.unlisted for one in use.gpus), sum(one.others or 0 for one in use.gpus))
        said = [tr("{n} more of executions.", n=number_text(unlisted))] if unlisted else []
        if others:
            said.append(
                tr("1 process of others.") if others == 1 else tr("{n} processes of others.", n=number_text(others))
            )
        elif not lines and any(one.others == 0 for one in use.gpus):
            said.append(tr("None now."))
        self._others.setText("  ".join(said))
        self._others.setVisible(bool(said))
        self.setVisible(bool(lines or said))


class _Table(QTableWidget):
    chosen = Signal(str)

    def __init__(self, name: str) -> None:
        super().__init__(0, 4)
        self.setAccessibleName(name)
        for place, title in enumerate((tr("Execution"), tr("GPU"), tr("Process"), tr("GPU memory"))):
            head = QTableWidgetItem(title)
            head.setTextAlignment(_side(place))
            self.setHorizontalHeaderItem(place, head)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setCornerButtonEnabled(False)
        self.setMouseTracking(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        head_line = self.horizontalHeader()
        head_line.setHighlightSections(False)
        head_line.setSectionsClickable(False)
        head_line.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        head_line.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.clicked.connect(self._choose)
        theme().changed.connect(self._ink)

    def show_lines(self, lines: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Each with its execution. What is the same stays as it is: it is selected, or read aloud."""
        grown = len(lines) != self.rowCount()
        self.setRowCount(len(lines))
        for line, (execution_id, texts) in enumerate(lines):
            for place, text in enumerate(texts):
                item = self.item(line, place)
                if item is None:
                    item = QTableWidgetItem()
                    item.setTextAlignment(_side(place))
                    if place == 0:
                        item.setForeground(_link())
                    self.setItem(line, place, item)
                if item.text() != text:
                    item.setText(text)
                if place == 0 and item.data(_EXECUTION) != execution_id:
                    item.setData(_EXECUTION, execution_id)
                    item.setToolTip(tooltip_text(execution_id))
        if grown:
            height = self.horizontalHeader().sizeHint().height() + self.verticalHeader().defaultSectionSize() * min(
                len(lines), ROWS_SEEN
            )
            self.setFixedHeight(height + 2)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        return QSize(120, 0)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and self.currentIndex().isValid():
            self._choose(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if event.type() is QEvent.Type.MouseMove:
            over = self.indexAt(event.position().toPoint()).isValid()  # type: ignore[attr-defined]
            self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)
        return super().viewportEvent(event)

    def _choose(self, index: QModelIndex) -> None:
        if (item := self.item(index.row(), 0)) is not None:
            self.chosen.emit(item.data(_EXECUTION))

    def _ink(self) -> None:
        for line in range(self.rowCount()):
            if (item := self.item(line, 0)) is not None:
                item.setForeground(_link())


def _link() -> QBrush:
    return QBrush(QColor(theme().palette.accent_ink))


def _side(place: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if place == 0 else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter
