"""What a model answered, whoever served it."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from worker_core.basics.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call the model asked for. `arguments` is the model's own JSON text: it may be wrong."""

    call_id: str
    name: str
    arguments: str
    opaque: dict[str, Any] = field(default_factory=dict)
    """What the server added to it, such as a signature: it goes back unchanged."""

    problem: str = ""
    """Why it cannot be made, for the model to read; empty: it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one or more model calls, and what they cost in US dollars where the gateway says so."""

    prompt_tokens: int = 0
    """All that was read, from the cache and into it as well."""

    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    cache_creation_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_creation_tokens=self.cache_creation_tokens + other.cache_creation_tokens,
            cost=self.cost + other.cost,
        )

    def to_wire(self) -> dict[str, int]:
        """Both key sets that screens read (protocol, section 8.6)."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total_tokens,
            "input_tokens": self.prompt_tokens,
            "output_tokens": self.completion_tokens,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, read to its end."""

    content: str = ""
    """What is said to the user; the words of a refusal too."""

    refused: bool = False
    """The model declined (OpenAI's `refusal`)."""

    reasoned: bool = False
    """It thought, whether or not anything came of it."""

    finish_reason: str = ""
    """OpenAI's word for why it ended, whatever the server's was; empty where it said nothing."""

    model: str = ""
    usage: Usage = field(default_factory=Usage)
    tool_calls: tuple[ToolCall, ...] = ()
    opaque: dict[str, Any] = field(default_factory=dict)
    """What belongs to the protocol of its server (reasoning, signatures): it goes back unchanged."""

    shortened: bool = False
    """It was longer than this worker takes, and was cut."""
