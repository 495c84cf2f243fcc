"""What a model is asked: the same call, whoever makes it.

The workflow asks for nearly all. The first one of an execution is known as soon as it has begun, so the worker that
begins it asks ahead (`activities/first_answers.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from worker_core.agents import compaction
from worker_core.agents.conversation import author_of
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.history import for_model
from worker_core.agents.messages import Begun, BudgetAnswer, Message, ModelCall, Persona


def model_call(
    persona: Persona,
    messages: Iterable[Message],
    *,
    execution_id: str,
    turn: int,
    message_id: str,
    after_sequence: int,
    after_tools: bool = False,
    parent_message_id: str = "",
    silent: bool = False,
    budget: BudgetAnswer | None = None,
    asked_ahead: bool = False,
) -> ModelCall:
    """One call of a persona's model.

    Args:
        persona: who answers.
        messages: what it is to know of the conversation.
        execution_id: whose call it is.
        turn: in which it is made.
        message_id: of the answer.
        after_sequence: number of the last event that was sent.
        after_tools: tools have run in this turn.
        parent_message_id: the answer that asked a member.
        silent: a summary for the model itself, without tools.
        budget: what was heard about a budget that was used up.
        asked_ahead: see `ModelCall`.
    """
    return ModelCall(
        execution_id=execution_id,
        turn=turn,
        model=persona.model,
        messages=for_model(messages, system_prompt=persona.system_prompt),
        tools=() if silent else persona.tools,
        message_id=message_id,
        model_config=persona.model_config,
        after_tools=after_tools,
        member_name=persona.name,
        parent_message_id=parent_message_id,
        silent=silent,
        kind=persona.kind,
        entity_id=persona.entity_id,
        after_sequence=after_sequence,
        budget=budget,
        asked_ahead=asked_ahead,
    )


def prompt_of(execution: ExecutionInput, *, now: str) -> Message:
    """What the execution was begun with, as the conversation's first message.

    Args:
        execution: as it came.
        now: ISO 8601, where nobody said when it was written.
    """
    return Message(
        role="user",
        content=execution.prompt,
        timestamp=execution.initial_message_timestamp or now,
        message_id=f"{execution.execution_id}_user_1",
        author=author_of(execution.user_metadata),
    )


def answer_id(execution_id: str, number: int) -> str:
    """Of an execution's answer with text: the first, the second, ..."""
    return f"{execution_id}_assistant_{number}"


def first_call(execution: ExecutionInput, begun: Begun) -> ModelCall | None:
    """What the workflow will ask first. None: that is not known, since the conversation is to be summarised before."""
    messages = [*begun.earlier, prompt_of(execution, now="")]
    limit = begun.context_limit_tokens
    if compaction.is_due(messages, prompt_tokens=0, limit_tokens=limit):
        return None
    return model_call(
        begun.persona,
        compaction.bounded(messages, limit_tokens=limit),
        execution_id=execution.execution_id,
        turn=1,
        message_id=answer_id(execution.execution_id, 1),
        after_sequence=begun.last_sequence,
    )
