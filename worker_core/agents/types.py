"""What travels between the workflow and its activities. Plain data, since it stays in Temporal's history.

New fields get defaults: histories written before they existed must still replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from worker_core.temporal.converter import Packed


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""


def _object(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    return dict(value) if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionInput:
    """Input of `AgentExecutionWorkflow` (protocol, section 7.3), nulls replaced.

    `api_key` and `control_plane_url` of the wire are left out on purpose: the worker uses its own.
    """

    execution_id: str
    agent_id: str
    organization_id: str
    prompt: str
    system_prompt: str = ""
    model_id: str = ""
    model_config: dict[str, Any] = field(default_factory=dict)
    agent_config: dict[str, Any] = field(default_factory=dict)
    mcp_servers: dict[str, Any] = field(default_factory=dict)
    user_metadata: dict[str, Any] = field(default_factory=dict)
    runtime_type: str = "default"
    initial_message_timestamp: str = ""

    @classmethod
    def from_wire(cls, raw: Mapping[str, Any], *, fallback_id: str) -> Self:
        """Read the server's JSON object; null or absent fields take their defaults.

        Args:
            raw: the workflow's one argument.
            fallback_id: execution id where the input has none.
        """
        return cls(
            execution_id=_text(raw, "execution_id") or fallback_id,
            agent_id=_text(raw, "agent_id"),
            organization_id=_text(raw, "organization_id"),
            prompt=_text(raw, "prompt"),
            system_prompt=_text(raw, "system_prompt"),
            model_id=_text(raw, "model_id"),
            model_config=_object(raw, "model_config"),
            agent_config=_object(raw, "agent_config"),
            mcp_servers=_object(raw, "mcp_servers"),
            user_metadata=_object(raw, "user_metadata"),
            runtime_type=_text(raw, "runtime_type") or "default",
            initial_message_timestamp=_text(raw, "initial_message_timestamp"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call the model asked for. `arguments` is the model's own JSON text: it may be wrong."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one or more model calls."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
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
class Message:
    """One entry of the conversation: for the model, for the session and for `get_state`."""

    role: str
    content: str
    timestamp: str
    message_id: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    tool_name: str = ""
    tool_arguments: str = ""
    tool_error: str | None = None
    author: dict[str, str] = field(default_factory=dict)
    """`user_id`, `user_name`, `user_email`, `user_avatar` where known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    input: ExecutionInput
    home_lost: bool = False
    """The machine that held the workspace is gone; this is the search for a new one."""

    after_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. Decided by the worker that began the execution, then fixed in its history."""

    model_call: float = 1800.0
    tool_call: float = 660.0
    heartbeat: float = 10.0
    home_lost_after: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Where the execution lives, and what the model is told and offered."""

    home_queue: str
    host_id: str
    model: str
    system_prompt: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    """Each `{name, description, parameters, read_only}`."""

    skills: tuple[dict[str, Any], ...] = ()
    """Resolved skills (type, name, configuration): what the tools are made from again at each call."""

    earlier: tuple[Message, ...] = ()
    """Messages of the stored session, where this execution continues one."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    fresh_workspace: bool = True
    model_call_limit: int = 50
    last_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTurn:
    execution_id: str
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall(Packed):
    execution_id: str
    turn: int
    model: str
    messages: tuple[dict[str, Any], ...]
    """Chat-completions shape."""

    tools: tuple[dict[str, Any], ...]
    message_id: str
    model_config: dict[str, Any] = field(default_factory=dict)
    after_tools: bool = False
    after_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    content: str
    message_id: str
    model: str
    finish_reason: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    last_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTool:
    execution_id: str
    agent_id: str
    turn: int
    call: ToolCall
    skills: tuple[dict[str, Any], ...]
    parent_message_id: str
    timeout_seconds: float
    after_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """`unknown`: the worker died during the call; whether it took effect cannot be told."""

    succeeded: bool
    output: str
    error: str | None = None
    unknown: bool = False
    duration_ms: int = 0
    last_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishTurn(Packed):
    execution_id: str
    turn: int
    model: str
    messages: tuple[dict[str, Any], ...]
    """The whole session, in the server's shape."""

    started_at: str
    completed_at: str
    duration_ms: int
    turn_usage: Usage
    total_usage: Usage
    response: str
    finish_reason: str
    tool_names: tuple[str, ...] = ()
    user_id: str = ""
    after_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDecision:
    """The server's word on how to go on: `waiting_for_input`, `completed` or `failed`."""

    status: str
    last_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndExecution(Packed):
    execution_id: str
    status: str
    response: str
    usage: Usage
    turns: int
    error: str = ""
    error_type: str = ""
    error_category: str = ""
    interrupted: bool = False
    messages: tuple[dict[str, Any], ...] = ()
    """The session, where messages are not stored yet; empty otherwise."""

    user_id: str = ""
    after_sequence: int = 0
