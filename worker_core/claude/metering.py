"""What one request to Anthropic's API took, read from the answer as it passes by."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from worker_core.basics import foreign_json
from worker_core.model.answer import Usage
from worker_core.network.sse import SseParser, StreamTooLong

_DOCUMENT_BYTES: Final = 4 << 20
_PIECE_BYTES: Final = 8192
_READ: Final = "input_tokens"
_FROM_CACHE: Final = "cache_read_input_tokens"
_INTO_CACHE: Final = "cache_creation_input_tokens"
_WRITTEN: Final = "output_tokens"


def usage_of(counted: Mapping[str, Any], *, cost: float = 0.0) -> Usage:
    """Of what Anthropic's API and Claude's program both count; what is no number counts as none. `cost` in dollars."""

    def count(name: str) -> int:
        value = counted.get(name)
        return value if isinstance(value, int) else 0

    cached, kept = count(_FROM_CACHE), count(_INTO_CACHE)
    prompt, written = count(_READ) + cached + kept, count(_WRITTEN)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=written,
        total_tokens=prompt + written,
        cached_tokens=cached,
        cache_creation_tokens=kept,
        cost=cost,
    )


class UsageMeter:
    """Of one answer: a stream of events, or one document. What cannot be read counts as nothing, and breaks nothing."""

    def __init__(self, content_type: str) -> None:
        self.model = ""
        self._events = SseParser() if "event-stream" in content_type else None
        self._document = bytearray()
        self._counted: dict[str, int] = {}
        self._given_up = False
        """The rest of it is not read."""

    def feed(self, block: bytes) -> None:
        if self._given_up:
            return
        if self._events is None:
            self._document += block
            self._given_up = len(self._document) >= _DOCUMENT_BYTES
            return
        try:
            for at in range(0, len(block), _PIECE_BYTES):
                for event in self._events.feed(block[at : at + _PIECE_BYTES]):
                    if '"usage"' in event.data:
                        with suppress(ValueError):
                            self._take(foreign_json.loads(event.data))
        except StreamTooLong:
            self._given_up = True

    def usage(self) -> Usage:
        """Of the whole answer; its cost stands nowhere in it."""
        if self._document:
            with suppress(ValueError):
                self._take(foreign_json.loads(bytes(self._document)))
        return usage_of(self._counted)

    def _take(self, said: Any) -> None:
        """Counts stand in the message that begins, and again, newer, where it ends."""
        if not isinstance(said, Mapping):
            return
        message = said.get("message")
        for box in (message, said):
            if not isinstance(box, Mapping):
                continue
            if isinstance(model := box.get("model"), str) and model:
                self.model = model
            usage = box.get("usage")
            for name in (_READ, _FROM_CACHE, _INTO_CACHE, _WRITTEN):
                value = usage.get(name) if isinstance(usage, Mapping) else None
                if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12:
                    self._counted[name] = value
