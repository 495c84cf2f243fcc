"""Answers to approvals, and reading them whole: what cards on different pages ask of the worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from desktop.look.language import tr
from desktop.models.conversation_items import Approval
from desktop.widgets.approval_card import ApprovalCard
from desktop.windows.desk import Desk
from worker_core.snapshot import Scope


class Answering:
    """For the cards of one page."""

    def __init__(self, desk: Desk, *, cards: Callable[[], Iterable[ApprovalCard]]) -> None:
        self._desk = desk
        self._cards = cards

    def answer(self, approval: Approval, allow: bool, scope: Scope) -> None:
        async def answer() -> None:
            try:
                await self._desk.worker.answer_approval(
                    approval.key,
                    allow=allow,
                    scope=scope,
                    seal=approval.seal,
                    values=approval.values if allow else {},
                    rule=approval.own_rule if scope == "always" else "",
                )
            except Exception:
                for card in self._of(approval):
                    card.wake()
                raise

        self._desk.background.ask(answer(), doing=tr("answer the approval"))

    def read(self, approval: Approval) -> None:
        async def read() -> None:
            approval.read(await self._desk.worker.whole_question(approval.key))
            for card in self._of(approval):
                card.refresh()

        self._desk.background.ask(read(), doing=tr("read the whole question"))

    def _of(self, approval: Approval) -> list[ApprovalCard]:
        return [card for card in self._cards() if card.approval is approval]
