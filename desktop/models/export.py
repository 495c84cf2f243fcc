"""A conversation as a document that leaves the window, in the window's language; what was said stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from desktop.look.asked import part_name, part_text
from desktop.look.language import number_text, tr
from desktop.look.wording import duration_text
from desktop.models.conversation import Conversation
from desktop.models.conversation_items import Approval, Message, Notice, ToolCall, pretty
from worker_core.policy.question_text import written
from worker_core.snapshot import QuestionPart


def markdown_of(talk: Conversation, *, title: str = "") -> str:
    """The conversation in Markdown; `title` stands above it, else its execution's id."""
    parts = [f"# {title or talk.execution_id}", ""]
    for item in talk.items:
        match item:
            case Message():
                name = item.member or item.author or (tr("You") if item.role == "user" else tr("Agent"))
                parts += [f"## {name}{_stamp(item.at)}", "", item.text, ""]
            case ToolCall():
                took = f", {duration_text(item.duration_seconds)}" if item.duration_seconds is not None else ""
                head = tr("Tool {name}", name=f"`{item.name}`")
                parts += [f"### {head} ({_outcome(item)}{took})", "", *fenced(pretty(item.arguments), "json")]
                parts += fenced(item.error or item.output, "")
            case Notice():
                parts += [f"> **{_severity(item.severity)}**: {item.text}", ""]
            case Approval():
                parts += [f"> **{tr('Approval')}** {item.tool} ({_answer_text(item.answer)})", ""]
                parts += fenced("\n".join(_written(item.parts)), "text")
    return "\n".join(parts)


def _outcome(call: ToolCall) -> str:
    match call.failure:
        case "denied":
            return tr("Denied")
        case "unknown":
            return tr("Outcome unknown")
    return {None: tr("Running"), True: tr("Done"), False: tr("Failed")}[call.succeeded]


def _severity(severity: str) -> str:
    return {"info": tr("Note"), "warning": tr("Warning"), "danger": tr("Error")}[severity]


def _answer_text(answer: str) -> str:
    said = {"": tr("Waits for you"), "allowed": tr("Allowed"), "denied": tr("Denied"), "expired": tr("Expired")}
    return said.get(answer, answer)


def _written(parts: Iterable[QuestionPart]) -> list[str]:
    """In the window's language."""
    shown = []
    for one in parts:
        more = tr("{count} more characters", count=number_text(one.left_out)) if one.left_out else ""
        text = f"{part_text(one)} … ({more})" if more else part_text(one)
        shown.append(QuestionPart(name=part_name(one), text=text))
    return written(shown)


def fenced(text: str, language: str) -> list[str]:
    """Lines of a Markdown block that no text ends early, and an empty one; none for blank text."""
    if not text.strip():
        return []
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [f"{fence}{language}", text.rstrip("\n"), fence, ""]


def _stamp(at: datetime | None) -> str:
    return f" · {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""
