"""Buttons, the switch and the sidebar's entries: all with a name for screen readers and icons that follow the theme."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFocusEvent, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QPushButton, QSizePolicy, QToolButton

from desktop.look.icons import paint_icon
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.look.wording import tooltip_text

_AFTER_ICON = 3
"""Pixels beside the four that Qt leaves between a button's icon and its words."""


class Button(QPushButton):
    """A button with text; `variant` is `""`, `primary`, `danger` or `quiet`."""

    def __init__(self, text: str, *, icon: str = "", variant: str = "", tip: str = "") -> None:
        super().__init__(text)
        self._icon_name = icon
        self.setProperty("variant", variant)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(text)
        self.setAutoDefault(False)
        if tip:
            self.setToolTip(tooltip_text(tip))
        self._redraw()
        theme().changed.connect(self._redraw)

    def setText(self, text: str) -> None:  # noqa: N802 (Qt's own name)
        super().setText(text)
        self.setAccessibleName(text)

    def set_icon(self, name: str) -> None:
        self._icon_name = name
        self._redraw()

    def _redraw(self) -> None:
        if self._icon_name:
            colors = theme().palette
            variant = self.property("variant")
            color = {"primary": colors.on_accent, "danger": colors.danger_ink}.get(variant, colors.muted)
            after = _AFTER_ICON if self.text() else 0
            self.setIcon(theme().icon(self._icon_name, color, size=16, after=after))
            self.setIconSize(QSize(16 + after, 16))


class IconButton(QToolButton):
    """A button that is only an icon: its name is its tooltip and what a screen reader says."""

    def __init__(self, icon: str, name: str, *, checkable: bool = False) -> None:
        super().__init__()
        self._icon_name = icon
        self.setProperty("variant", "quiet")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCheckable(checkable)
        self.set_name(name)
        self._redraw()
        theme().changed.connect(self._redraw)
        self.toggled.connect(self._redraw)

    def set_name(self, name: str) -> None:
        self.setAccessibleName(name)
        self.setToolTip(tooltip_text(name))

    def set_icon(self, name: str) -> None:
        if name != self._icon_name:
            self._icon_name = name
            self._redraw()

    def _redraw(self, *_: object) -> None:
        color = theme().palette.accent_ink if self.isChecked() else theme().palette.muted
        self.setIcon(theme().icon(self._icon_name, color, size=17))
        self.setIconSize(QSize(17, 17))


class NavButton(QAbstractButton):
    """An entry of the sidebar: icon, text, and a count that matters."""

    def __init__(self, icon: str, text: str, *, shortcut: str = "") -> None:
        super().__init__()
        self._icon_name = icon
        self._count = 0
        self._urgent = self._folded = False
        self.setText(text)
        self.setCheckable(True)
        self._by_keys = False
        """The focus came by the keyboard, and has a ring."""

        self.setAutoExclusive(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(text)
        if shortcut:
            self.setToolTip(tooltip_text(f"{text}  ({shortcut})"))
        theme().changed.connect(self.update)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802 (Qt's own name)
        if event.reason() not in {Qt.FocusReason.ActiveWindowFocusReason, Qt.FocusReason.PopupFocusReason}:
            self._by_keys = event.reason() is not Qt.FocusReason.MouseFocusReason
        super().focusInEvent(event)
        self.update()

    def set_count(self, count: int, *, urgent: bool = False) -> None:
        if (count, urgent) != (self._count, self._urgent):
            self._count, self._urgent = count, urgent
            self.setAccessibleName(f"{self.text()}, {count}" if count else self.text())
            self.update()

    def fold(self, folded: bool) -> None:
        """Its picture alone; the tooltip has the name."""
        if folded != self._folded:
            self._folded = folded
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's own name)
        return QSize(40 if self._folded else 180, QFontMetrics(theme().font("medium")).height() + 16)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        colors, painter = theme().palette, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        if self.isChecked() or self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.selected if self.isChecked() else colors.raised))
            painter.drawRoundedRect(area, 7, 7)
        if self.hasFocus() and self._by_keys:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QColor(colors.accent_ink))
            painter.drawRoundedRect(area, 7, 7)
        ink = colors.text if self.isChecked() else colors.muted
        middle = self.height() / 2
        paint_icon(
            painter, self._icon_name, colors.accent_ink if self.isChecked() else ink, QRectF(10, middle - 9, 18, 18)
        )
        painter.setFont(theme().font("medium"))
        painter.setPen(QColor(ink))
        if not self._folded:
            painter.drawText(self.rect().adjusted(38, 0, -Space.M, 0), int(Qt.AlignmentFlag.AlignVCenter), self.text())
        if self._count and self._folded:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.warning_ink if self._urgent else colors.accent_ink))
            painter.drawEllipse(QRectF(self.width() - 13, 5, 8, 8))
        elif self._count:
            self._paint_count(painter)

    def _paint_count(self, painter: QPainter) -> None:
        colors, font = theme().palette, theme().font("caption")
        said = str(self._count) if self._count < 1000 else "999+"
        width = max(20, QFontMetrics(font).horizontalAdvance(said) + 12)
        area = QRectF(self.width() - width - 8, self.height() / 2 - 9, width, 18)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.warning_soft if self._urgent else colors.raised))
        painter.drawRoundedRect(area, 9, 9)
        painter.setFont(font)
        painter.setPen(QColor(colors.warning_ink if self._urgent else colors.muted))
        painter.drawText(area, int(Qt.AlignmentFlag.AlignCenter), said)


class Switch(QAbstractButton):
    """On or off, at once. Its accessible name says what."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setCheckable(True)
        self.setAccessibleName(name)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedSize(38, 24)
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 (Qt's own name)
        colors, painter = theme().palette, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        track = QRectF(2, 2, 34, 20)
        painter.setPen(QColor(colors.accent_ink) if self.hasFocus() else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.accent if self.isChecked() else colors.edge))
        painter.drawRoundedRect(track, 10, 10)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor("#ffffff"))
        painter.drawEllipse(QRectF(track.right() - 18 if self.isChecked() else track.left() + 2, 4, 16, 16))
