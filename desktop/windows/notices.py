"""Notifications: what needs the person now, what is put off, and what was said, also while they were silenced."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QMouseEvent, QShowEvent
from PySide6.QtWidgets import QMenu

from desktop.look.language import tr
from desktop.look.menus import Menu
from desktop.look.wording import tomorrow_morning
from desktop.models.notice_list import ItemRole, NoticeList
from desktop.notices.action import Action
from desktop.notices.inbox import InboxItem, sections
from desktop.widgets.buttons import Button
from desktop.widgets.clock import SeenClock
from desktop.widgets.delegates import NoticeDelegate
from desktop.widgets.lists import RowList
from desktop.widgets.surfaces import Card, EmptyState
from desktop.windows.desk import Desk
from desktop.windows.page import Page

AGO_EVERY_MS = 30_000


class NoticesPage(Page):
    name = "notifications"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Notifications"), scrolls=False)
        self._model = NoticeList(self)
        self._none = EmptyState(
            "bell",
            tr("Nothing was said yet"),
            tr("Finished and failed executions, questions and lost connections are kept here, silenced ones too."),
        )
        self._snooze = Button(tr("Snooze"), icon="clock", tip=tr("Say nothing of the chosen notification for a while"))
        self._snooze.clicked.connect(self._ask_below)
        self._clear = Button(tr("Clear"), icon="close")
        self._clear.clicked.connect(self.desk.notices.clear)
        self.tools.addWidget(self._snooze)
        self.tools.addWidget(self._clear)
        self._list = _Notices(tr("Notifications"), self._model, self._ask)
        self._list.chosen.connect(self._follow)
        self._list.selectionModel().currentChanged.connect(self._offer)
        self._card = Card()
        self._card.body.setContentsMargins(4, 8, 4, 8)
        self._card.body.addWidget(self._list)
        self.body.addWidget(self._none, 1)
        self.body.addWidget(self._card, 1)
        SeenClock(self, self._look, interval_ms=AGO_EVERY_MS, wound=True)
        desk.notices.count(self._counted)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self.desk.notices.seen()
        self._look()

    def menu(self, item: InboxItem) -> QMenu:
        """What can be done with an item, besides following it."""
        made, notices, thing = Menu(self), self.desk.notices, item.notice.thing
        made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        now = datetime.now(UTC)
        for text, until in (
            (tr("For 1 hour"), now + timedelta(hours=1)),
            (tr("Until tomorrow"), tomorrow_morning(now)),
        ):
            made.addAction(text).triggered.connect(lambda *_, until=until: notices.put_off(thing, until))
        if item.snoozed_until is not None:
            made.addAction(tr("Bring it back now")).triggered.connect(lambda *_: notices.put_off(thing, None))
        return made

    # -- below ----------------------------------------------------------------------------------------------------

    def _counted(self) -> None:
        if not self.isVisible():
            return
        if self.desk.notices.unseen:
            self.desk.notices.seen()  # which calls this again
        else:
            self._look()

    def _look(self) -> None:
        """Show what is now; what was chosen, and how far one has scrolled, stays."""
        notices, bar = self.desk.notices, self._list.verticalScrollBar()
        found = sections(
            notices.history,
            notices.standing,
            snoozed_until=notices.snoozes.until,
            now=datetime.now(UTC),
            knows_questions=notices.knows_questions,
        )
        chosen, scrolled = self._list.currentIndex().data(ItemRole), bar.value()
        self._model.show(found)
        if isinstance(chosen, InboxItem) and (place := self._model.place_of(chosen.notice.thing)).isValid():
            self._list.setCurrentIndex(place)
        bar.setValue(scrolled)
        self._list.viewport().update()  # what is yesterday is another tomorrow
        self._none.setVisible(not found)
        self._card.setVisible(bool(found))
        self._clear.setVisible(bool(notices.history))
        self._snooze.setVisible(bool(found))
        self._offer()

    def _offer(self, *_: object) -> None:
        self._snooze.setEnabled(isinstance(self._list.currentIndex().data(ItemRole), InboxItem))

    def _follow(self, index: QModelIndex) -> None:
        item = index.data(ItemRole)
        if isinstance(item, InboxItem):
            if item.notice.action is Action.OPEN:  # the window is: how the worker is stands on its first page
                self.desk.frame.show_page("overview")
            else:
                self.desk.follow(item.notice)

    def _ask(self, index: QModelIndex, place: QPoint) -> None:
        item = index.data(ItemRole)
        if isinstance(item, InboxItem):
            self._list.setCurrentIndex(index)
            self.menu(item).popup(place)

    def _ask_below(self) -> None:
        self._ask(self._list.currentIndex(), self._snooze.mapToGlobal(QPoint(0, self._snooze.height())))


class _Notices(RowList):
    """Rows with a clock: a click on it, the other button of the mouse, and the menu's key ask what to do."""

    def __init__(self, name: str, model: NoticeList, ask: Callable[[QModelIndex, QPoint], None]) -> None:
        self._rows = NoticeDelegate()
        super().__init__(name, model, self._rows)
        self.setUniformItemSizes(False)
        self._asks = ask

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 (Qt's own name)
        place = event.position().toPoint()
        index = self.indexAt(place)
        if event.button() is Qt.MouseButton.LeftButton and self._rows.clock_of(self.visualRect(index)).contains(place):
            self.setState(self.State.NoState)
            self._asks(index, self.viewport().mapToGlobal(place))
        elif event.button() is Qt.MouseButton.LeftButton:
            super().mouseReleaseEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802 (Qt's own name)
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            index = self.currentIndex()
            self._asks(index, self.viewport().mapToGlobal(self.visualRect(index).center()))
        else:
            self._asks(self.indexAt(event.pos()), event.globalPos())
