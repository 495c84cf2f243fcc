"""Notifications: what was said, also while nobody looked or they were silenced."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex
from PySide6.QtGui import QShowEvent

from desktop.look.language import tr
from desktop.models.notice_list import NoticeList, NoticeRole
from desktop.notices.notifications import Notice
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
        self._clear = Button(tr("Clear"), icon="close")
        self._clear.clicked.connect(self._forget)
        self.tools.addWidget(self._clear)
        self._list = RowList(tr("Notifications"), self._model, NoticeDelegate())
        self._list.chosen.connect(self._follow)
        self._card = Card()
        self._card.body.setContentsMargins(4, 8, 4, 8)
        self._card.body.addWidget(self._list)
        self.body.addWidget(self._none, 1)
        self.body.addWidget(self._card, 1)
        SeenClock(self, self._list.viewport().update, interval_ms=AGO_EVERY_MS, wound=True)
        self._model.show(list(desk.notices.history))
        desk.notices.listen(self._heard)
        self._refresh()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 (Qt's own name)
        super().showEvent(event)
        self.desk.notices.seen()

    def _heard(self, notice: Notice) -> None:
        self._model.add(notice)
        if self.isVisible():
            self.desk.notices.seen()
        self._refresh()

    def _refresh(self) -> None:
        some = self._model.rowCount() > 0
        self._none.setVisible(not some)
        self._card.setVisible(some)
        self._clear.setVisible(some)

    def _follow(self, index: QModelIndex) -> None:
        notice = index.data(NoticeRole)
        if isinstance(notice, Notice):
            self.desk.follow(notice)

    def _forget(self) -> None:
        self.desk.notices.clear()
        self._model.show([])
        self._refresh()
