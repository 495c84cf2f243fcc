"""The list of queues: one row each, its headings, and below an open row all that is known of its queue."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QMargins, QModelIndex, QObject, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from desktop.look.icons import paint_icon
from desktop.look.language import number_text, tr
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.look.wording import duration_text
from desktop.models.queue_list import OpenRole, QueueListModel, QueueRole, QueueRow
from desktop.widgets.charts import paint_sparkline
from desktop.widgets.delegates import paint_ground, say_line
from desktop.widgets.lists import RowList
from desktop.widgets.pills import paint_pill, pill_size

_Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_SIDE = Space.L
"""Between the edges of a row and what stands in it."""

_CHEVRON = 14
_BELOW_PANEL = Space.XS + 1
_TREND_WIDTHS: Final = (48, 120)
_NAME_WANTED = 260
"""Pixels of a name's column, before the trend gets more than it needs."""


def row_height() -> int:
    """Of a row that is closed, and of an open one's head."""
    return QFontMetrics(theme().font("medium")).height() + QFontMetrics(theme().font("small")).height() + 21


def headings() -> dict[str, str]:
    """Of the columns, from left to right."""
    return {
        "name": tr("Queue"), "trend": tr("Backlog"), "waiting": tr("Waiting"), "oldest": tr("Oldest"),
        "running": tr("Running"), "state": tr("State"),
    }  # fmt: skip


def columns(area: QRect) -> dict[str, QRect]:
    """Where the columns of a row are that is as wide as `area`."""
    metrics = QFontMetrics(theme().font("caption"))
    said = headings()
    states = (tr("Polling"), tr("Not polling"), tr("No answer"))
    widths = {
        "state": max(pill_size(word).width() for word in states),
        **{
            name: max(narrow, metrics.horizontalAdvance(said[name]) + 2)
            for name, narrow in (("running", 44), ("oldest", 80), ("waiting", 52))
        },
    }
    left = area.left() + _SIDE + _CHEVRON + Space.S
    rest = area.right() - _SIDE - left - sum(widths.values()) - len(widths) * Space.L - Space.M
    least = max(_TREND_WIDTHS[0], metrics.horizontalAdvance(said["trend"]) + 2)
    widths["trend"] = max(least, min(_TREND_WIDTHS[1], rest - _NAME_WANTED))
    found, right = {}, area.right() - _SIDE
    for name, width in widths.items():
        found[name] = QRect(right - width, area.top(), width, area.height())
        right -= width + Space.L
    found["name"] = QRect(left, area.top(), max(24, right - left), area.height())
    return found


class QueueHeadings(QWidget):
    """What the columns are."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(", ".join(headings().values()))
        self.setFixedHeight(QFontMetrics(theme().font("caption")).height() + Space.S)
        self.room = 0
        """Pixels at the right that the rows leave to their scroll bar."""

        theme().changed.connect(self.update)

    def leave(self, room: int) -> None:
        if room != self.room:
            self.room = room
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        painter, said = QPainter(self), headings()
        font, color = theme().font("caption"), theme().palette.muted
        for name, area in columns(self.rect().adjusted(0, 0, -self.room, 0)).items():
            if name in {"waiting", "oldest", "running"}:
                say_line(painter, area, said[name], font, color, _RIGHT)
            else:
                say_line(painter, area, said[name], font, color)


class QueueDelegate(QStyledItemDelegate):
    """Name and environment, what waits and how it went, what runs here, and the state in a word."""

    def __init__(self) -> None:
        super().__init__()
        self.below = 0
        """Pixels below the head of the open row."""

        self.opened = -1
        """The open row's number; -1: none is."""

        self._size = QSize(200, row_height())
        theme().changed.connect(self._measure)

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802 (Qt's own name)
        """Asked for each of very many rows whenever one changes."""
        return self._size.grownBy(QMargins(0, 0, 0, self.below)) if index.row() == self.opened else self._size

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        row: QueueRow | None = index.data(QueueRole)
        if row is None:
            return
        opened = bool(index.data(OpenRole))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if opened:
            painter.setPen(QColor(theme().palette.line))
            painter.setBrush(QColor(theme().palette.sunken))
            painter.drawRoundedRect(QRectF(option.rect).adjusted(4.5, 1.5, -4.5, -3.5), 8, 8)
        head = QStyleOptionViewItem(option)
        head.rect = QRect(option.rect.left(), option.rect.top(), option.rect.width(), row_height())
        paint_ground(painter, head)
        self._paint_head(painter, head.rect, row, opened=opened)
        painter.restore()

    def _measure(self) -> None:
        self._size = QSize(200, row_height())

    def _paint_head(self, painter: QPainter, area: QRect, row: QueueRow, *, opened: bool) -> None:
        colors, medium, places = theme().palette, theme().font("medium"), columns(area)
        middle = area.top() + area.height() / 2
        chevron = QRectF(area.left() + _SIDE, middle - _CHEVRON / 2, _CHEVRON, _CHEVRON)
        paint_icon(painter, "chevron-down" if opened else "chevron-right", colors.muted, chevron)
        self._paint_name(painter, places["name"], row)
        trend = QRectF(places["trend"]).adjusted(0, Space.M, 0, -Space.M)
        paint_sparkline(painter, trend, row.trend)
        waiting = "–" if row.waiting is None else number_text(row.waiting)
        oldest = "" if row.oldest_seconds is None else duration_text(row.oldest_seconds)
        for name, said, counts in (
            ("waiting", waiting, bool(row.waiting)),
            ("oldest", oldest, True),
            ("running", number_text(row.running), bool(row.running)),
        ):
            say_line(painter, places[name], said, medium, colors.text if counts else colors.muted, _RIGHT)
        pill = pill_size(row.state)
        paint_pill(
            painter,
            QRectF(places["state"].left(), middle - pill.height() / 2, pill.width(), pill.height()),
            row.state,
            row.tone,
        )

    @staticmethod
    def _paint_name(painter: QPainter, area: QRect, row: QueueRow) -> None:
        colors, small = theme().palette, theme().font("small")
        height = QFontMetrics(theme().font("medium")).height()
        upper = QRect(area.left(), area.top() + 9, area.width(), height + 1)
        if not (row.environment or row.remark):
            upper.moveTop(area.top() + (area.height() - upper.height()) // 2)
        say_line(painter, upper, row.name, theme().font("medium"), colors.text)
        lower = QRect(area.left(), upper.bottom() + 2, area.width(), QFontMetrics(small).height() + 1)
        if row.remark:
            width = say_line(painter, lower, row.remark, small, colors.warning_ink)
            lower.setLeft(lower.left() + width + Space.M)
        if lower.width() > 3 * Space.XL:
            say_line(painter, lower, row.environment, small, colors.muted)


class QueueList(RowList):
    """A click, Enter or Right opens a row, and closes it again, as Escape and Left do. `panel` then lies below its
    head, as high as it wants to be, and moves with it.
    """

    def __init__(self, name: str, model: QueueListModel, panel: QWidget) -> None:
        self._panel, self._rows, self._queues = panel, QueueDelegate(), model
        self._noted: tuple[QPersistentModelIndex, int] | None = None
        super().__init__(name, model, self._rows)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        panel.setParent(self.viewport())
        panel.hide()
        panel.installEventFilter(self)
        self.chosen.connect(self._toggle)
        model.layoutAboutToBeChanged.connect(self._note_place)
        model.layoutChanged.connect(self._keep_place)

    def open(self, queue_id: str) -> None:
        """Open the row of this queue, and close any other; empty: close it."""
        self._queues.open(queue_id)
        self._fit()
        if (place := self._queues.row_of(queue_id)) < 0:
            return
        index = self._queues.index(place)
        if index != self.currentIndex():
            self.setCurrentIndex(index)
        high = self.visualRect(index).height() > self.viewport().height()
        hint = QAbstractItemView.ScrollHint
        self.scrollTo(index, hint.PositionAtTop if high else hint.EnsureVisible)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        row: QueueRow | None = self.currentIndex().data(QueueRole) if self.currentIndex().isValid() else None
        opened, key = self._queues.opened, event.key()
        if key == Qt.Key.Key_Right and row is not None and row.queue.queue_id != opened:
            self.open(row.queue.queue_id)
        elif key in {Qt.Key.Key_Left, Qt.Key.Key_Escape} and opened:
            self.open("")
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        super().resizeEvent(event)
        self._fit()

    def doItemsLayout(self) -> None:  # noqa: N802 (Qt's own name)
        self._rows.opened = self._queues.row_of(self._queues.opened)
        super().doItemsLayout()

    def updateGeometries(self) -> None:  # noqa: N802 (Qt's own name)
        super().updateGeometries()
        self._lay_panel()

    def scrollContentsBy(self, dx: int, dy: int) -> None:  # noqa: N802 (Qt's own name)
        super().scrollContentsBy(dx, dy)
        self._lay_panel()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if watched is self._panel and event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return bool(super().eventFilter(watched, event))

    # -- below ----------------------------------------------------------------------------------------------------

    def _toggle(self, index: QModelIndex) -> None:
        row: QueueRow = index.data(QueueRole)
        self.open("" if row.queue.queue_id == self._queues.opened else row.queue.queue_id)

    def _open_index(self) -> QModelIndex:
        place = self._queues.row_of(self._queues.opened)
        return self._queues.index(place) if place >= 0 else _NO_INDEX

    def _fit(self) -> None:
        """Make the room that the panel wants."""
        below = 0
        if self._queues.opened:
            width = self.viewport().width() - 2 * Space.S
            grows = self._panel.hasHeightForWidth()
            below = (self._panel.heightForWidth(width) if grows else self._panel.sizeHint().height()) + _BELOW_PANEL
        self._rows.below = below
        self.setUniformItemSizes(not below)  # otherwise each row is asked how high it is
        self.doItemsLayout()

    def _lay_panel(self) -> None:
        index = self._open_index()
        if not index.isValid():
            self._panel.hide()
            return
        area = self.visualRect(index)
        area.adjust(Space.S, row_height(), -Space.S, -_BELOW_PANEL)
        self._panel.setGeometry(area)
        self._panel.show()

    def _note_place(self) -> None:
        """The row that somebody is at: it is open, or the keyboard is there; only where it is seen."""
        index = self._open_index()
        if not index.isValid() and self.hasFocus():
            index = self.currentIndex()
        area = self.visualRect(index) if index.isValid() else QRect()
        seen = index.isValid() and area.intersects(self.viewport().rect())
        self._noted = (QPersistentModelIndex(index), area.top()) if seen else None

    def _keep_place(self) -> None:
        """It is where it was on the screen, wherever it went among the others."""
        if self._noted is None:
            return
        (index, top), self._noted = self._noted, None
        self.doItemsLayout()
        bar = self.verticalScrollBar()
        bar.setValue(bar.value() + self.visualRect(index).top() - top)
