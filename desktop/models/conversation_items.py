"""What a conversation is made of: words, tool calls, remarks, questions. No Qt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal, TypeVar

from desktop.look.asked import in_one_line
from desktop.look.language import tr
from worker_core.basics.quick_dataclass import dataclass
from worker_core.snapshot import QuestionField, QuestionPart, WholeQuestion

TEXT_LIMIT = 400_000
"""Characters kept of one message or of one tool's output; what is above is cut, and said so."""


@dataclass(slots=True, kw_only=True, eq=False)
class Message:
    """Something said. `member` names the team member that said it; empty for the agent itself."""

    key: str
    role: str
    text: str
    at: datetime | None = None
    author: str = ""
    member: str = ""
    streaming: bool = False
    delivery: Literal["", "sending", "failed"] = ""
    """Of what was said in this window, until the control plane has it."""


@dataclass(slots=True, kw_only=True, eq=False)
class ToolCall:
    """A tool at work. `succeeded` is None while it runs; `duration_seconds` is None until it is known."""

    key: str
    name: str
    arguments: Any = None
    output: str = ""
    error: str = ""
    succeeded: bool | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    """None where its end was not seen."""

    duration_seconds: float | None = None
    sandbox: str = ""
    member: str = ""
    progress: str = ""
    """While it runs: what it is at, the latest that was heard, on one line."""

    failure: Literal["", "denied", "unknown"] = ""
    """Why it did not succeed, where the tool itself did not fail: it was not allowed, or nobody knows."""

    @property
    def summary(self) -> str:
        """The one argument that says most, on one line."""
        return summary_of(self.arguments)


@dataclass(slots=True, kw_only=True, eq=False)
class Notice:
    """A remark of the worker: an error, a warning, a change of state."""

    key: str
    severity: Literal["info", "warning", "danger"]
    text: str
    at: datetime | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Approval:
    """A question whether a tool may run. `answer` is empty while it waits; then `allowed`, `denied` or `expired`."""

    key: str
    execution_id: str
    tool: str
    parts: tuple[QuestionPart, ...]
    left_out: int = 0
    """Characters that its view leaves out: it must be read whole before it can be allowed."""

    seal: str = ""
    """Of the whole question, once it was read; `parts` then has all of it."""

    asked_at: datetime | None = None
    expires_at: datetime | None = None
    lasts: bool = True
    """It can be allowed for always."""

    rule: str = ""
    """What would be written to the policy then; empty where that is not known."""

    workspace: str = ""
    """Of its execution; empty where that rule can only be written as it is."""

    own_rule: str = ""
    """What is written instead, when it is answered; empty: that rule."""

    in_call: bool = False
    """The call is under way, and its server asks something."""

    fields: tuple[QuestionField, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
    """What was filled in, when it is answered."""

    answer: str = ""
    answered_at: datetime | None = None
    adrift: bool = False
    """The worker that asked has ended: nobody takes an answer until there is one again."""

    @property
    def about_budget(self) -> bool:
        """It asks for more of a budget: no server and no tool does."""
        return self.in_call and self.tool == "budget"

    @property
    def waits(self) -> bool:
        return not self.answer and not self.adrift

    @property
    def was_shown(self) -> bool:
        """Nothing of it is unread: it can be allowed."""
        return not self.left_out or bool(self.seal)

    @property
    def summary(self) -> str:
        """What it would do, on one line."""
        return in_one_line(self.parts)

    def read(self, question: WholeQuestion) -> None:
        """All of it is shown from now on."""
        self.parts, self.seal = question.parts, question.seal


Item = Message | ToolCall | Notice | Approval
ItemKind = TypeVar("ItemKind", Message, ToolCall, Notice, Approval, Item)


def moment_of(item: Item) -> datetime | None:
    """When it was said, begun or asked; None: not known."""
    match item:
        case ToolCall():
            return item.started_at
        case Approval():
            return item.asked_at
        case _:
            return item.at


def summary_of(arguments: Any, *, limit: int = 300) -> str:
    """The one argument that says most, on one line."""
    if isinstance(arguments, Mapping):
        for name in ("command", "cmd", "code", "path", "file_path", "url", "query", "pattern", "name"):
            if isinstance(said := arguments.get(name), str) and said.strip():
                return " ".join(said[: limit * 2].split())[:limit]
        arguments = ", ".join(f"{key}: {text_of(value)[:80]}" for key, value in list(arguments.items())[:6])
    return " ".join(text_of(arguments)[: limit * 2].split())[:limit]


def cut(text: str) -> str:
    if len(text) <= TEXT_LIMIT:
        return text
    said = "\n… " + tr("(cut: too long to show)")
    return text[: TEXT_LIMIT - len(said)] + said


def pretty(value: Any) -> str:
    """JSON for reading; a text as it is."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)


def text_of(value: Any) -> str:
    """A text as it is; anything else as JSON, on one line; empty for None."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
