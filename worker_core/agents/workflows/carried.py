"""What a workflow hands on to its own next run, when its history has become long.

New fields get defaults, as in `agents/messages.py`: it stays in Temporal's history, too.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

from worker_core.agents.messages import Begun, Message, Usage
from worker_core.basics.quick_dataclass import dataclass
from worker_core.temporal.converter import Packed


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnProgress:
    """A turn under way, as it is handed on to the workflow's next run."""

    started_at: str
    usage: Usage = field(default_factory=Usage)
    tool_names: tuple[str, ...] = ()
    calls_made: int = 0
    saved: bool = False
    """The session was stored in mid-turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried(Packed):
    """Everything that a workflow hands on when it continues as new."""

    begun: Begun
    messages: tuple[Message, ...]
    unsaved: tuple[Message, ...]
    inbox: tuple[dict[str, Any], ...]
    usage: Usage
    turn: int
    users: int
    answers: int
    call_ids: tuple[str, ...]
    sequence: int
    response: str
    prompt_tokens: int
    paused: bool
    done: bool
    status: str
    turn_progress: TurnProgress | None = None
    session_id: str = ""
    context_limits: dict[str, int] = field(default_factory=dict)
