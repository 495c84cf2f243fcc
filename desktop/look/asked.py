"""What an agent asks to do, in the user's language: the words of the question. What the agent wrote stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from desktop.look.language import number_text, retold, tr
from worker_core.basics.sentences import english
from worker_core.basics.visible import visible_line
from worker_core.snapshot import QuestionPart

_NUMBERED: Final = re.compile(r"argument ([0-9]{1,6})")
_MORE: Final = re.compile(r"([0-9]{1,6}) more arguments")
"""As `compose` and `shown` name what cannot be named (`worker_core/policy/question_text.py`)."""

_LINE: Final = 2_000
"""Characters of a part, and of its name; whoever shows them cuts to the room that there is, which is less."""


def part_name(part: QuestionPart) -> str:
    """What stands beside it."""
    match part.kind:
        case "place":
            return tr("working folder")
        case "reason":
            return tr("asked because")
    if part.kind == "argument" and (found := _NUMBERED.fullmatch(part.name)):
        return tr("argument {number}", number=found[1])
    if part.left_out and (found := _MORE.fullmatch(part.name)):
        return tr("{count} more arguments", count=number_text(int(found[1])))
    return part.name


def part_text(part: QuestionPart) -> str:
    """All of it that there is; of reasons a line for each. What an earlier worker says, or has cut, is English."""
    return "\n".join(retold(english(line), line) for line in part.said) or part.text


def in_one_line(parts: Iterable[QuestionPart]) -> str:
    """For a menu or a notification. The working folder is left out: it is the execution's own."""
    return "  ".join(f"{visible_line(_begin(part_name(one)))}: {_text(one)}" for one in parts if one.kind != "place")


def _text(part: QuestionPart) -> str:
    text = part_text(part)
    # Lines of what is made of our sentences are ours, and the worker has shown what stands in them.
    return _begin(text.replace("\n", "; ")) if part.said else visible_line(_begin(text))


def _begin(text: str) -> str:
    return text if len(text) <= _LINE else f"{text[:_LINE]}…"
