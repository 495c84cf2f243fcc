"""How rows of lists are drawn: two quiet lines for an execution, one exact line for the log."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from desktop.look.language import tr
from desktop.look.theme import theme
from desktop.look.tokens import Tone
from desktop.look.wording import count_text, duration_text, status_text, status_tone, when_text
from desktop.models.execution_list import ExecutionRole
from desktop.models.executions import Execution
from desktop.models.log_lines import LineRole, LogModel
from desktop.models.notice_list import NoticeRole
from desktop.notices.notifications import Level, Notice
from desktop.widgets.pills import paint_pill, pill_size
from worker_core.logs.ring import LogLine

_ID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_LEVELS = {"WARNING": "warn", "CRITICAL": "fatal"}

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
        paint_pill(
            painter, QRectF(inside.right() - pill.width(), inside.top(), pill.width(), pill.height()), status, tone
        )
        upper = QRect(inside.left(), inside.top(), inside.width() - pill.width() - 12, pill.height())
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
        doing = tr("model is thinking") if one.step == "model" else one.step
        parts = [one.agent, doing if one.step else one.queue]
        if not one.is_live or one.waits_since is not None:
            parts.append(duration_text(one.duration(datetime.now(UTC))))
        if one.tokens:
            parts.append(tr("{n} tokens", n=count_text(one.tokens)))
        return "  ·  ".join(part for part in parts if part)


class NoticeDelegate(ExecutionDelegate):
    """What was said, how urgent it was, and when."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        notice: Notice | None = index.data(NoticeRole)
        if notice is None:
            return
        tones: dict[Level, tuple[str, Tone]] = {
            Level.NEWS: (tr("News"), "neutral"),
            Level.PROBLEM: (tr("Problem"), "danger"),
            Level.QUESTION: (tr("Question"), "warning"),
        }
        status, tone = tones[notice.level]
        self._draw(
            painter, option, title=notice.title, status=status, tone=tone, about=" ".join(notice.body.split()),
            when=when_text(notice.at, datetime.now(UTC)),
        )  # fmt: skip


class LogDelegate(QStyledItemDelegate):
    """Time, level and text on one line, with the search's hits marked."""

    TIME_WIDTH = 74
    LEVEL_WIDTH = 52
    SHOWN = 600

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:  # noqa: N802 (Qt's own name)
        return QSize(200, QFontMetrics(theme().font("code")).height() + 7)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        line: LogLine | None = index.data(LineRole)
        if line is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option, 6)
        colors, code = theme().palette, theme().font("code")
        area = option.rect.adjusted(16, 0, -16, 0)
        say_line(
            painter,
            QRect(area.left(), area.top(), self.TIME_WIDTH, area.height()),
            f"{line.at.astimezone():%H:%M:%S}",
            code,
            colors.muted,
        )
        tone = level_tone(line.level)
        say_line(
            painter,
            QRect(area.left() + self.TIME_WIDTH, area.top(), self.LEVEL_WIDTH, area.height()),
            _LEVELS.get(line.level, line.level.lower()),
            code,
            colors.ink(tone),
        )
        left = area.left() + self.TIME_WIDTH + self.LEVEL_WIDTH
        first, *rest = line.message[: self.SHOWN].split("\n", 1)
        said = with_short_ids(first) + (f"   ⤶ +{line.message.count(chr(10))}" if rest else "")
        text_area = QRect(left, area.top(), area.right() - left, area.height())
        model = index.model()
        if isinstance(model, LogModel) and model.pattern is not None:
            self._mark(painter, text_area, said, model.pattern, code)
        faint = tone == "neutral" and line.level == "DEBUG"
        say_line(painter, text_area, said, code, colors.muted if faint else colors.text)
        painter.restore()

    @staticmethod
    def _mark(painter: QPainter, area: QRect, text: str, pattern: re.Pattern[str], font: QFont) -> None:
        metrics = QFontMetrics(font)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme().palette.hit))
        for number, hit in enumerate(pattern.finditer(text)):
            if number == 20:
                break
            left = area.left() + metrics.horizontalAdvance(text[: hit.start()])
            width = metrics.horizontalAdvance(hit.group())
            if width and left < area.right():
                box = QRectF(left - 1, area.top() + 3, min(width + 2, area.right() - left), area.height() - 6)
                painter.drawRoundedRect(box, 3, 3)


def with_short_ids(text: str) -> str:
    """Ids by their beginnings, as everywhere else: the message has the room. The line below has them whole."""
    return _ID.sub(lambda found: found[1], text) if "-" in text else text


def level_tone(level: str) -> Tone:
    tones: dict[str, Tone] = {"WARNING": "warning", "ERROR": "danger", "CRITICAL": "danger"}
    return tones.get(level, "neutral")
