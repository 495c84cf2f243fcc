"""What a viewer's event stream says, decoded: wrapped or flat, whatever the server sends (protocol, 8.3 and 8.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from worker_core.network.sse import ServerSentEvent

RESTING: Final = frozenset({"completed", "failed", "cancelled", "waiting_for_input"})
"""Statuses in which no turn is under way."""

MILD: Final = frozenset({"warning", "info"})
"""Severities of `error` events that tell of something else than a failure."""

_OF_THE_STREAM: Final = frozenset(
    {"connected", "history_complete", "status", "done", "degraded", "reconnect", "timeout_warning", "gap_detected"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One event. `data` is an object, empty where the server sent none."""

    kind: str
    data: Mapping[str, Any]
    id: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether it is part of the execution, so that a stream without ids repeats it to whoever comes again."""
        return self.kind not in _OF_THE_STREAM

    @property
    def is_last(self) -> bool:
        """Whether the server ends the stream with it. A worker's own `error` is wrapped and carries `severity`."""
        return self.kind == "done" or (self.kind == "error" and "severity" not in self.data)

    def word(self, *names: str) -> str:
        """The first of these fields that holds a text."""
        for name in names:
            value = self.data.get(name)
            if isinstance(value, str) and value:
                return value
        return ""

    @property
    def error(self) -> str:
        """The sentence of an `error` event."""
        details = self.data.get("details")
        said = details.get("error_message") if isinstance(details, Mapping) else None
        return said if isinstance(said, str) and said else self.word("error", "error_message", "message")


def read(event: ServerSentEvent) -> Fact:
    """Never fails: what is no JSON object has no data."""
    try:
        raw = json.loads(event.data)
    except (ValueError, RecursionError):
        raw = None
    data = raw if isinstance(raw, dict) else {}
    inner = data.get("data")
    if isinstance(inner, dict) and data.keys() <= {"data", "timestamp", "event_type", "execution_id", "metadata"}:
        data = inner
    return Fact(kind=event.event, data=data, id=event.id)
