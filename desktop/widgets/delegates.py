"""How rows of lists are drawn: two quiet lines for an execution or a notice."""

from __future__ import annotations

from datetime import UTC, datetime

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from desktop.look.icons import paint_icon
from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Tone
from desktop.look.wording import count_text, duration_text, status_text, status_tone, step_text, when_text
from desktop.models.execution_list import ExecutionRole
from desktop.models.executions import Execution
from desktop.models.notice_list import ItemRole, state_text, time_text
from desktop.notices.inbox import InboxItem
from desktop.notices.notice import Level
from desktop.widgets.pills import paint_dot, paint_pill, pill_size

NARROW = 300
"""Of a row's inside, in pixels: below it a state is a point of colour, and a word in the second line."""

_Index = QModelIndex | QPersistentModelIndex
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


def paint_ground(painter: QPainter, option: QStyleOptionViewItem, radius: float = 8) -> None:
    """What a row lies on: shaded where it is chosen or pointed at, with a ring where the keyboard is."""
    colors, area = theme().palette, QRectF(option.rect).adjusted(4, 1, -4, -1)
    selected = bool(option.state & QStyle.StateFlag.State_Selected)
    over = bool(option.state & QStyle.StateFlag.State_MouseOver)
    if selected or over:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.selected if selected else colors.raised))
        painter.drawRoundedRect(area, radius, radius)
    if option.state & QStyle.StateFlag.State_HasFocus:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QColor(colors.accent_ink))
        painter.drawRoundedRect(area.adjusted(0.5, 0.5, -0.5, -0.5), radius, radius)


def say_line(painter: QPainter, area: QRect, text: str, font: QFont, color: str, how: int = _LEFT) -> int:
    """Draw one elided line; returns how wide it became."""
    painter.setFont(font)
    painter.setPen(QColor(color))
    metrics = QFontMetrics(font)
    said = metrics.elidedText(text[:600], Qt.TextElideMode.ElideRight, area.width())
    painter.drawText(area, how, said)
    return metrics.horizontalAdvance(said)


class ExecutionDelegate(QStyledItemDelegate):
    """Title and status above; agent, queue, duration and tokens below."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802 (Qt's own name)
        heights = QFontMetrics(theme().font("medium")).height() + QFontMetrics(theme().font("small")).height()
        return QSize(200, heights + 27)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        one: Execution | None = index.data(ExecutionRole)
        if one is None:
            return
        self._draw(
            painter, option, title=one.name, status=status_text(one.status),
            tone=status_tone(one.status), about=self._about(one), when=self._when(one),
        )  # fmt: skip

    @staticmethod
    def _draw(
        painter: QPainter, option: QStyleOptionViewItem, *, title: str, status: str, tone: Tone, about: str, when: str
    ) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option)
        colors, inside = theme().palette, option.rect.adjusted(16, 10, -16, -10)
        pill = pill_size(status)
        upper = QRect(inside.left(), inside.top(), inside.width(), pill.height())
        if inside.width() < NARROW:  # what it is called needs the line; the state goes before what else is said
            paint_dot(painter, QPointF(inside.left() + 4, QRectF(upper).center().y()), tone)
            upper.setLeft(inside.left() + 16)
            about = "  ·  ".join(filter(None, (status, about)))
        else:
            paint_pill(
                painter, QRectF(inside.right() - pill.width(), inside.top(), pill.width(), pill.height()), status, tone
            )
            upper.setWidth(inside.width() - pill.width() - 12)
        say_line(painter, upper, title, theme().font("medium"), colors.text)
        lower = QRect(
            inside.left(),
            inside.bottom() - QFontMetrics(theme().font("small")).height(),
            inside.width(),
            QFontMetrics(theme().font("small")).height() + 1,
        )
        width = say_line(painter, lower, when, theme().font("small"), colors.muted, _RIGHT)
        lower.setWidth(lower.width() - width - 16)
        say_line(painter, lower, about, theme().font("small"), colors.muted)
        painter.restore()

    @staticmethod
    def _when(one: Execution) -> str:
        now = datetime.now(UTC)
        if one.waits_since is not None:
            return tr("since {time}", time=when_text(one.waits_since, now))
        if one.is_live and (span := one.duration(now)) is not None:
            return duration_text(span)
        return f"{when_text(one.ended_at or one.started_at, now)}"

    @staticmethod
    def _about(one: Execution) -> str:
        parts = [one.agent, step_text(one.step) or one.queue]
        if not one.is_live or one.waits_since is not None:
            parts.append(duration_text(one.duration(datetime.now(UTC))))
        if one.tokens:
            parts.append(tr("{n} tokens", n=count_text(one.tokens)))
        return "  ·  ".join(part for part in parts if part)


class NoticeDelegate(ExecutionDelegate):
    """The title of a section; or what was said, what it is, and when; a clock, to put it off."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802 (Qt's own name)
        whole = super().sizeHint(option, index)
        if index.data(ItemRole) is None:
            whole.setHeight(QFontMetrics(theme().font("caption")).height() + 18)
        return whole

    @staticmethod
    def clock_of(row: QRect) -> QRect:
        """Where a row's clock is."""
        return QRect(row.right() - 44, row.center().y() - 14, 28, 28)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        item: InboxItem | None = index.data(ItemRole)
        if item is None:
            area = option.rect.adjusted(16, 6, -16, 0)
            say_line(painter, area, str(index.data() or ""), theme().font("caption"), theme().palette.muted)
            return
        tones: dict[Level, Tone] = {Level.NEWS: "neutral", Level.PROBLEM: "danger", Level.QUESTION: "warning"}
        calm = item.is_over or item.snoozed_until is not None
        row, own = QRect(option.rect), QStyleOptionViewItem(option)
        own.rect = row.adjusted(0, 0, -40, 0)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option)
        painter.restore()
        for mark in (
            QStyle.StateFlag.State_Selected, QStyle.StateFlag.State_MouseOver, QStyle.StateFlag.State_HasFocus,
        ):  # fmt: skip
            own.state = own.state & ~mark
        self._draw(
            painter, own, title=item.notice.title, status=state_text(item),
            tone="neutral" if calm else tones[item.notice.level],
            about=" ".join(item.notice.body.split()), when=time_text(item),
        )  # fmt: skip
        looked_at = option.state & (QStyle.StateFlag.State_MouseOver | QStyle.StateFlag.State_HasFocus)
        color = theme().palette.text if looked_at else theme().palette.muted
        paint_icon(painter, "clock", color, QRectF(self.clock_of(row)).adjusted(6, 6, -6, -6))


def level_tone(level: str) -> Tone:
    tones: dict[str, Tone] = {"WARNING": "warning", "ERROR": "danger", "CRITICAL": "danger"}
    return tones.get(level, "neutral")
