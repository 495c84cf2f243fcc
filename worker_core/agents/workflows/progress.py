"""How far an execution has come: everything that its workflow knows, and hands on when it continues as new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from typing import Any

from worker_core.agents.messages import Begun, Message, ModelReply, ToolCall, TurnDecision, Usage
from worker_core.agents.workflows.approvals import Approvals
from worker_core.agents.workflows.carried import Carried, TurnProgress
from worker_core.basics.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first model call was made ahead: its answer, or the process that still makes it."""

    answer: ModelReply | None
    asked_by: str


@dataclass(slots=True)
class Progress:
    """Changed by workflow code alone."""

    begun: Begun | None = None
    first: First | None = None
    """What became of the model call that was made ahead; None once it was used, or where none was."""

    ahead: TurnDecision | None = None
    """What was decided of the turn under way, where its end came with its answer; as `Begun.decision`."""

    messages: list[Message] = field(default_factory=list)
    """What the model knows."""

    unsaved: list[Message] = field(default_factory=list)
    """What the stored session does not know yet."""

    inbox: list[Mapping[str, Any]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    turn: int = 0
    users: int = 1
    answers: int = 0
    call_ids: set[str] = field(default_factory=set)
    sequence: int = 0
    response: str = ""
    prompt_tokens: int = 0
    """Of the last model call: how full the model's context is."""

    context_limits: dict[str, int] = field(default_factory=dict)
    """Tokens by model, where its server said that they are fewer than the worker is set to."""

    paused: bool = False
    done: bool = False
    status: str = "pending"
    approvals: Approvals = field(default_factory=Approvals)
    """Never carried on: a run ends only where nothing waits."""

    turn_progress: TurnProgress | None = None
    session_id: str = ""
    """Of the runtime `claude_code`."""

    @property
    def home(self) -> Begun:
        assert self.begun is not None
        return self.begun

    def say(self, *messages: Message) -> None:
        """Messages that the model and the session are to know."""
        self.messages.extend(messages)
        self.unsaved.extend(messages)

    def take_first(self) -> First | None:
        """It is an answer to the conversation, and used once."""
        first, self.first = self.first, None
        return first

    def heard(self, sequence: int) -> None:
        """An activity sent events up to this number."""
        self.sequence = max(self.sequence, sequence)

    def with_unique_ids(self, calls: Iterable[ToolCall]) -> tuple[ToolCall, ...]:
        """Models repeat call ids over a conversation, or leave them out; the journal's key must be unique."""
        unique = []
        for call in calls:
            call_id = call.call_id or "call"
            if call_id in self.call_ids:
                call_id = f"{call_id}-{len(self.call_ids)}"
            self.call_ids.add(call_id)
            unique.append(replace(call, call_id=call_id))
        return tuple(unique)

    def carry(self) -> Carried:
        return Carried(
            begun=self.home,
            messages=tuple(self.messages),
            unsaved=tuple(self.unsaved),
            inbox=tuple(dict(one) for one in self.inbox),
            usage=self.usage,
            turn=self.turn,
            users=self.users,
            answers=self.answers,
            call_ids=tuple(sorted(self.call_ids)),
            sequence=self.sequence,
            response=self.response,
            prompt_tokens=self.prompt_tokens,
            paused=self.paused,
            done=self.done,
            status=self.status,
            turn_progress=self.turn_progress,
            session_id=self.session_id,
            context_limits=self.context_limits,
        )

    def take_up(self, carried: Carried) -> None:
        """Go on from what an earlier run handed on. Signals that arrived first stay, behind its own."""
        self.begun = carried.begun
        self.messages = list(carried.messages)
        self.unsaved = list(carried.unsaved)
        self.inbox = [*carried.inbox, *self.inbox]
        self.usage = carried.usage
        self.turn = carried.turn
        self.users = carried.users
        self.answers = carried.answers
        self.call_ids = set(carried.call_ids)
        self.sequence = carried.sequence
        self.response = carried.response
        self.prompt_tokens = carried.prompt_tokens
        self.paused = carried.paused or self.paused
        self.done = carried.done or self.done
        self.status = carried.status
        self.turn_progress = carried.turn_progress
        self.session_id = carried.session_id
        self.context_limits = dict(carried.context_limits)
