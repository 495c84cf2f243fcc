"""Approvals: what waits for a yes or a no, and what was answered."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.models.conversation import Approval, Item
from desktop.widgets.approval_card import ApprovalCard
from desktop.widgets.surfaces import EmptyState
from desktop.widgets.text import Label
from desktop.windows.answering import Answering
from desktop.windows.desk import Desk
from desktop.windows.page import Page

ANSWERED_SHOWN = 30


class ApprovalsPage(Page):
    name = "approvals"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Approvals"))
        self._cards: dict[str, ApprovalCard] = {}
        self._answering = Answering(desk, cards=lambda: self._cards.values())
        self._none = EmptyState(
            "approvals",
            tr("Nothing waits for you"),
            tr("When an agent wants to do something that your policy says to ask about, the question appears here."),
        )
        self._none.setMinimumHeight(380)
        self._waiting, self._answered = QVBoxLayout(), QVBoxLayout()
        self._heading = Label(tr("Answered"), role="strong", tone="muted")
        for layout in (self._waiting, self._answered):
            layout.setSpacing(Space.M)
        self.body.addWidget(self._none)
        self.body.addLayout(self._waiting)
        self.body.addWidget(self._heading)
        self.body.addLayout(self._answered)
        self.body.addStretch(1)
        desk.executions.listen(self._heard)
        self.refresh()

    def refresh(self) -> None:
        """Bring the cards in line with the store."""
        asked = self.desk.executions.approvals()
        answered = [one for one in asked if not one.waits][:ANSWERED_SHOWN]
        shown = [one for one in asked if one.waits] + answered
        for gone in [key for key in self._cards if key not in {one.key for one in shown}]:
            card = self._cards.pop(gone)
            card.hide()
            card.deleteLater()
        for one in shown:
            if one.key not in self._cards:
                self._cards[one.key] = self._card(one)
            column = self._waiting if one.waits else self._answered
            card = self._cards[one.key]
            if column.indexOf(card) < 0:
                column.insertWidget(0 if not one.waits and self._answered.count() else -1, card)
            card.refresh()
        self._none.setVisible(not shown)
        self._heading.setVisible(bool(answered))

    def _card(self, approval: Approval) -> ApprovalCard:
        one = self.desk.executions.get(approval.execution_id)
        where = " · ".join(part for part in (one.agent, one.title) if part) if one else approval.execution_id
        return ApprovalCard(
            approval,
            answer=self._answering.answer,
            read=self._answering.read,
            where=where,
            show=lambda: self.desk.frame.show_page("executions", approval.execution_id),
        )

    def _heard(self, execution_id: str, item: Item | None) -> None:
        if isinstance(item, Approval):
            self.refresh()
