"""When streamed text leaves: the first piece at once, what follows gathered for at most one window.

Pure logic with the time given, so that it is tested without waiting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from worker_core.basics.quick_dataclass import dataclass

REMEMBERED_MESSAGES = 64


@dataclass(slots=True)
class Batch:
    """Text of one message, ready to become one event."""

    message_id: str
    extra: Mapping[str, Any]
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class ChunkBatcher:
    """Pending text of one execution, per message.

    A message's text leaves at most once per window. Text of different messages does not wait for each other; within a
    message, a change of `extra` sends what is pending first.
    """

    def __init__(self, *, window_seconds: float = 0.1) -> None:
        self._window = window_seconds
        self._pending: dict[str, Batch] = {}
        self._last_left: dict[str, float] = {}

    @property
    def empty(self) -> bool:
        return not self._pending

    def add(self, message_id: str, text: str, extra: Mapping[str, Any], *, now: float) -> list[Batch]:
        """Take a piece of text; returns what leaves at once."""
        leaving: list[Batch] = []
        pending = self._pending.get(message_id)
        if pending is not None and pending.extra != extra:
            leaving.append(self._take(message_id, now))
            pending = None
        if pending is None:
            pending = self._pending[message_id] = Batch(message_id, dict(extra))
        pending.pieces.append(text)
        if self._leaves_at(message_id) <= now:
            leaving.append(self._take(message_id, now))
        return leaving

    def due(self, *, now: float) -> list[Batch]:
        """What leaves now because its window is over."""
        return [self._take(one, now) for one in tuple(self._pending) if self._leaves_at(one) <= now]

    def next_due(self) -> float | None:
        """When `due` has something next; None while nothing is pending."""
        return min((self._leaves_at(one) for one in self._pending), default=None)

    def flush(self, *, now: float) -> list[Batch]:
        """Everything, at once."""
        return [self._take(one, now) for one in tuple(self._pending)]

    def _leaves_at(self, message_id: str) -> float:
        return self._last_left.get(message_id, float("-inf")) + self._window

    def _take(self, message_id: str, now: float) -> Batch:
        self._last_left.pop(message_id, None)
        self._last_left[message_id] = now
        if len(self._last_left) > REMEMBERED_MESSAGES:
            del self._last_left[next(iter(self._last_left))]
        return self._pending.pop(message_id)
