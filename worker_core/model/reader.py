"""Reads an answer from the chunks of a stream, or from one document, in every dialect that is known.

Pure code: JSON objects in, text out as it comes, the answer at the end. Where the pieces were cut changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from worker_core.basics.whole_text import WholeCharacters, whole
from worker_core.model.answer import Answer, Usage
from worker_core.model.calls import CallAssembly
from worker_core.model.characters import LeadingThoughts, Room
from worker_core.model.opaque import OpaqueParts

LARGEST_ANSWER_BYTES: Final = 600_000
"""About 150 000 tokens of English. Temporal takes 2 MB at once, and an answer travels twice at the end of a turn."""

LARGEST_OPAQUE: Final = 300_000
"""Bytes of reasoning and signatures that are kept to be sent back."""

LONGEST_WORD: Final = 200
"""Characters of a model's name, and of a reason that no table has."""

_REASONS: Final = {
    "length": ("length", "max_tokens", "model_length", "max_output_tokens", "token_limit"),
    "content_filter": (
        "content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "refusal", "sensitive",
        "guardrail_intervened", "content_filtered",
    ),
    "tool_calls": ("tool_calls", "tool_call", "tool_use", "function_call"),
    "stop": ("stop", "end_turn", "eos", "eos_token", "stop_sequence", "complete", "finished"),
    "error": (
        "error", "network_error", "abort", "insufficient_system_resource", "malformed_function_call", "other",
        "finish_reason_unspecified", "unexpected_tool_call",
    ),
}  # fmt: skip
_MEANING: Final = {word: meaning for meaning, words in _REASONS.items() for word in words}
"""What other providers say where OpenAI says one of its five words."""


class StreamedError(Exception):
    """The server reported an error where a piece of an answer was expected. `body` is what it said."""

    def __init__(self, body: Any) -> None:
        super().__init__("an error in mid-stream")
        self.body = body


class AnswerReader:
    """One answer as it grows."""

    def __init__(self, *, tool_names: Collection[str] = (), largest_bytes: int = LARGEST_ANSWER_BYTES) -> None:
        """Args:
        tool_names: what the model was offered; tells a name that is repeated from one that comes in pieces.
        largest_bytes: what is longer is cut.
        """
        self._room = Room(largest_bytes)
        self._content: list[str] = []
        self._characters = WholeCharacters()
        self._thoughts = LeadingThoughts()
        self._calls = CallAssembly(tool_names, self._room)
        self._opaque = OpaqueParts(largest=LARGEST_OPAQUE)
        self._reasoned = False
        self._refused = False
        self._finish_reason = ""
        self._model = ""
        self._usage = Usage()
        self._dollars = 0.0

    @property
    def full(self) -> bool:
        """No more is taken: the rest of the stream need not be read."""
        return self._room.full

    @property
    def thinks(self) -> bool:
        """Whether it has thought, and said nothing so far."""
        return (self._reasoned or self._thoughts.found) and self._room.used == 0

    @property
    def calls(self) -> str:
        """The tool that it calls first, as soon as that is known; empty: none so far."""
        return self._calls.first

    @property
    def begun(self) -> bool:
        """Whether anything of an answer came."""
        return self._room.used > 0 or self._reasoned or self._thoughts.found

    @property
    def ended(self) -> bool:
        """Whether the server said why the answer ended."""
        return bool(self._finish_reason)

    def priced(self, dollars: str) -> None:
        """What the server says that the answer costs, besides its usage. Text that is no price says nothing."""
        try:
            self._dollars = _amount(float(dollars))
        except ValueError:
            self._dollars = 0.0

    def cut(self) -> None:
        """What comes now is too long to be read at all."""
        self._room.full = True

    def feed(self, chunk: Any) -> str:
        """Take one chunk, or a whole answer in one document; returns the text to show now.

        Raises:
            StreamedError: it is an error.
            ValueError: it is no piece of an answer at all.
        """
        if not isinstance(chunk, Mapping):
            raise ValueError("a chunk that is no object")
        if chunk.get("error") or chunk.get("object") == "error":
            raise StreamedError(chunk.get("error") or chunk)
        if self.full:
            return ""
        if isinstance(model := chunk.get("model"), str) and model:
            self._model = whole(model[:LONGEST_WORD])
        self._count(chunk)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, Sequence) else ():
            if isinstance(choice, Mapping) and not choice.get("index"):
                return self._choice(choice)
        return ""

    def finish(self) -> str:
        """The rest of the text, when the stream has ended."""
        return self._show(self._thoughts.feed(self._characters.flush()) + self._thoughts.flush())

    def answer(self) -> Answer:
        """What there is; after `finish`, the whole."""
        return Answer(
            content="".join(self._content),
            refused=self._refused,
            reasoned=self._reasoned or self._thoughts.found,
            finish_reason=self._finish_reason,
            model=self._model,
            usage=self._usage if self._usage.cost else replace(self._usage, cost=self._dollars),
            tool_calls=self._calls.finished(),
            opaque=self._opaque.plain(),
            shortened=self._room.full,
        )

    # --- pieces -------------------------------------------------------------------------------------------

    def _choice(self, choice: Mapping[str, Any]) -> str:
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            self._finish_reason = _MEANING.get(reason.lower(), whole(reason[:LONGEST_WORD].lower()))
        delta = choice.get("delta") if "delta" in choice else choice.get("message")
        if not isinstance(delta, Mapping):
            return ""  # a remark of a content filter, or nothing
        self._reasoned = self._opaque.feed(delta) or self._reasoned
        said = self._said(delta.get("content"))
        if isinstance(refusal := delta.get("refusal"), str) and refusal:
            self._refused = True
            said += refusal
        calls = delta.get("tool_calls")
        if isinstance(calls, Sequence) and not isinstance(calls, str):
            self._calls.feed(calls)
        if isinstance(call := delta.get("function_call"), Mapping):  # OpenAI's older form
            self._calls.feed([{"function": call}])
        return self._show(self._thoughts.feed(self._characters.feed(said)))

    def _said(self, content: Any) -> str:
        """The text of a delta; content may come in parts, those of thinking among them (Mistral)."""
        if isinstance(content, str):
            return content
        if not isinstance(content, Sequence):
            return ""
        said = ""
        for part in content:
            if isinstance(part, str):
                said += part
            elif isinstance(part, Mapping):
                if isinstance(text := part.get("text"), str) and part.get("type") in {"text", "output_text", None}:
                    said += text
                elif "thinking" in part or "reasoning" in part:
                    self._reasoned = True
        return said

    def _show(self, text: str) -> str:
        said = self._room.take(text)
        if said:
            self._content.append(said)
        return said

    def _count(self, chunk: Mapping[str, Any]) -> None:
        """Usage stands in the chunk, in its choice (Moonshot), or in a box (Groq); the last one counts."""
        box, choices = chunk.get("x_groq"), chunk.get("choices")
        places = [chunk.get("usage"), box.get("usage") if isinstance(box, Mapping) else None]
        if isinstance(choices, Sequence) and choices and isinstance(choices[0], Mapping):
            places.append(choices[0].get("usage"))
        for raw in places:
            if isinstance(raw, Mapping):
                self._usage = read_usage(raw)


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """Tokens and costs under the names of the gateways; what is missing or of the wrong type counts as none."""
    details = raw.get("prompt_tokens_details")
    box: Mapping[str, Any] = details if isinstance(details, Mapping) else {}
    prompt, completion = _count(raw, "prompt_tokens", "input_tokens"), _count(raw, "completion_tokens", "output_tokens")
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=_count(raw, "total_tokens") or prompt + completion,
        cached_tokens=_count(box, "cached_tokens")
        or _count(raw, "cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens"),
        cache_creation_tokens=_count(box, "cache_creation_tokens", "cache_write_tokens")
        or _count(raw, "cache_creation_input_tokens"),
        cost=_amount(raw.get("cost")),
    )


def _count(raw: Mapping[str, Any], *names: str) -> int:
    for name in names:
        if (amount := _amount(raw.get(name))) > 0:
            return int(amount)
    return 0


def _amount(value: Any) -> float:
    """Not NaN, not infinite, not negative."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e15
    return float(value) if good else 0.0
