"""One notice: what it says, how loudly, what a click on it does, and what it tells of."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import field
from datetime import UTC, datetime

from desktop.notices.action import Action
from worker_core.basics.quick_dataclass import dataclass


class Level(enum.IntEnum):
    NEWS = 1
    PROBLEM = 2
    QUESTION = 3
    """Work stands still until it is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`action` is what a click on it does, `target` to what."""

    title: str
    body: str
    level: Level
    action: Action = Action.OPEN
    target: str = ""
    is_whole: bool = True
    """Of a question: all that is asked stands in `body`."""

    key: str = ""
    """A later one with the same takes its place on the screen. Empty: it is alone."""

    replaces: tuple[str, ...] = ()
    """Keys of those that go from the screen with it."""

    about: str = ""
    """What it tells of, in a word of the program's own. Empty: its key, or what it says."""

    stands: bool = False
    """It needs the person until it is over, which `Notifications.standing` knows."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def thing(self) -> str:
        """What it tells of: notices with the same are one item. On one line."""
        if self.about or self.key:
            return " ".join((self.about or self.key).split())
        if self.action is Action.OPEN_APPROVAL and self.target:
            return question_thing(self.target)
        if self.action is Action.OPEN_EXECUTION and self.target:
            return execution_thing(self.target)
        said = "\n".join((self.title, self.body, self.action.value, self.target))
        return f"said {hashlib.sha256(said.encode(errors='replace')).hexdigest()[:24]}"


def question_thing(approval_id: str) -> str:
    """What notices of a question tell of."""
    return " ".join(f"question {approval_id}".split())


def execution_thing(execution_id: str) -> str:
    """What notices of an execution tell of."""
    return " ".join(f"execution {execution_id}".split())
