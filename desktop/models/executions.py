"""All executions that this worker knows or knew, fed by snapshots and events. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from desktop.look.language import tr
from desktop.models.conversation import Conversation
from desktop.models.conversation_items import Approval, Item, Message
from desktop.models.course import RESTING, Course
from desktop.notices.execution_news import Words
from worker_core import events
from worker_core.basics.quick_dataclass import dataclass
from worker_core.snapshot import ApprovalView, BudgetView, EngineSnapshot, EngineState

if TYPE_CHECKING:
    from worker_core.control_plane.models import ExecutionRecord

KEPT = 500
"""Executions kept; the longest finished go first."""

LIVE = frozenset({"pending", "running", "waiting_for_input", "waiting_for_approval", "paused"})

OVER = frozenset({EngineState.STOPPED, EngineState.FAILED})
"""No worker is there that takes an answer."""


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
    budget: tuple[BudgetView, ...] = ()
    """How far its limits are used up."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    waits_since: datetime | None = None
    """When it began to wait for a person, or to be paused; None while it works, and where that is not known."""

    rested: timedelta = timedelta(0)
    """How long it waited before, as far as it was seen."""

    is_told: bool = False
    """The worker that the window shows has told of it; of others only the control plane's list is known."""

    course: Course = field(default_factory=Course)
    conversation: Conversation = field(init=False)

    def __post_init__(self) -> None:
        self.conversation = Conversation(self.execution_id)

    @property
    def name(self) -> str:
        """What it is called: by its title, and until that is known by the beginning of its id."""
        return self.title or tr("Task {id}", id=self.execution_id[:8])

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    def duration(self, now: datetime) -> timedelta | None:
        """How long it worked, up to `now`: what it waits for a person is not counted. None: not known."""
        end = self.ended_at or self.waits_since or (None if self.status in RESTING else now)
        if self.started_at is None or end is None:
            return None
        return max(timedelta(0), end - self.started_at - self.rested)

    def stand(self, status: str, *, at: datetime) -> None:
        """It is in this status since `at`."""
        if self.waits_since is not None and status not in RESTING:
            self.rested += max(timedelta(0), at - self.waits_since)
        self.waits_since = (self.waits_since or at) if status in RESTING else None
        self.status = status


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

    def questions(self) -> list[Approval]:
        """Those that wait, the longest first: a new one comes below, and moves none from under a hand."""
        oldest = datetime.min.replace(tzinfo=UTC)
        waiting = (one for one in self._approvals.values() if one.waits)
        return sorted(waiting, key=lambda one: one.asked_at or oldest)

    @property
    def approvals_waiting(self) -> int:
        return sum(1 for one in self._approvals.values() if one.waits)

    @property
    def has_live(self) -> bool:
        """Whether anything runs or waits."""
        return any(one.is_live for one in self._executions.values())

    def words(self, execution_id: str) -> Words:
        """What it is called, and the first line of what was answered last."""
        one = self._executions.get(execution_id)
        if one is None:
            return Words()
        last = next((item for item in reversed(one.conversation.items) if isinstance(item, Message)), None)
        answer = "" if last is None or last.role == "user" else last.text.strip().partition("\n")[0]
        return Words(title=one.title, answer=answer)

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
            before = (one.status, one.step, one.turn, one.queue, one.agent, one.budget) if one else None
            one = one or self._make(view.execution_id)
            one.is_told = True
            one.queue = self._queue_names.get(view.queue_id, view.queue_id)
            one.agent_id = view.agent_id or one.agent_id
            one.agent = self.agent_names.get(one.agent_id) or one.agent or view.agent_id
            now = datetime.now(UTC)
            one.stand(view.status, at=now)
            one.course.seen(view.status, view.step, at=now)
            one.step, one.turn, one.budget = view.step, view.turn, view.budget
            one.started_at, one.ended_at = one.started_at or view.started_at, None
            if before != (one.status, one.step, one.turn, one.queue, one.agent, one.budget):
                self._say(view.execution_id)
        for waiting in snapshot.approvals:
            self._ask(waiting)
        if snapshot.state in OVER:
            self._set_adrift({(waiting.execution_id, waiting.id) for waiting in snapshot.approvals})
        for one in self._executions.values():
            if one.execution_id not in seen and one.step:
                one.step = ""
                one.course.left()
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
        self._fill(one, record)
        self._say(execution_id)

    def remember(self, queue_id: str, records: Iterable[ExecutionRecord]) -> None:
        """What the control plane lists of a queue, also from before this program began. It makes no room for them."""
        changed = []
        for record in records:
            one = self._executions.get(record.id)
            if one is None:
                if len(self._executions) >= KEPT:
                    continue
                one = self._make(record.id)
            before = (one.status, one.title, one.agent, one.queue, one.started_at, one.ended_at)
            one.queue = self._queue_names.get(queue_id, one.queue or queue_id)
            self._fill(one, record)
            if before != (one.status, one.title, one.agent, one.queue, one.started_at, one.ended_at):
                changed.append(record.id)
        for execution_id in changed:
            self._say(execution_id)

    def begin(self, execution_id: str, *, prompt: str, agent: str, agent_id: str, queue: str) -> None:
        """A task that was given to an agent here: it is seen at once, before a worker has it."""
        one = self._executions.get(execution_id) or self._make(execution_id)
        one.title, one.agent, one.agent_id, one.queue = _title(prompt), agent, agent_id, one.queue or queue
        one.started_at = one.started_at or datetime.now(UTC)
        one.conversation.begin(prompt, at=one.started_at)
        self._say(execution_id)

    def say(self, execution_id: str, text: str) -> Message:
        """What the person says here; it is seen at once. `told` says what became of it."""
        one = self._executions.get(execution_id) or self._make(execution_id)
        message = one.conversation.say(text, at=datetime.now(UTC))
        self._say(execution_id, message)
        return message

    def told(self, execution_id: str, message: Message, delivery: Literal["", "sending", "failed"]) -> None:
        """It is there, on its way again, or was not taken."""
        message.delivery = delivery
        self._say(execution_id, message)

    def load_session(self, execution_id: str, session: Mapping[str, Any] | None) -> None:
        """The stored conversation, for an execution that was not seen from its beginning."""
        one = self._executions.get(execution_id) or self._make(execution_id)
        records = (session or {}).get("messages")
        one.conversation.load_session(
            [record for record in records if isinstance(record, Mapping)] if isinstance(records, list) else []
        )
        self._name(one)
        self._say(execution_id)

    def _set_adrift(self, asked: set[tuple[str, str]]) -> None:
        """What a worker asked that has ended. The next one asks it again, as long as it stands."""
        for key, one in self._approvals.items():
            if one.waits and key not in asked:
                one.adrift = True
                self._say(one.execution_id, one)

    def _ask(self, waiting: ApprovalView) -> None:
        key = (waiting.execution_id, waiting.id)
        if (before := self._approvals.get(key)) is not None and before.adrift:
            before.adrift = False
            self._say(waiting.execution_id, before)
        if before is None:
            one = self._executions.get(waiting.execution_id) or self._make(waiting.execution_id)
            asked = Approval(
                key=waiting.id,
                execution_id=waiting.execution_id,
                tool=waiting.tool,
                parts=waiting.parts,
                left_out=waiting.left_out,
                lasts=waiting.lasts,
                rule=waiting.rule,
                workspace=waiting.workspace,
                in_call=waiting.in_call,
                fields=waiting.fields,
                asked_at=waiting.asked_at,
                expires_at=waiting.expires_at,
            )
            known = self._approvals[key] = one.conversation.ask(asked)
            known.lasts, known.rule, known.workspace = waiting.lasts, waiting.rule, waiting.workspace
            if not known.seal:  # an event of it is masked as all that leaves this machine
                known.parts, known.left_out = waiting.parts, waiting.left_out
            self._say(waiting.execution_id, known)

    # -- below ----------------------------------------------------------------------------------------------------

    def _fill(self, one: Execution, record: ExecutionRecord) -> None:
        if record.entity_name:
            one.agent = record.entity_name
            if one.agent_id:
                self.agent_names[one.agent_id] = record.entity_name
        one.title = one.title or _title(record.prompt)
        one.error = record.error_message or one.error
        status, ours = record.status, one.status
        over = ours == "waiting_for_input" and status not in LIVE
        if status and (not one.is_told or ours == "pending" or over):
            at = _moment(record.completed_at) or datetime.now(UTC)
            one.stand(status, at=at)  # what our own events said of it is nearer to the truth
            one.waits_since = one.waits_since if one.is_told else None  # nobody says since when
        one.tokens = max(one.tokens, _tokens(record.usage))
        begun = _moment(record.started_at) or one.started_at
        one.started_at = begun if one.is_told else begun or _moment(record.created_at)
        one.ended_at = _moment(record.completed_at) or one.ended_at

    def _one(self, event: events.Event, execution_id: str) -> Item | None:
        one = self._executions.get(execution_id) or self._make(execution_id)
        one.is_told = True
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
            case events.ModelCalled():
                one.tokens += event.prompt_tokens + event.completion_tokens
                one.course.model_called(event)
            case events.ToolFinished():
                return one.conversation.tool_finished(event.call_id, event.failure)
            case events.ExecutionStarted():
                one.stand("running", at=event.at)
                one.course.began(at=event.at)
                one.turn = event.turn
                one.queue = self._queue_names.get(event.queue_id, event.queue_id)
                one.started_at, one.ended_at = one.started_at or event.at, None
            case events.ExecutionWaiting():
                one.stand("waiting_for_input", at=event.at)
                one.course.rests("waiting_for_input", at=event.at)
                one.step = ""
                one.conversation.settle()
            case events.ExecutionFinished():
                one.stand(event.status, at=event.at)
                one.course.rests("", at=event.at)
                one.step, one.error, one.ended_at = "", event.error or "", event.at
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
