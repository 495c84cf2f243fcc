"""A column of questions, on whichever page they stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from desktop.look.tokens import Space
from desktop.models.conversation_items import Approval
from desktop.widgets.approval_card import ApprovalCard
from desktop.windows.answering import Answering
from desktop.windows.desk import Desk


class QuestionCards(QWidget):
    """One card for each question that `pick` gives, in its order. A card stays while its question does.

    There are none before `refresh`.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        pick: Callable[[], Sequence[Approval]],
        show: Callable[[str], object] | None = None,
        narrow: bool = False,
    ) -> None:
        """`show` opens an execution's conversation by its id, by default in the window around. `narrow`: as cards."""
        super().__init__()
        self._desk, self._pick, self._narrow = desk, pick, narrow
        self._show = show or (lambda execution_id: desk.frame.show_page("executions", execution_id))
        self._cards: dict[tuple[str, str], ApprovalCard] = {}
        self._answering = Answering(desk, cards=self._cards.values)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(Space.M)

    def refresh(self) -> None:
        """Bring the cards in line with the questions."""
        shown = {(one.execution_id, one.key): one for one in self._pick()}
        for gone in self._cards.keys() - shown.keys():
            card = self._cards.pop(gone)
            card.hide()
            card.deleteLater()
        for place, (key, one) in enumerate(shown.items()):
            card = self._cards.get(key) or self._card(one)
            self._cards[key] = card
            if self._column.indexOf(card) != place:
                self._column.insertWidget(place, card)
            card.refresh()
        self.setVisible(bool(shown))

    def _card(self, approval: Approval) -> ApprovalCard:
        one = self._desk.executions.get(approval.execution_id)
        where = " · ".join(part for part in (one.agent, one.title) if part) if one else approval.execution_id
        return ApprovalCard(
            approval,
            answer=self._answering.answer,
            read=self._answering.read,
            where=where,
            show=lambda: self._show(approval.execution_id),
            narrow=self._narrow,
        )
