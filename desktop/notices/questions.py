"""The questions of agents that wait for an answer, in words that fit a menu or a notification. Knows no Qt."""

from __future__ import annotations

from typing import Final

from desktop.look.asked import in_one_line
from desktop.look.wording import short
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.visible import visible_line
from worker_core.snapshot import EngineSnapshot

QUESTION_LIMIT: Final = 400
"""Characters of a question that a notification shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of an agent that waits for its answer."""

    approval_id: str
    title: str
    """On one line, cut to fit a menu."""

    text: str
    """On one line, cut to QUESTION_LIMIT."""

    is_whole: bool
    """`text` has all that is asked."""


def questions(snapshot: EngineSnapshot) -> tuple[Question, ...]:
    """The questions that wait, oldest first."""
    found = []
    for one in snapshot.approvals:
        text = f"{visible_line(one.tool)}  {in_one_line(one.parts)}"
        found.append(
            Question(
                approval_id=one.id,
                title=short(text, 60),
                text=short(text, QUESTION_LIMIT),
                is_whole=not one.left_out and len(text) <= QUESTION_LIMIT,
            )
        )
    return tuple(found)
