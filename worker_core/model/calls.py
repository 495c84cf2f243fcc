"""Tool calls put together from the pieces of a stream: by index, id, name and place, whichever the server keeps to."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from worker_core.basics.whole_text import WholeCharacters, whole
from worker_core.model.answer import ToolCall
from worker_core.model.characters import Room
from worker_core.model.opaque import Allowance, OpaqueParts

_MARKS: Final = re.compile(r'["\\{}\[\]]')
_CHANNEL: Final = "<|"
"""Begins a token of the model's own format, which some servers leave in a name: `shell<|channel|>commentary`."""

MOST_CALLS: Final = 200
"""In one answer. A model that asks for more has lost its way."""

LARGEST_OPAQUE: Final = 50_000
"""Bytes of signatures and the like that are kept of one call."""

LARGEST_OPAQUE_TOGETHER: Final = 300_000


class ObjectEnd:
    """Follows a JSON text that comes in pieces: has its object ended?"""

    def __init__(self) -> None:
        self._begun = False
        self._depth = 0
        self._quoted = False
        self._escaped_at = -1
        self._seen = 0
        self.reached = False

    def feed(self, piece: str) -> None:
        if not self._begun:
            start = piece.lstrip()
            if not start:
                return
            if start[0] != "{":
                self._depth = 1 << 60  # it is none
            self._begun = True
        for mark in _MARKS.finditer(piece):
            place, sign = self._seen + mark.start(), mark.group()
            if place == self._escaped_at:
                continue
            if sign == "\\" and self._quoted:
                self._escaped_at = place + 1
            elif sign == '"':
                self._quoted = not self._quoted
            elif not self._quoted and sign in "{[":
                self._depth += 1
            elif not self._quoted and sign in "}]":
                self._depth -= 1
                self.reached = self.reached or self._depth <= 0
        self._seen += len(piece)


class GrowingCall:
    """One call as it comes."""

    def __init__(self, room: Room, allowance: Allowance) -> None:
        self.call_id = ""
        self.name = ""
        self.end = ObjectEnd()
        self._room = room
        self._pieces: list[str] = []
        self._characters = WholeCharacters()
        self._opaque = OpaqueParts(largest=LARGEST_OPAQUE, together=allowance)
        self._opaque_of_function = OpaqueParts(largest=LARGEST_OPAQUE, together=allowance)

    def grow(self, arguments: str) -> None:
        text = self._room.take(self._characters.feed(arguments))
        self._pieces.append(text)
        self.end.feed(text)

    def keep_opaque(self, part: Mapping[str, Any], function: Mapping[str, Any]) -> None:
        self._opaque.feed(part)
        self._opaque_of_function.feed(function)

    def finished(self) -> ToolCall:
        of_function = self._opaque_of_function.plain()
        return ToolCall(
            call_id=self.call_id,
            name=self.name.partition(_CHANNEL)[0].strip(),
            arguments=_plain("".join(self._pieces) + self._characters.flush()),
            opaque=self._opaque.plain() | ({"function": of_function} if of_function else {}),
        )


class CallAssembly:
    """All calls of one answer.

    OpenAI numbers them. Others give each the number 0 (Ollama, Gemini's endpoint), or none; give each piece an id of
    its own, or none; repeat the name with each piece (MiniMax), or send it in pieces.
    """

    def __init__(self, tool_names: Collection[str], room: Room) -> None:
        """`tool_names`: those that the model was offered. `room`: for all names, ids and arguments."""
        self._offered = frozenset(tool_names)
        self._room = room
        self._allowance = Allowance(LARGEST_OPAQUE_TOGETHER)
        self._calls: list[GrowingCall] = []
        self._current: dict[int, GrowingCall] = {}
        self._by_id: dict[tuple[int | None, str], GrowingCall] = {}

    def feed(self, parts: Sequence[Any]) -> None:
        """Take the calls of one chunk."""
        for place, part in enumerate(parts):
            if isinstance(part, Mapping):
                self._take(part, place if len(parts) > 1 else None)

    @property
    def first(self) -> str:
        """The tool of the first call, once its name is one that was offered; empty: not yet."""
        return name if self._calls and (name := self._calls[0].name) in self._offered else ""

    def finished(self) -> tuple[ToolCall, ...]:
        """In the order in which they began; what never got a name is none."""
        calls = (call.finished() for call in self._calls)
        return tuple(call for call in calls if call.name)

    def _take(self, part: Mapping[str, Any], place: int | None) -> None:
        body = part.get("function") or part.get("custom")
        function: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
        call_id, name = _text(part.get("id")), _text(function.get("name"))
        arguments = _arguments(function.get("arguments", function.get("input")))
        index = _number(part.get("index"))
        call = self._call(index if index is not None else place, index, call_id, name, arguments)
        if call_id and not call.call_id:
            call.call_id = self._room.take(whole(call_id))  # some are long: LiteLLM puts Gemini's signature into them
            self._by_id[index, call_id] = call
        self._add_name(call, name)
        call.keep_opaque(part, function)
        call.grow(arguments)

    def _call(self, slot: int | None, index: int | None, call_id: str, name: str, arguments: str) -> GrowingCall:
        known = self._by_id.get((index, call_id)) if call_id else None
        if known is not None and not (name and arguments and known.end.reached):
            return known
        current = self._current.get(slot) if slot is not None else (self._calls[-1] if self._calls else None)
        if current is None or self._begins_another(current, call_id, name, arguments):
            if len(self._calls) >= MOST_CALLS:
                self._room.full = True
                return self._calls[-1]
            current = GrowingCall(self._room, self._allowance)
            self._calls.append(current)
        if slot is not None:
            self._current[slot] = current
        return current

    def _begins_another(self, current: GrowingCall, call_id: str, name: str, arguments: str) -> bool:
        ended = current.end.reached and bool(arguments)
        if call_id and current.call_id:  # another one: some servers give each piece an id, so a name must say it too
            return bool(name) or ended
        if not name or not current.name:
            return False
        return ended or (name != current.name and {name, current.name} <= self._offered)

    def _add_name(self, call: GrowingCall, name: str) -> None:
        if name == call.name and not any(one.startswith(call.name + name) for one in self._offered):
            return  # repeated
        call.name += self._room.take(whole(name))


def _arguments(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _plain(arguments: str) -> str:
    """`null` and nothing are no arguments; an object in a text of its own is that object."""
    text = arguments.strip()
    if text in {"", "null", '""'}:
        return "{}"
    if text.startswith('"'):
        try:
            inner = json.loads(text)
            if isinstance(json.loads(inner), dict):
                return str(inner)
        except (ValueError, TypeError, RecursionError):
            pass
    return arguments


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def with_code(call: ToolCall) -> ToolCall:
    """A call of `python` with bare program text, as gpt-oss makes it: it was trained on a tool that takes no JSON."""
    text = call.arguments.strip()
    if call.name != "python" or call.problem or text[:1] in {"{", "[", '"', ""}:
        return call
    return replace(call, arguments=json.dumps({"code": call.arguments}, ensure_ascii=False))
