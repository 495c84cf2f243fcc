"""Budgets, as activities meet them: who asks, what a call took, and the answer where it was not made."""

from __future__ import annotations

from temporalio import activity

from worker_core.agents.activities.services import QueueContext, Services
from worker_core.agents.messages import BudgetAnswer, BudgetReached, ModelCall, ModelReply, ToolOutcome, Usage
from worker_core.budgets.ledger import Spending
from worker_core.budgets.questions import Asker, Over, Waits


def asker_of(queue: QueueContext, execution_id: str, turn: int, heard: BudgetAnswer | None) -> Asker:
    """Whose next call it is. `heard`: what is claimed about the last question."""
    return Asker(
        execution_id=execution_id,
        turn=turn,
        workflow_id=activity.info().workflow_id or "",
        queue_id=queue.queue_id,
        call_id=heard.call_id if heard else "",
        answer=heard.answer if heard else "",
        content=heard.content if heard else None,
    )


def price(services: Services, usage: Usage, *models: str) -> tuple[Usage, Spending]:
    """One request with its cost, as far as that is known."""
    priced, known = services.budgets.prices.priced(usage, *models)
    spending = Spending(tokens=priced.total_tokens, cost=priced.cost, unpriced=int(not known), model_calls=1)
    return priced, spending


def reached(ruling: Waits | Over, *, services: Services) -> BudgetReached:
    """For the workflow."""
    if isinstance(ruling, Over):
        return BudgetReached(sentence=ruling.sentence)
    until = services.client.on_its_clock(ruling.expires_at)
    return BudgetReached(sentence=ruling.sentence, call_id=ruling.call_id, expires_at=until.isoformat())


def unasked(call: ModelCall, ruling: Waits | Over, *, services: Services, last_sequence: int) -> ModelReply:
    """In the place of an answer: the model was not called."""
    return ModelReply(
        content="",
        message_id=call.message_id,
        model=call.model,
        finish_reason="stop",
        remark=ruling.sentence,
        last_sequence=last_sequence,
        budget=reached(ruling, services=services),
    )


def not_made(sentence: str) -> ToolOutcome:
    """In the place of a tool's result: the turn ends."""
    return ToolOutcome(succeeded=False, output="", error=f"The call was not made. {sentence}")
