"""All executions that this worker knows or knew, fed by snapshots and events. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from desktop.models.conversation import Approval, Conversation, Item, Message
from worker_core import events
from worker_core.snapshot import ApprovalView, EngineSnapshot

if TYPE_CHECKING:
    from worker_core.control_plane.models import ExecutionRecord

KEPT = 500
"""Executions kept; the longest finished go first."""

LIVE = frozenset({"pending", "running", "waiting_for_input", "paused"})


@dataclass(slots=True, kw_only=True, eq=False)
class Execution:
    """What a list shows of an execution, and its conversation. `title` is the beginning of what was asked."""

    execution_id: str
    status: str = "pending"
    agent: str = ""
    agent_id: str = ""
    queue: str = ""
    title: str = ""
    step: str = ""
    turn: int = 0
    tokens: int = 0
    error: str = ""
    workspace: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    conversation: Conversation = field(init=False)

    def __post_init__(self) -> None:
        self.conversation = Conversation(self.execution_id)

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    def duration(self, now: datetime) -> timedelta | None:
        """From its start to its end, or to `now`."""
        return None if self.started_at is None else max(timedelta(0), (self.ended_at or now) - self.started_at)


Heard = Callable[[str, Item | None], None]


class ExecutionStore:
    """Listeners hear which execution changed, and which item of its conversation, if one did."""

    def __init__(self) -> None:
        self._executions: dict[str, Execution] = {}
        self._approvals: dict[tuple[str, str], Approval] = {}
        self._listeners: list[Heard] = []
        self._queue_names: dict[str, str] = {}
        self.agent_names: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._executions)

    def get(self, execution_id: str) -> Execution | None:
        return self._executions.get(execution_id)

    def all(self) -> list[Execution]:
        """What runs first, then the newest."""
        oldest = datetime.min.replace(tzinfo=UTC)
        return sorted(self._executions.values(), key=lambda one: (one.is_live, one.started_at or oldest), reverse=True)

    def approvals(self) -> list[Approval]:
        """All questions, the ones that wait first, then the newest."""
        oldest = datetime.min.replace(tzinfo=UTC)
        return sorted(self._approvals.values(), key=lambda one: (one.waits, one.asked_at or oldest), reverse=True)

    @property
    def approvals_waiting(self) -> int:
        return sum(1 for one in self._approvals.values() if one.waits)

    @property
    def has_live(self) -> bool:
        """Whether anything runs or waits."""
        return any(one.is_live for one in self._executions.values())

    def listen(self, heard: Heard) -> Callable[[], None]:
        """Call `heard` with an execution's id and the item that changed. Returns what ends this."""
        self._listeners.append(heard)
        return lambda: self._listeners.remove(heard) if heard in self._listeners else None

    def take(self, snapshot: EngineSnapshot) -> None:
        """What runs now, by the engine's own word."""
        self._queue_names = {queue.queue_id: queue.queue_name or queue.queue_id for queue in snapshot.queues}
        seen = set()
        for view in snapshot.executions:
            seen.add(view.execution_id)
            one = self._executions.get(view.execution_id)
            before = (one.status, one.step, one.turn, one.queue, one.agent) if one else None
            one = one or self._make(view.execution_id)
            one.queue = self._queue_names.get(view.queue_id, view.queue_id)
            one.agent_id = view.agent_id or one.agent_id
            one.agent = self.agent_names.get(one.agent_id) or one.agent or view.agent_id
            one.status, one.step, one.turn = view.status, view.step, view.turn
            one.started_at, one.ended_at = one.started_at or view.started_at, None
            if before != (one.status, one.step, one.turn, one.queue, one.agent):
                self._say(view.execution_id)
        for waiting in snapshot.approvals:
            self._ask(waiting)
        for one in self._executions.values():
            if one.execution_id not in seen and one.step:
                one.step = ""
                self._say(one.execution_id)

    def apply(self, arrived: Iterable[events.Event]) -> None:
        """Events of the bus, in order. Several pieces of one message are told once."""
        changed: dict[tuple[str, str], Item | None] = {}
        for event in arrived:
            execution_id = getattr(event, "execution_id", "")
            if not execution_id:
                continue
            item = self._one(event, execution_id)
            changed[(execution_id, item.key if item else "")] = item
        for (execution_id, _), item in changed.items():
            self._say(execution_id, item)

    def describe(self, execution_id: str, record: ExecutionRecord) -> None:
        """What the control plane knows of an execution (protocol, 8.2)."""
        one = self._executions.get(execution_id) or self._make(execution_id)
        if record.entity_name:
            one.agent = record.entity_name
            if one.agent_id:
                self.agent_names[one.agent_id] = record.entity_name
        one.title = one.title or _title(record.prompt)
        one.error = record.error_message or one.error
        status = record.status
        if status and (one.status == "pending" or (one.status == "waiting_for_input" and status not in LIVE)):
            one.status = status  # what our own events said of it is nearer to the truth
        one.tokens = max(one.tokens, _tokens(record.usage))
        one.started_at = _moment(record.started_at) or one.started_at
        one.ended_at = _moment(record.completed_at) or one.ended_at
        self._say(execution_id)

    def load_session(self, execution_id: str, session: Mapping[str, Any] | None) -> None:
        """The stored conversation, for an execution that was not seen from its beginning."""
        one = self._executions.get(execution_id) or self._make(execution_id)
        records = (session or {}).get("messages")
        one.conversation.load_session(
            [record for record in records if isinstance(record, Mapping)] if isinstance(records, list) else []
        )
        self._name(one)
        self._say(execution_id)

    def _ask(self, waiting: ApprovalView) -> None:
        key = (waiting.execution_id, waiting.id)
        if key not in self._approvals:
            one = self._executions.get(waiting.execution_id) or self._make(waiting.execution_id)
            asked = Approval(
                key=waiting.id,
                execution_id=waiting.execution_id,
                tool=waiting.tool,
                parts=waiting.parts,
                left_out=waiting.left_out,
                lasts=waiting.lasts,
                in_call=waiting.in_call,
                fields=waiting.fields,
                asked_at=waiting.asked_at,
                expires_at=waiting.expires_at,
            )
            known = self._approvals[key] = one.conversation.ask(asked)
            known.lasts = waiting.lasts
            if not known.seal:  # an event of it is masked as all that leaves this machine
                known.parts, known.left_out = waiting.parts, waiting.left_out
            self._say(waiting.execution_id, known)

    # -- below ----------------------------------------------------------------------------------------------------

    def _one(self, event: events.Event, execution_id: str) -> Item | None:
        one = self._executions.get(execution_id) or self._make(execution_id)
        match event:
            case events.ExecutionEventPublished():
                item = one.conversation.apply(event.type, event.payload, at=event.at)
                if isinstance(usage := event.payload.get("usage"), Mapping):
                    one.tokens += _tokens(usage)
                if isinstance(item, Approval):
                    self._approvals[execution_id, item.key] = item
                if isinstance(item, Message) and item.role == "user":
                    self._name(one)
                return item
            case events.ExecutionStarted():
                one.status, one.turn = "running", event.turn
                one.queue = self._queue_names.get(event.queue_id, event.queue_id)
                one.started_at, one.ended_at = one.started_at or event.at, None
            case events.ExecutionWaiting():
                one.status, one.step = "waiting_for_input", ""
                one.conversation.settle()
            case events.ExecutionFinished():
                one.status, one.step, one.error = event.status, "", event.error or ""
                one.ended_at = event.at
                one.conversation.settle()
            case _:
                pass
        return None

    def _make(self, execution_id: str) -> Execution:
        if len(self._executions) >= KEPT:
            over = min(
                (one for one in self._executions.values() if not one.is_live),
                key=lambda one: one.ended_at or datetime.min.replace(tzinfo=UTC),
                default=next(iter(self._executions.values())),
            )
            del self._executions[over.execution_id]
            for key in [key for key in self._approvals if key[0] == over.execution_id]:
                del self._approvals[key]
        made = self._executions[execution_id] = Execution(execution_id=execution_id)
        return made

    def _name(self, one: Execution) -> None:
        if not one.title:
            asked = (item.text for item in one.conversation.items if isinstance(item, Message) and item.role == "user")
            one.title = _title(next(asked, ""))

    def _say(self, execution_id: str, item: Item | None = None) -> None:
        for heard in tuple(self._listeners):
            heard(execution_id, item)


def _title(text: str) -> str:
    return " ".join(text[:400].split())[:200]


def _tokens(usage: Mapping[str, Any]) -> int:
    total = usage.get("total_tokens")
    if isinstance(total, int):
        return total
    parts = (usage.get(name) for name in ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens"))
    return sum(part for part in parts if isinstance(part, int))


def _moment(said: str | None) -> datetime | None:
    """A time as the control plane writes it; None where it is none."""
    try:
        found = datetime.fromisoformat(said or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
