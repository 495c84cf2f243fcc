"""When a conversation no longer fits: what is old becomes a summary that the model writes itself.

Tokens are estimated from characters where the gateway has not counted them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from worker_core.agents.conversation import arguments_object
from worker_core.agents.messages import Message
from worker_core.basics import foreign_json
from worker_core.basics.shortening import shortened

CHARACTERS_PER_TOKEN = 3.5
"""Between code (about 3) and English prose (about 4): an estimate that errs on the full side for prose."""

FULL_AT = 0.8
"""Share of the limit at which the summary is made: the answer needs room too."""

LARGEST_CONVERSATION_BYTES = 1_200_000
"""What travels to an activity, or to the workflow's next run, at once, whatever the model's limit. Temporal takes 2 MB
a payload, and an input beyond that would repeat the workflow task for ever; compression is not counted on."""

SHORTEST = 200
"""Characters of a text that are kept at least."""

LEAST_TOKENS = 100
"""A conversation is cut down to so much, and no further, before a model's refusal is believed to have another cause."""

WITHOUT_SUMMARY = (
    "[There is no summary: the model could not write one. The transcript in the workspace has everything.]"
)
HEADER = "[Summary of the conversation so far. The whole transcript is kept outside of this context.]"
REQUEST = (
    "The conversation has become too long to go on with. Write a summary for yourself that lets you continue without "
    "it: what the user wants, decisions and facts that still matter (names, paths, numbers, exact error texts), what "
    "was done and with what outcome, what is left to do. Write only the summary."
)


def size_of(message: Message) -> int:
    """Bytes that a message takes as JSON."""
    return len(foreign_json.encode(message))


def size_of_all(messages: Iterable[Message]) -> int:
    return sum(size_of(message) for message in messages)


def tokens_of(messages: Iterable[Message]) -> int:
    """An estimate."""
    return round(sum(map(_characters_of, messages)) / CHARACTERS_PER_TOKEN)


def _characters_of(message: Message) -> int:
    opaque = len(foreign_json.encode(message.opaque)) if message.opaque else 0
    return len(message.content) + sum(len(call.arguments) + 40 for call in message.tool_calls) + opaque


def is_due(messages: Sequence[Message], *, prompt_tokens: int, limit_tokens: int) -> bool:
    """Whether the next model call would come too close to a limit.

    Args:
        messages: the conversation.
        prompt_tokens: what the gateway counted at the last call, or 0.
        limit_tokens: of the model's context.
    """
    full = max(prompt_tokens, tokens_of(messages)) > FULL_AT * limit_tokens
    return full or size_of_all(messages) > LARGEST_CONVERSATION_BYTES


def split(messages: Sequence[Message], *, keep_tokens: int) -> int:
    """How many messages at the beginning may become a summary: at least the last one stays, and no answer of a tool
    is left without its call.
    """
    kept, index = 0, len(messages)
    while index > 0:
        kept += tokens_of([messages[index - 1]])
        if kept > keep_tokens and index < len(messages):
            break
        index -= 1
    while index < len(messages) and messages[index].role == "tool":
        index += 1
    if index >= len(messages):  # the last answers belong to one call: they stay with it
        index = len(messages) - 1
        while index > 0 and messages[index].role == "tool":
            index -= 1
    return index if index > 1 else 0


def bounded(messages: Sequence[Message], *, limit_tokens: int) -> list[Message]:
    """The same messages; where they do not fit, with the longest texts cut in their middles until they do, then the
    longest arguments of calls. Reasoning goes before arguments: half of it would be refused.
    """
    result = list(messages)

    def fits() -> bool:
        return tokens_of(result) <= limit_tokens and size_of_all(result) <= LARGEST_CONVERSATION_BYTES

    longest = max((len(message.content) for message in messages), default=0)
    while longest > SHORTEST and not fits():
        longest //= 2
        result = [replace(message, content=shortened(message.content, longest)) for message in result]
    if fits():
        return result
    result = [replace(message, opaque={}) if message.opaque else message for message in result]
    longest = max((len(call.arguments) for message in messages for call in message.tool_calls), default=0)
    while longest > SHORTEST and not fits():
        longest //= 2
        result = [_with_shorter_arguments(message, longest) for message in result]
    return result


def _with_shorter_arguments(message: Message, length: int) -> Message:
    if all(len(call.arguments) <= length for call in message.tool_calls):
        return message
    calls = tuple(replace(call, arguments=_shorter(call.arguments, length)) for call in message.tool_calls)
    return replace(message, tool_calls=calls)


def _shorter(arguments: str, length: int) -> str:
    """Still an object: its texts are cut; what is long all the same is left out."""
    if len(arguments) <= length:
        return arguments
    short = {
        key[:100]: shortened(value, length // 2) if isinstance(value, str) else value
        for key, value in arguments_object(arguments).items()
    }
    text = foreign_json.encode(short).decode()
    return text if len(text) <= 2 * length else '{"left_out": "arguments that were too long"}'
