"""What adds up over the life of a worker: counted from its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import field
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.events import Event, EventBus, ExecutionFinished, ModelCalled, PollingStalled, ToolFinished

FINISHED: Final = ("completed", "failed", "cancelled", "other")
TOOL_OUTCOMES: Final = ("succeeded", "failed", "denied", "unknown")
TOKENS: Final = ("input", "output", "cached")


@dataclass(slots=True)
class Counts:
    """Changed on the engine's loop alone; single numbers may be read from any thread."""

    finished: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FINISHED, 0))
    """Executions that ended here."""

    tools: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOOL_OUTCOMES, 0))
    models: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("succeeded", "failed"), 0))
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOKENS, 0))
    """`input` has those from the cache in it, which `cached` counts."""

    cost_dollars: float = 0.0
    reconnects: Counter[str] = field(default_factory=Counter)
    """By queue."""

    def listen(self, bus: EventBus) -> Callable[[], None]:
        """Count from now on. Returns what ends it."""
        return bus.listen(self._heard, only=(ExecutionFinished, ToolFinished, ModelCalled, PollingStalled))

    def _heard(self, event: Event) -> None:
        match event:
            case ExecutionFinished():
                self.finished[event.status if event.status in FINISHED else "other"] += 1
            case ToolFinished():
                self.tools["succeeded" if event.succeeded else event.failure or "failed"] += 1
            case ModelCalled():
                self.models["succeeded" if event.succeeded else "failed"] += 1
                self.tokens["input"] += event.prompt_tokens
                self.tokens["output"] += event.completion_tokens
                self.tokens["cached"] += event.cached_tokens
                self.cost_dollars += event.cost_dollars
            case PollingStalled():
                self.reconnects[event.queue_id] += 1
            case _:
                pass
