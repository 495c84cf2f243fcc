"""The popover: a small window at the icon with what waits, what runs, and what can be done at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QCursor, QGuiApplication, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QFrame, QScrollArea, QSizePolicy, QWidget

from desktop.look.language import tr
from desktop.look.menus import round_off
from desktop.look.theme import theme
from desktop.look.tokens import Space
from desktop.notices.action import Action
from desktop.popover.content import PopoverContent
from desktop.popover.head import PopoverHead
from desktop.popover.place import HIGHEST, anchor_of, place
from desktop.system.platforms.ports import ScreenLock
from desktop.tray.facts import TrayFacts
from desktop.tray.picture import status, tooltip
from desktop.widgets.buttons import Button
from desktop.widgets.clock import SeenClock
from desktop.widgets.layouts import column, row
from desktop.widgets.surfaces import Banner, Line
from desktop.windows.describing import Describing
from desktop.windows.desk import Desk

WIDTH: Final = 380
"""Pixels where the system's font has 13."""

RADIUS: Final = 14
_LEADS_AWAY: Final = frozenset(
    {Action.OPEN, Action.OPEN_EXECUTION, Action.OPEN_APPROVAL, Action.NEW_TASK, Action.SETTINGS}
)


class Popover(QWidget):
    """Hidden until `open_at`. Escape closes it, and whatever takes the focus to another window.

    It is as high as what it has, up to a part of the screen. While the pointer is in it, it stays as it is, and what
    comes is scrolled to: nothing moves from under a hand.
    """

    chosen = Signal(object, str)
    """An `Action`, and what it is about."""

    def __init__(
        self,
        desk: Desk,
        *,
        screen_lock: ScreenLock | None = None,
        now: Callable[[], float] = time.monotonic,
        pointer: Callable[[], QPoint] = QCursor.pos,
    ) -> None:
        flags = Qt.WindowType.Tool | Qt.WindowType.FramelessWindowHint | Qt.WindowType.WindowStaysOnTopHint
        super().__init__(None, flags | Qt.WindowType.NoDropShadowWindowHint)
        theme()
        self._desk, self._lock, self._now, self._pointer = desk, screen_lock, now, pointer
        self._facts = TrayFacts(snapshot=desk.worker.snapshot)
        self._anchor, self._was_active = QRect(), False
        self.opened_at = 0.0
        self.left: tuple[float, QPoint] | None = None
        """When it closed since the focus went elsewhere, and where the pointer was."""

        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
        self._head = PopoverHead(self._choose)
        self._banner = Banner()
        desk.background.failed.connect(self._complain)
        self._content = PopoverContent(desk, self._choose)
        self._scroll = QScrollArea()
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(self._content)
        self._above = QFrame()
        self._above.setLayout(column(self._head, self._said(), gap=0))
        self._below = QFrame()
        self._below.setLayout(column(Line(), self._ways(), gap=0))
        self._panel = QFrame(self)
        self._panel.setProperty("ground", "overlay")
        for part in (self._above, self._scroll, self._below):
            part.setParent(self._panel)
        sized: tuple[QWidget, ...] = (self._above, self._content, self._below)
        for one in sized:
            one.installEventFilter(self)
        self._describing = Describing(desk, is_seen=self.isVisible)
        SeenClock(self, self._tick, wound=True)
        if screen_lock is not None:
            screen_lock.unlocked.connect(self._show)

    # -- public ---------------------------------------------------------------------------------------------------

    def open_at(self, icon: QRect, facts: TrayFacts) -> None:
        """Show it beside the icon; where nobody knows where that is (not valid), beside the pointer."""
        self.opened_at, self.left, self._was_active = self._now(), None, False
        self._anchor = anchor_of(icon, self._pointer())
        self._banner.hide()
        self._content.begin()
        self.take(facts, opens=True)
        self._scroll.verticalScrollBar().setValue(0)
        self._fit()
        self.show()
        self._fit()
        self.raise_()
        self.activateWindow()
        self.setFocus(Qt.FocusReason.PopupFocusReason)
        self._describing.catch_up(of=20)

    def take(self, facts: TrayFacts, *, opens: bool = False) -> None:
        """What is known now; nobody sees it while it is closed."""
        self._facts = facts
        if opens or self.isVisible():
            self._show()

    # -- below ----------------------------------------------------------------------------------------------------

    def _said(self) -> QFrame:
        made = QFrame()
        made.setLayout(column(self._banner, margins=(Space.M, 0, Space.M, 0)))
        return made

    def _ways(self) -> QFrame:
        begin = Button(tr("New task"), icon="plus")
        begin.clicked.connect(lambda: self._choose(Action.NEW_TASK, ""))
        opens = Button(tr("Open window"))
        opens.clicked.connect(lambda: self._choose(Action.OPEN, ""))
        for button in (begin, opens):
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        made = QFrame()
        made.setLayout(row(begin, opens, margins=(Space.M, Space.M, Space.M, Space.M)))
        return made

    def _choose(self, action: Action, target: str) -> None:
        if action in _LEADS_AWAY:
            self.hide()
        self.chosen.emit(action, target)

    def _complain(self, sentence: str) -> None:
        if self.isVisible():
            self._banner.say(sentence)

    def _show(self) -> None:
        locked = self._lock is not None and self._lock.is_locked()
        self.setWindowTitle(status(self._facts))
        self.setAccessibleName(tooltip(self._facts))
        self._head.take(self._facts, locked=locked)
        self._content.take(self._facts.snapshot, locked=locked)

    def _tick(self) -> None:
        self._show()
        self._content.tick()

    # -- its size -------------------------------------------------------------------------------------------------

    def _fit(self) -> None:
        """As high as what it has, beside the icon."""
        screen = QGuiApplication.screenAt(self._anchor.center()) or QGuiApplication.primaryScreen()
        room = screen.availableGeometry()
        width = min(round(WIDTH * theme().font("body").pixelSize() / 13), room.width())
        wanted = sum(_height(part, width - 2) for part in (self._above, self._content, self._below)) + 2
        size = QSize(width, min(wanted, round(room.height() * HIGHEST)))
        where = place(size, anchor=self._anchor, room=room, whole=screen.geometry())
        if where.size() != self.size():
            self.setFixedSize(size)
        if where.topLeft() != self.pos():
            self.move(where.topLeft())
        self._arrange()

    def _arrange(self) -> None:
        """The middle has what the top and the foot leave. What is read in it stays where it is on the screen."""
        self._panel.setGeometry(self.rect())
        inside = self.rect().adjusted(1, 1, -1, -1)
        above, below = _height(self._above, inside.width()), _height(self._below, inside.width())
        middle = inside.adjusted(0, above, 0, -below)
        moved, bar = middle.top() - self._scroll.y(), self._scroll.verticalScrollBar()
        read = bar.value() and bar.value() + moved
        self._above.setGeometry(inside.left(), inside.top(), inside.width(), above)
        self._below.setGeometry(inside.left(), middle.bottom() + 1, inside.width(), below)
        if self._scroll.geometry() != middle:
            self._scroll.setGeometry(middle)
            bar.setValue(read)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's own name)
        if event.type() is QEvent.Type.LayoutRequest and self.isVisible():
            if self.underMouse():
                self._arrange()
            else:
                self._fit()
        return False

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's own name)
        super().leaveEvent(event)
        if self.isVisible():
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 (Qt's own name)
        """Round also where no compositor lets through what lies behind."""
        super().resizeEvent(event)
        round_off(self, RADIUS)

    # -- keys and focus -------------------------------------------------------------------------------------------

    def setVisible(self, visible: bool) -> None:  # noqa: N802 (Qt's own name)
        if not visible:
            self._was_active = False  # what takes the focus now is not what closes it
        super().setVisible(visible)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's own name)
        super().changeEvent(event)
        if event.type() is not QEvent.Type.ActivationChange or not self.isVisible():
            return
        if self.isActiveWindow():
            self._was_active = True
        elif self._was_active and QApplication.activePopupWidget() is None:
            self.left = (self._now(), self._pointer())
            self.hide()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's own name)
        at = self.focusWidget()
        if event.key() == Qt.Key.Key_Escape:
            self.hide()
        elif event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and isinstance(at, QAbstractButton):
            at.click()
        event.accept()

    def focusNextPrevChild(self, forward: bool) -> bool:  # noqa: N802 (Qt's own name)
        """As it is read: what came last is not the last."""
        parts = [
            one
            for one in self.findChildren(QWidget)
            if one.isVisible() and one.isEnabled() and one.focusPolicy() & Qt.FocusPolicy.TabFocus
        ]
        parts.sort(key=lambda one: (one.mapTo(self, QPoint()).y(), one.mapTo(self, QPoint()).x()))
        if parts:
            at = self.focusWidget()
            place = parts.index(at) + (1 if forward else -1) if at in parts else 0 if forward else -1
            reason = Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
            parts[place % len(parts)].setFocus(reason)
        return bool(parts)


def _height(part: QWidget, width: int) -> int:
    """How high it wants to be where it is so wide."""
    layout = part.layout()
    assert layout is not None
    return layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.totalSizeHint().height()
