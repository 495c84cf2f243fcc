"""Approvals: what waits for a yes or a no, and what was answered."""

from __future__ import annotations

from desktop.look.language import tr
from desktop.models.conversation_items import Approval, Item
from desktop.widgets.surfaces import EmptyState
from desktop.widgets.text import Label
from desktop.windows.desk import Desk
from desktop.windows.page import Page
from desktop.windows.question_cards import QuestionCards

ANSWERED_SHOWN = 30


class ApprovalsPage(Page):
    name = "approvals"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, title=tr("Approvals"))
        self._none = EmptyState(
            "approvals",
            tr("Nothing waits for you"),
            tr("When an agent wants to do something that your policy says to ask about, the question appears here."),
        )
        self._waiting = QuestionCards(desk, pick=desk.executions.questions)
        self._answered = QuestionCards(desk, pick=self._those_answered)
        self._heading = Label(tr("Answered"), role="strong", tone="muted")
        self.body.addWidget(self._none, 1000)
        self.body.addWidget(self._waiting)
        self.body.addWidget(self._heading)
        self.body.addWidget(self._answered)
        self.body.addStretch(1)
        desk.executions.listen(self._heard)
        self.refresh()

    def refresh(self) -> None:
        """Bring the cards in line with the store."""
        for cards in (self._waiting, self._answered):
            cards.refresh()
        asked = self.desk.executions.approvals()
        self._none.setVisible(not any(one.waits or one.answer for one in asked))
        self._heading.setVisible(any(one.answer for one in asked))

    def _those_answered(self) -> list[Approval]:
        return [one for one in self.desk.executions.approvals() if one.answer][:ANSWERED_SHOWN]

    def _heard(self, execution_id: str, item: Item | None) -> None:
        if isinstance(item, Approval):
            self.refresh()
