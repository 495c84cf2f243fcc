"""What travels between the workflow and its activities. Plain data, since it stays in Temporal's history.

New fields get defaults: histories written before they existed must still replay.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Final

from worker_core.agents.execution_input import EntityKind, ExecutionInput
from worker_core.basics.quick_dataclass import dataclass
from worker_core.model.answer import ToolCall as ToolCall
from worker_core.model.answer import Usage as Usage
from worker_core.temporal.converter import Packed

CONTEXT_FULL: Final = "ContextFull"
"""Error type of a model call whose conversation is too long: it is summarised, and the model asked once more."""

PASSING: Final = "GatewayPassing"
"""Error type of a model call that may succeed some day: the conversation waits for its user instead of ending."""

JOB_GONE: Final = "JobGone"
"""Error type of a record that cannot be made, since the job was deleted."""

APPROVAL_TIMED_OUT: Final = "timeout"
"""What a workflow heard of a question that nobody answered (`RunTool.answer`)."""

BUDGET_USED_UP: Final = "BudgetUsedUp"
"""Error type of a turn that may spend no more: what was said is kept, and its user may go on."""

UNKNOWN_OUTCOME: Final = (
    "The outcome of this call is unknown: the worker stopped while it ran. It may or may not have taken effect. "
    "Look before you repeat it."
)


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
    opaque: dict[str, Any] = field(default_factory=dict)
    """Of an assistant with calls: what its server wants to see again, as it came."""

    author: dict[str, str] = field(default_factory=dict)
    """`user_id`, `user_name`, `user_email`, `user_avatar` where known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReached:
    """The call was not made: a budget is used up. Where `call_id` names a question, its user decides until
    `expires_at` (ISO 8601); without one, the turn ends.
    """

    sentence: str
    call_id: str = ""
    expires_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetAnswer:
    """What the workflow heard about such a question: a claim, which the home machine judges."""

    call_id: str
    answer: str
    content: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    input: ExecutionInput
    home_lost: bool = False
    """The machine that held the workspace is gone, or has ended it; this is the search for a new one."""

    after_sequence: int = 0
    asks_ahead: bool = False
    """Its worker may ask the model what the workflow will ask first."""

    began_at: str = ""
    """ISO 8601, by the workflow's clock. With it, its worker may end the first turn where that is answered at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. Decided by the worker that began the execution, then fixed in its history."""

    model_call: float = 1800.0
    tool_call: float = 660.0
    heartbeat: float = 10.0
    home_lost_after: float = 300.0
    model_attempts: int = 6
    tool_attempts: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """Who answers: the agent, a team's leader, or one of its members."""

    model: str
    kind: EntityKind = "agents"
    entity_id: str = ""
    """Whose variables its tools get; empty where there is no row for it."""

    name: str = ""
    """A member's name; empty for the one that the user talks to."""

    description: str = ""
    called: str = ""
    """Name of the leader's tool that gives this member a task."""

    system_prompt: str = ""
    model_config: dict[str, Any] = field(default_factory=dict)
    tools: tuple[dict[str, Any], ...] = ()
    """Each `{name, description, parameters, read_only}`; those of MCP servers with `server` and `tool` besides."""

    mcp_servers: dict[str, Any] = field(default_factory=dict)
    """As they came with the execution, templates unfilled; those of the agent's environment stay at home."""

    skills: tuple[dict[str, Any], ...] = ()
    """Resolved skills (type, name, configuration): what the tools are made from again at each call."""

    folder: str = ""
    """The folder of the home machine's owner that its tools begin in, as it was granted; empty: the workspace."""

    granted_as: tuple[str, ...] = ()
    """Ids whose grants of folders are its own, besides those of the queue."""

    def server_tool(self, name: str) -> dict[str, Any]:
        """The entry of a tool that an MCP server has; empty where it is the worker's own, or none."""
        return next((tool for tool in self.tools if tool["name"] == name and tool.get("server")), {})

    def call_of(
        self,
        call: ToolCall,
        *,
        execution_id: str,
        turn: int,
        parent_message_id: str,
        timeout_seconds: float,
        in_team: bool,
        answer: str = "",
        content: dict[str, Any] | None = None,
        budget: BudgetAnswer | None = None,
        after_sequence: int = 0,
    ) -> RunTool:
        """The request to make a call of one of its tools."""
        offered = self.server_tool(call.name)
        return RunTool(
            execution_id=execution_id,
            kind=self.kind,
            entity_id=self.entity_id,
            turn=turn,
            call=call,
            skills=self.skills,
            folder=self.folder,
            granted_as=self.granted_as,
            parent_message_id=parent_message_id,
            timeout_seconds=timeout_seconds,
            member_name=self.name,
            in_team=in_team,
            after_sequence=after_sequence,
            mcp_server=str(offered.get("server") or ""),
            mcp_tool=str(offered.get("tool") or ""),
            mcp_servers=self.mcp_servers if offered else {},
            answer=answer,
            content=content,
            budget=budget,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDecision:
    """The server's word on how to go on: `waiting_for_input`, `completed` or `failed`."""

    status: str
    last_sequence: int = 0
    recorded: bool = False
    """The server completed the execution itself: its record has all that an end has."""

    ended: bool = False
    """The execution has ended with this turn, here and for the server. One that goes on all the same begins anew."""


UNDECIDED: Final = TurnDecision(status="")
"""What was decided of a turn that is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Packed):
    """Where the execution lives, and who takes part."""

    home_queue: str
    host_id: str
    persona: Persona
    members: tuple[Persona, ...] = ()
    earlier: tuple[Message, ...] = ()
    """Messages of the stored session, where this execution continues one."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    model_call_limit: int = 50
    context_limit_tokens: int = 100_000
    last_sequence: int = 0
    runtime: str = "default"
    asked_by: str = ""
    """The process that asked the model what comes first, which had not answered yet."""

    answer: ModelReply | None = None
    """What it answered."""

    decision: TurnDecision | None = None
    """Its answer ended the turn, too; `UNDECIDED` where that is not over, or where nobody knows how far it came."""


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
    member_name: str = ""
    parent_message_id: str = ""
    silent: bool = False
    """Nobody sees the text: a summary for the model itself."""

    kind: EntityKind = "agents"
    entity_id: str = ""
    """Whose secrets are masked in the answer."""

    after_sequence: int = 0
    budget: BudgetAnswer | None = None
    asked_by: str = ""
    """As in `Begun`: where that process is gone, this is another attempt."""

    passed_on: int = 0
    """How often it came to a process that does not make it, while the one that does still ran."""

    ending: FinishTurn | None = None
    """The request to end its turn, but for what the answer brings (`turn_end.with_answer`): an answer without calls may
    end it at once. None: its own step ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply(Packed):
    content: str
    message_id: str
    model: str
    finish_reason: str
    tool_calls: tuple[ToolCall, ...] = ()
    opaque: dict[str, Any] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    """Of all that was paid: attempts that broke off, and a second request where the first answer was none."""

    context_tokens: int = 0
    """How full the model's context is, as the gateway counted at the last request."""

    remark: str = ""
    """What is to be said of an answer that is cut, filtered or none; viewers have heard it."""

    last_sequence: int = 0
    budget: BudgetReached | None = None
    elsewhere: bool = False
    """No answer: another process of this machine makes the call. It is to be asked for again."""

    answered_at: str = ""
    """ISO 8601, where the session has it with that time already."""

    decision: TurnDecision | None = None
    """As `Begun.decision`, of the answer to a `ModelCall.ending`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeTurn(Packed):
    """A whole turn of the runtime `claude_code`."""

    execution_id: str
    turn: int
    persona: Persona
    members: tuple[Persona, ...]
    prompt: str
    earlier: tuple[Message, ...]
    """What was said before, for a machine that does not know the session."""

    message_id: str
    session_id: str = ""
    model_attempts: int = 6
    model_call_limit: int = 50
    after_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeReply(Packed):
    messages: tuple[Message, ...]
    content: str
    session_id: str
    model: str
    finish_reason: str
    usage: Usage = field(default_factory=Usage)
    tool_names: tuple[str, ...] = ()
    last_sequence: int = 0
    used_up: str = ""
    """Why the turn ended early: a budget's sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTool:
    execution_id: str
    kind: EntityKind
    entity_id: str
    turn: int
    call: ToolCall
    skills: tuple[dict[str, Any], ...]
    parent_message_id: str
    timeout_seconds: float
    member_name: str = ""
    in_team: bool = False
    after_sequence: int = 0
    mcp_server: str = ""
    """The alias of the MCP server whose tool this is; empty for the worker's own tools."""

    mcp_tool: str = ""
    mcp_servers: dict[str, Any] = field(default_factory=dict)
    answer: str = ""
    """What the workflow heard about it (`approvals.Approvals`): a claim, which the home machine judges."""

    content: dict[str, Any] | None = None
    """What was filled in with that answer, where its server asks for something in mid-call."""

    budget: BudgetAnswer | None = None
    folder: str = ""
    """As `Persona.folder`: a claim, which the home machine judges at each call."""

    granted_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalWanted:
    """The call was not made: its user must be asked. `expires_at` in ISO 8601."""

    id: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """`unknown`: the worker died during the call; whether it took effect cannot be told."""

    succeeded: bool
    output: str
    error: str | None = None
    unknown: bool = False
    duration_ms: int = 0
    last_sequence: int = 0
    approval: ApprovalWanted | None = None
    budget: BudgetReached | None = None

    def for_model(self) -> str:
        """What the model reads of it."""
        if self.unknown:
            return UNKNOWN_OUTCOME
        if self.error and self.output:
            return f"{self.output}\n[{self.error}]"
        return self.error or self.output or "(no output)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishTurn(Packed):
    execution_id: str
    turn: int
    model: str
    messages: tuple[dict[str, Any], ...]
    """What was said since the last save, in the session's shape."""

    started_at: str
    completed_at: str
    duration_ms: int
    turn_usage: Usage
    total_usage: Usage
    response: str
    finish_reason: str
    tool_names: tuple[str, ...] = ()
    user_id: str = ""
    unattended: bool = False
    session_id: str = ""
    """Of the runtime `claude_code`, for the record."""

    saved: bool = False
    """The session was changed since the turn began."""

    after_sequence: int = 0
    moved: bool = False
    """Another machine was to do this, which is lost: how far it came is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUpTurn(Packed):
    """A turn that failed for a cause that may pass: its user may go on from here."""

    execution_id: str
    turn: int
    error: str
    error_type: str
    error_category: str
    messages: tuple[dict[str, Any], ...]
    """What was said since the last save, in the session's shape."""

    usage: Usage
    user_id: str = ""
    after_sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveMessages(Packed):
    """The session in mid-turn, where much was said."""

    execution_id: str
    messages: tuple[dict[str, Any], ...]
    user_id: str
    turn: int


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
    """What was said since the last save."""

    user_id: str = ""
    after_sequence: int = 0
    recorded: bool = False
    """As in `TurnDecision`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One run of a job (8.7)."""

    execution_id: str
    job_id: str
    kind: EntityKind
    entity_id: str
    prompt: str
    trigger_metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    execution_id: str
    job_id: str
    status: str
    duration_ms: int
    error: str = ""
