"""The conversation as a model is sent it: in a shape that every server takes.

Servers are stricter than the models they serve. What a model got wrong (arguments that are no JSON, names with its own
format's tokens, nothing at all) would be refused for ever after if it went back as it was; what a server added to an
answer (reasoning, signatures) has to go back just as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Required, TypedDict, Unpack

import msgspec

from worker_core.agents.conversation import arguments_object
from worker_core.agents.messages import BudgetAnswer, FinishTurn, Message, ModelCall, Persona, ToolCall
from worker_core.basics import foreign_json
from worker_core.basics.shortening import shortened

NO_ANSWER = "(no answer)"
"""Stands for an answer without text and calls: some servers take no empty message, others want roles to alternate."""

_RAW_LENGTH = 2_000
"""Characters of arguments that could not be read: enough for the model to see what it did."""

_NAME_LENGTH = 64
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


def for_model(messages: Iterable[Message], *, system_prompt: str) -> tuple[dict[str, Any], ...]:
    """The chat-completions message list.

    Arguments are always an object, names have the letters that every provider allows, no message is empty, users do
    not speak twice in a row, and the system speaks at the beginning alone (many local templates refuse the rest).
    Reasoning goes back with the calls it led to, for as long as they are in the conversation: DeepSeek wants it in
    every later request, Anthropic and Gemini in those of the same turn. Answers without calls need none.
    """
    shaped: list[dict[str, Any]] = []
    if system_prompt:
        shaped.append({"role": "system", "content": system_prompt})
    for message in messages:
        if message.role == "assistant":
            shaped.append(_assistant(message))
        elif message.role == "tool":
            shaped.append(
                {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.content or "(empty)"}
            )
        elif shaped and shaped[-1]["role"] == "user":
            shaped[-1]["content"] += f"\n\n{message.content}"
        else:
            shaped.append({"role": "user", "content": message.content if message.content.strip() else "(empty)"})
    return tuple(shaped)


class HowAsked(TypedDict, total=False):
    """What a call may say besides; see `ModelCall`."""

    message_id: Required[str]
    after_tools: bool
    silent: bool
    budget: BudgetAnswer | None
    asked_by: str
    passed_on: int


def model_call(
    persona: Persona,
    messages: Iterable[Message],
    *,
    execution_id: str,
    turn: int,
    after_sequence: int,
    parent_message_id: str = "",
    ending: FinishTurn | None = None,
    **how: Unpack[HowAsked],
) -> ModelCall:
    """One call of a persona's model, whoever makes it.

    Args:
        persona: who answers.
        messages: what it is to know of the conversation.
        execution_id: whose call it is.
        turn: in which it is made.
        after_sequence: number of the last event that was sent.
        parent_message_id: the answer that asked a member.
        ending: the end of the turn, where the answer may be its last.
        how: the answer's id, and what else there is to say.
    """
    return ModelCall(
        execution_id=execution_id,
        turn=turn,
        model=persona.model,
        messages=for_model(messages, system_prompt=persona.system_prompt),
        tools=() if how.get("silent") else persona.tools,
        model_config=persona.model_config,
        member_name=persona.name,
        parent_message_id=parent_message_id,
        kind=persona.kind,
        entity_id=persona.entity_id,
        after_sequence=after_sequence,
        ending=ending,
        **how,
    )


def _assistant(message: Message) -> dict[str, Any]:
    said = message.content if message.content.strip() else ""
    if not message.tool_calls:
        return {"role": "assistant", "content": said or NO_ANSWER}
    return {
        **message.opaque,
        "role": "assistant",
        "content": said or None,
        "tool_calls": [_call(call) for call in message.tool_calls],
    }


def _call(call: ToolCall) -> dict[str, Any]:
    opaque = dict(call.opaque)
    of_function = opaque.pop("function", None)
    return {
        **opaque,
        "id": call.call_id,
        "type": "function",
        "function": {
            **(of_function if isinstance(of_function, dict) else {}),
            "name": _NOT_IN_NAMES.sub("_", call.name)[:_NAME_LENGTH] or "tool",
            "arguments": object_text(call.arguments),
        },
    }


def object_text(arguments: str) -> str:
    """The model's own text where it is a JSON object; what it wrote under `raw` where it is not."""
    try:
        if isinstance(msgspec.json.decode(arguments), dict):
            return arguments
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        pass
    value = arguments_object(arguments)
    if value.keys() == {"raw"}:
        value = {"raw": shortened(str(value["raw"]), _RAW_LENGTH)}
    return foreign_json.encode(value).decode()
