"""One execution's conversation, built from its events (protocol, 8.3) or from its stored session (8.5). No Qt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from desktop.look.language import tr
from desktop.models.conversation_items import (
    TEXT_LIMIT,
    Approval,
    Item,
    ItemKind,
    Message,
    Notice,
    ToolCall,
    cut,
    moment_of,
    pretty,
    text_of,
)
from worker_core.basics import typed_json
from worker_core.basics.plain import one_line
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.visible import visible
from worker_core.policy.question_text import left_out
from worker_core.snapshot import QuestionField, QuestionPart

PROGRESS_LIMIT = 500
"""Characters of what a running tool says that it is at."""

_OWN = "said-"
"""Begins the key of what was said in this window, until a worker gives it its own."""

ITEMS_LIMIT = 2_000
"""Items kept of one conversation; the oldest go first."""


@dataclass(slots=True)
class Conversation:
    """Items in the order in which they began. `complete` is False where its beginning was not seen."""

    execution_id: str
    items: list[Item] = field(default_factory=list)
    complete: bool = False
    _by_key: dict[str, Item] = field(default_factory=dict)
    _said: int = 0

    def apply(self, kind: str, payload: Mapping[str, Any], *, at: datetime | None = None) -> Item | None:
        """Take one event; returns the item that is new or changed, None where there is nothing to show."""
        member = text_of(payload.get("member_name"))
        match kind.removeprefix("member_"):
            case "metadata" | "run_started":
                self.complete = self.complete or not self.items
                return None
            case "message":
                return self._say(payload, at=at, member=member)
            case "message_chunk":
                return self._stream(payload, at=at, member=member)
            case "message_complete":
                if isinstance(found := self._by_key.get(text_of(payload.get("message_id"))), Message):
                    found.streaming = False
                return found
            case "tool_started":
                return self._tool_started(payload, at=at, member=member)
            case "tool_progress":
                return self._tool_progress(payload, member=member)
            case "tool_completed":
                return self._tool_completed(payload, at=at, member=member)
            case "error":
                return self._error(payload, at=at)
            case "approval_requested":
                return self.ask(approval_from(self.execution_id, payload, at=at))
            case "approval_answered":
                answer = _ANSWERS.get(payload.get("answer"), "denied")
                return self.answer(text_of(payload.get("approval_id")), answer, at=at)
            case _:
                return None

    def ask(self, approval: Approval) -> Approval:
        """A question was asked; one that is known already stays as it is."""
        known = self._by_key.get(approval.key)
        return known if isinstance(known, Approval) else self._add(approval)

    def begin(self, prompt: str, *, at: datetime) -> None:
        """The person's own words that it began with. A worker may have told them already."""
        text = cut(prompt)
        if not any(isinstance(one, Message) and one.role == "user" and _same(one.text, text) for one in self.items):
            self.say(prompt, at=at).delivery = ""

    def say(self, text: str, *, at: datetime) -> Message:
        """The person's own words, which are on their way."""
        self._said += 1
        return self._add(Message(key=f"{_OWN}{self._said}", role="user", text=cut(text), at=at, delivery="sending"))

    def answer(self, approval_id: str, answer: str, *, at: datetime | None = None) -> Approval | None:
        found = self._by_key.get(approval_id)
        if isinstance(found, Approval):
            found.answer, found.answered_at = answer, found.answered_at or at
            return found
        return None

    def tool_finished(self, call_id: str, failure: Literal["", "denied", "unknown"]) -> ToolCall | None:
        """What became of a call, beside its own word."""
        found = self._by_key.get(call_id)
        if isinstance(found, ToolCall) and failure:
            found.failure = failure
            return found
        return None

    def settle(self) -> None:
        """The turn is over: nothing streams any more."""
        for item in self.items:
            if isinstance(item, Message):
                item.streaming = False

    def load_session(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Bring in the stored conversation; what is in it and was seen live is kept once, and stands where it was."""
        live, self.items, self._by_key = self.items, [], {}
        keys = {item.key for item in live}
        for number, record in enumerate(records):
            item = _from_record(record, number)
            if item is not None and item.key not in keys:
                self._add(item)
        said = {item.text.strip() for item in self.items if isinstance(item, Message)}
        for item in live:
            if isinstance(item, Message) and item.text.strip() in said and not (item.streaming or item.delivery):
                continue
            self._add(item)
        self._put_in_order()
        self.complete = True

    def _put_in_order(self) -> None:
        """By time; what has none follows what it followed."""
        last = datetime.min.replace(tzinfo=UTC)
        places = []
        for item in self.items:
            last = moment_of(item) or last
            places.append(last)
        order = sorted(range(len(self.items)), key=places.__getitem__)  # stable
        self.items = [self.items[place] for place in order]

    def to_json(self) -> str:
        """The conversation as JSON: one object per item, its kind in `type`."""

        def plain(item: Item) -> dict[str, Any]:
            fields = {name: getattr(item, name) for name in item.__dataclass_fields__ if name != "streaming"}
            return {"type": type(item).__name__.lower(), **fields}

        document = {"execution_id": self.execution_id, "items": [plain(item) for item in self.items]}
        return json.dumps(document, indent=2, ensure_ascii=False, default=str)

    # -- below ----------------------------------------------------------------------------------------------------

    def _add(self, item: ItemKind) -> ItemKind:
        self.items.append(item)
        self._by_key[item.key] = item
        if len(self.items) > ITEMS_LIMIT:
            self._by_key.pop(self.items.pop(0).key, None)
            self.complete = False
        return item

    def _say(self, payload: Mapping[str, Any], *, at: datetime | None, member: str) -> Message:
        key = text_of(payload.get("message_id")) or f"message-{len(self.items)}"
        known = self._by_key.get(key)
        if isinstance(known, Message):
            known.text, known.streaming = cut(text_of(payload.get("content"))), False
            return known
        role, text = text_of(payload.get("role")) or "assistant", cut(text_of(payload.get("content")))
        if role == "user" and (own := self._own(text)) is not None:
            del self._by_key[own.key]
            own.key, own.delivery, self._by_key[key] = key, "", own
            return own
        return self._add(
            Message(
                key=key,
                role=role,
                text=text,
                at=_time(payload.get("timestamp")) or at,
                author=text_of(payload.get("user_name")) or text_of(payload.get("user_email")),
                member=member,
            )
        )

    def _own(self, text: str) -> Message | None:
        """What was said in this window with these words, and has not come back yet; the first of several."""
        for one in self.items:
            if isinstance(one, Message) and one.key.startswith(_OWN) and _same(one.text, text):
                return one
        return None

    def _stream(self, payload: Mapping[str, Any], *, at: datetime | None, member: str) -> Message:
        key = text_of(payload.get("message_id")) or "streamed"
        known = self._by_key.get(key)
        if not isinstance(known, Message):
            self.settle()
            known = self._add(Message(key=key, role="assistant", text="", at=at, member=member, streaming=True))
        if len(known.text) < TEXT_LIMIT:
            known.text = cut(known.text + text_of(payload.get("content")))
        known.streaming = True
        return known

    def _tool_started(self, payload: Mapping[str, Any], *, at: datetime | None, member: str) -> ToolCall:
        self.settle()
        key = text_of(payload.get("tool_execution_id")) or f"tool-{len(self.items)}"
        known = self._by_key.get(key)
        call = known if isinstance(known, ToolCall) else self._add(ToolCall(key=key, name=""))
        call.name = text_of(payload.get("tool_name")) or "tool"
        call.arguments = payload.get("tool_arguments")
        call.sandbox = text_of(payload.get("sandbox")) or call.sandbox
        call.started_at, call.member = at, member
        return call

    def _tool_progress(self, payload: Mapping[str, Any], *, member: str) -> ToolCall | None:
        key, said = text_of(payload.get("tool_execution_id")), one_line(text_of(payload.get("message")), PROGRESS_LIMIT)
        known = self._by_key.get(key)
        if not key or not said or (isinstance(known, ToolCall) and known.succeeded is not None):
            return None
        # Its begin was not seen where the conversation's was not: since when it runs is not known then.
        call = known if isinstance(known, ToolCall) else self._add(ToolCall(key=key, name="", member=member))
        call.name = call.name or text_of(payload.get("tool_name")) or "tool"
        call.progress = said
        return call

    def _tool_completed(self, payload: Mapping[str, Any], *, at: datetime | None, member: str) -> ToolCall:
        key = text_of(payload.get("tool_execution_id")) or f"tool-{len(self.items)}"
        known = self._by_key.get(key)
        call = known if isinstance(known, ToolCall) else self._add(ToolCall(key=key, name="", member=member))
        call.name = call.name or text_of(payload.get("tool_name")) or "tool"
        call.output, call.error = cut(text_of(payload.get("tool_output"))), cut(text_of(payload.get("tool_error")))
        call.succeeded, call.progress, call.ended_at = payload.get("status") == "success", "", at
        call.sandbox = text_of(payload.get("sandbox")) or call.sandbox
        if isinstance(took := payload.get("duration_ms"), int | float):
            call.duration_seconds = took / 1000
        elif call.started_at is not None and at is not None:
            call.duration_seconds = max(0.0, (at - call.started_at).total_seconds())
        return call

    def _error(self, payload: Mapping[str, Any], *, at: datetime | None) -> Notice:
        details = payload.get("details")
        said = text_of(details.get("error_message")) if isinstance(details, Mapping) else ""
        severity: Literal["info", "warning", "danger"] = "danger"
        if (said_severity := payload.get("severity")) in ("info", "warning"):
            severity = "info" if said_severity == "info" else "warning"
        text = said or text_of(payload.get("message")) or tr("Something went wrong.")
        return self._add(
            Notice(key=f"notice-{len(self.items)}-{id(payload)}", severity=severity, text=cut(text), at=at)
        )


def approval_from(execution_id: str, payload: Mapping[str, Any], *, at: datetime | None = None) -> Approval:
    """An approval as it is told in events."""
    parts = _parts(payload.get("parts"))
    return Approval(
        key=text_of(payload.get("approval_id")),
        execution_id=execution_id,
        tool=text_of(payload.get("tool_name")) or "tool",
        parts=parts,
        left_out=left_out(parts),
        in_call=payload.get("in_call") is True,
        fields=_fields(payload.get("fields")),
        asked_at=at,
        expires_at=_time(payload.get("expires_at")),
    )


def _fields(said: Any) -> tuple[QuestionField, ...]:
    try:
        fields = typed_json.convert(said or [], tuple[QuestionField, ...])
    except msgspec.ValidationError:
        return ()
    return tuple(replace(one, said=()) for one in fields)  # as of parts


def _parts(said: Any) -> tuple[QuestionPart, ...]:
    """As an event has them; as one part where it is of another kind."""
    try:
        parts = typed_json.convert(said, tuple[QuestionPart, ...])
    except msgspec.ValidationError:
        return (QuestionPart(name="arguments", text=visible(text_of(said))),)
    return tuple(replace(one, said=()) for one in parts)  # our own worker alone says what its sentences are made of


def _from_record(record: Mapping[str, Any], number: int) -> Item | None:
    role, at = text_of(record.get("role")), _time(record.get("timestamp"))
    key = text_of(record.get("message_id")) or f"stored-{number}"
    if role == "tool" or record.get("tool_name"):
        output = record.get("tool_output")
        if isinstance(output, Mapping) and "output" in output:
            output = output["output"]
        return ToolCall(
            key=text_of(record.get("tool_execution_id")) or key,
            name=text_of(record.get("tool_name")) or "tool",
            arguments=record.get("tool_input"),
            output=cut(pretty(output) or text_of(record.get("content"))),
            error=cut(text_of(record.get("tool_error"))),
            succeeded=record.get("tool_status") != "failed" and not record.get("tool_error"),
            started_at=at,
        )
    if not (text := text_of(record.get("content"))):
        return None
    if role == "system":
        return Notice(key=key, severity="info", text=cut(text), at=at)
    author = text_of(record.get("user_name")) or text_of(record.get("user_email"))
    return Message(key=key, role=role or "assistant", text=cut(text), at=at, author=author)


_ANSWERS: Mapping[object, str] = {"allow": "allowed", "deny": "denied", "timeout": "expired"}


def _same(one: str, other: str) -> bool:
    return one.strip() == other.strip()


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        made = datetime.fromisoformat(value)
    except ValueError:
        return None
    return made if made.tzinfo else made.replace(tzinfo=UTC)
