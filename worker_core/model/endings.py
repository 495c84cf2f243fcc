"""How an answer ended, what is said about it, and what is done next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from worker_core.model.answer import Answer, ToolCall


class Ending(StrEnum):
    """The first two are how an answer should end."""

    SAID = "said"
    CALLS = "calls"
    REFUSED = "refused"
    """The model declined, in words."""

    CUT = "cut"
    """Its text reached the output limit."""

    CUT_IN_CALL = "cut_in_call"
    FILTERED = "filtered"
    TOO_LONG = "too_long"
    """Longer than this worker takes."""

    REASONED_ALONE = "reasoned_alone"
    CALL_MISSING = "call_missing"
    """It said that it calls a tool, and called none."""

    EMPTY = "empty"
    BROKEN = "broken"
    """Its server says that something went wrong."""

    @property
    def is_none(self) -> bool:
        """Whether there is nothing to go on with, so that the model is asked once more."""
        return self in {Ending.REASONED_ALONE, Ending.CALL_MISSING, Ending.EMPTY}


NUDGE: Final = "[Your last answer had neither text nor a tool call. Answer now, or call a tool.]"
"""Added to what the model is asked the second time; it is not kept."""

LARGER_OUTPUT_TOKENS: Final = 32_000
MOST_OUTPUT_TOKENS: Final = 64_000


def ending_of(answer: Answer) -> Ending:
    """What the answer's last words and its server's reason come to."""
    whole = all(is_object(call.arguments) for call in answer.tool_calls[-1:])
    if answer.shortened:
        return Ending.TOO_LONG
    match answer.finish_reason:
        case "length" if answer.tool_calls:
            return Ending.CALLS if whole else Ending.CUT_IN_CALL
        case "length":
            return Ending.CUT if answer.content.strip() else Ending.REASONED_ALONE
        case "content_filter":
            return Ending.FILTERED
        case "error":
            return Ending.CALLS if answer.tool_calls and whole else Ending.BROKEN
    if answer.tool_calls:
        return Ending.CALLS
    if answer.content.strip():
        return Ending.REFUSED if answer.refused else Ending.SAID
    if answer.reasoned:
        return Ending.REASONED_ALONE
    return Ending.CALL_MISSING if answer.finish_reason == "tool_calls" else Ending.EMPTY


def remark(ending: Ending, answer: Answer, *, model: str) -> str:
    """One sentence for viewers; empty where nothing needs to be said."""
    tokens = answer.usage.completion_tokens
    limit = f"the model's output limit ({tokens:,} tokens)" if tokens else "the model's output limit"
    match ending:
        case Ending.REFUSED:
            return f"The model {model} declined to answer."
        case Ending.CUT:
            return (
                f"The answer was cut at {limit}. Ask it to go on, or raise `max_tokens` in the agent's model settings."
            )
        case Ending.CUT_IN_CALL:
            return f"A tool call was cut at {limit}; it is not made, and the model is told to write less at once."
        case Ending.FILTERED:
            return "The provider's content filter ended the answer." + (
                "" if answer.content.strip() else " Nothing of it may be shown: word the request differently."
            )
        case Ending.TOO_LONG:
            return "The answer was longer than this worker takes, and was cut."
        case Ending.REASONED_ALONE if answer.finish_reason == "length":
            return f"The model {model} thought until {limit} was reached, and did not answer. Raise `max_tokens`."
        case Ending.REASONED_ALONE:
            return f"The model {model} thought, and did not answer."
        case Ending.CALL_MISSING:
            return f"The model {model} announced a tool call and made none."
        case Ending.EMPTY:
            return f"The model {model} answered nothing."
        case _:
            return ""


def made_calls(ending: Ending, answer: Answer) -> tuple[ToolCall, ...]:
    """The calls to be made; one that was cut says to the model why it is not."""
    if ending is Ending.FILTERED:
        return ()
    *before, last = answer.tool_calls or (None,)
    if last is None or ending not in {Ending.CUT_IN_CALL, Ending.TOO_LONG} or is_object(last.arguments):
        return answer.tool_calls
    tokens = f" of {answer.usage.completion_tokens:,} tokens" if answer.usage.completion_tokens else ""
    limit = f"the output limit{tokens}" if ending is Ending.CUT_IN_CALL else "what this worker takes at once"
    problem = (
        f"This call was cut at {limit}, before its arguments ended, so nothing was done. Write less at once: split the "
        "work over several calls, such as a file written piece by piece."
    )
    return (*(one for one in before if one is not None), replace(last, problem=problem))


def larger_limit(options: Mapping[str, Any], answer: Answer) -> int:
    """Tokens to ask for where a limit that nobody here set was too low; 0: its owner set it, or it is large already."""
    if any(name in options for name in ("max_tokens", "max_completion_tokens")):
        return 0
    reached = answer.usage.completion_tokens
    return 0 if reached >= MOST_OUTPUT_TOKENS else min(max(4 * reached, LARGER_OUTPUT_TOKENS), MOST_OUTPUT_TOKENS)


def nudged(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The same request, with a word about what was missing."""
    if messages and messages[-1].get("role") == "user":
        last = messages[-1]
        return [*messages[:-1], {**last, "content": f"{last.get('content') or ''}\n\n{NUDGE}".strip()}]
    return [*messages, {"role": "user", "content": NUDGE}]


def is_object(arguments: str) -> bool:
    """Whether a call's arguments are a whole JSON object."""
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False
