"""How a row of the palette is drawn: a picture, the title, what is about it, its kind and its keys."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from desktop.look.icons import paint_icon
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.models.command_list import CommandRole
from desktop.models.commands import NamedCommand
from desktop.widgets.key_caps import caps_size, paint_caps

_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_ICON = 18


def row_height() -> int:
    return QFontMetrics(theme().font("medium")).height() + 20


class CommandDelegate(QStyledItemDelegate):
    """The title is never cut for what is beside it, as long as it leaves a third to it."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:  # noqa: N802 (Qt's own name)
        return QSize(200, row_height())

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        one: NamedCommand | None = index.data(CommandRole)
        if one is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors, area = theme().palette, option.rect.adjusted(Space.S, 1, -Space.S, -1)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.accent_soft if chosen else colors.raised))
            painter.drawRoundedRect(QRectF(area), 8, 8)
        inside = area.adjusted(Space.M, 0, -Space.M, 0)
        tone = colors.danger_ink if one.ends else colors.accent_ink if chosen else colors.muted
        middle = inside.center().y() + 0.5
        paint_icon(painter, one.icon, tone, QRectF(inside.left(), middle - _ICON / 2, _ICON, _ICON))
        right = inside.right()
        if one.keys:
            paint_caps(painter, right, middle, one.keys[:2])
            right -= caps_size(one.keys[:2]).width() + Space.M
        small, medium = theme().font("small"), theme().font("medium")
        if not one.keys:
            painter.setFont(small)
            painter.setPen(QColor(colors.muted))
            whole = QRect(inside.left(), inside.top(), right - inside.left(), inside.height())
            painter.drawText(whole, _RIGHT, one.kind)
            right -= QFontMetrics(small).horizontalAdvance(one.kind) + Space.L
        left = inside.left() + _ICON + Space.M
        room, wanted = right - left, QFontMetrics(medium).horizontalAdvance(one.title)
        width = min(wanted, room if not one.about else max(room * 2 // 3, room - _width(one.about) - Space.M))
        _say(painter, QRect(left, inside.top(), width + 1, inside.height()), one.title, "medium", colors.text)
        if one.about and (rest := room - width - Space.M) > 40:
            _say(
                painter, QRect(left + width + Space.M, inside.top(), rest, inside.height()), one.about, "small",
                colors.muted,
            )  # fmt: skip
        painter.restore()


def _width(text: str) -> int:
    return QFontMetrics(theme().font("small")).horizontalAdvance(text[:200])


def _say(painter: QPainter, area: QRect, text: str, role: str, color: str) -> None:
    font = theme().font(role)
    painter.setFont(font)
    painter.setPen(QColor(color))
    said = " ".join(text[:600].split())
    painter.drawText(area, _LEFT, QFontMetrics(font).elidedText(said, Qt.TextElideMode.ElideRight, area.width()))
