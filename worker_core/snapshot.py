"""The one truth about the engine: an immutable snapshot, replaced whole."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Required, TypedDict

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Phrase, english, settle, worded

Scope = Literal["once", "execution", "always"]
"""How far an approval reaches. `always` writes a rule into the policy file."""

NOTHING: Mapping[str, Any] = MappingProxyType({})
"""No field of a form is filled in."""


class AnswerParts(TypedDict, total=False):
    """What an answer to an approval says, besides which one it is."""

    allow: Required[bool]
    scope: Required[Scope]
    seal: str
    """Of a question that had to be read whole (`WholeQuestion.seal`)."""

    values: Mapping[str, Any]
    """What is filled in, by name, where the question has fields."""

    rule: str
    """What `always` writes instead of the rule that is shown (`ApprovalView.rule`), where its user changed that."""


class EngineState(enum.Enum):
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    FAILED = "failed"


class StopMode(enum.IntEnum):
    """How to leave; a later, higher wish overrides an earlier, lower one."""

    DRAIN = 1
    CANCEL = 2
    NOW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    """What the Temporal server says of a task queue (DescribeTaskQueue with statistics)."""

    backlog: int
    backlog_age_seconds: float
    added_per_second: float
    dispatched_per_second: float
    pollers: int
    home_backlog: int = 0
    """Calls that wait for this machine alone."""

    asked_at: datetime | None = None
    """When the server was asked: two answers may say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueConfigView:
    """What the control plane has set for a queue. Empty before it has answered."""

    version: str = ""
    """Changes with what is set; empty: the control plane keeps none."""

    recommended_worker: str = ""
    """Version of the worker that it recommends; empty: none."""

    max_workers: int | None = None
    """For display alone: the control plane refuses none. None: any number."""

    heartbeat_seconds: float = 0.0
    """Between two heartbeats, as they are sent."""

    model_gateway: str = ""
    """Address that came with the registration."""

    has_model_key: bool = False
    remarks: tuple[str, ...] = ()
    """One sentence for each thing that its owner should know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What keeps a queue or the whole worker from serving, while it goes on trying."""

    what: Literal["control_plane", "temporal", "temporal_silent", "keychain"]
    """Who is away; `temporal_silent`: the connection that was there does not answer any more; `keychain`: it waits
    for its owner to unlock it.
    """

    sentence: str
    """What the last try met, in English; each face adds when the next one is."""

    since: datetime
    tries: int = 1
    """That failed, in a row."""

    next_try_at: datetime | None = None
    """None: it is tried again and again."""

    said: tuple[Phrase, ...] = ()
    """What `sentence` is made of, for other languages; empty: it is said in English."""

    def __post_init__(self) -> None:
        settle(self, "sentence")

    def after(self, before: Trouble | None) -> Trouble:
        """One more try failed of an outage, which began with its first one."""
        return self if before is None else replace(self, since=before.since, tries=before.tries + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """One queue this worker serves. `worker_id` is empty until the control plane has answered."""

    queue_id: str
    queue_name: str = ""
    environment_name: str = ""
    worker_id: str = ""
    organization_id: str = ""
    temporal_namespace: str = ""
    polling: bool = False
    credentials_refused: bool = False
    """The control plane or Temporal refuses the key, as of its last judgement."""

    reason: str = ""
    repair: str = ""
    """The end of `reason` that says what can be done in a terminal, where the queue is not served."""

    last_heartbeat_at: datetime | None = None
    last_heartbeat_clock: float | None = None
    """What `time.monotonic()` said then in the worker: how long ago it is, whoever sets the machine's clock."""

    last_poll_at: datetime | None = None
    last_poll_clock: float | None = None
    """As of the heartbeat."""

    statistics: QueueStatistics | None = None
    trouble: Trouble | None = None
    config: QueueConfigView = field(default_factory=QueueConfigView)
    executions_limit: int = 0
    """Of this queue, in mid-turn at once; 0: it has none of its own, and may take all places."""

    said: tuple[Phrase, ...] = ()
    """What `reason` is made of, for other languages; empty: it is said in English."""

    def __post_init__(self) -> None:
        settle(self, "reason")

    @property
    def is_silent(self) -> bool:
        """It is polled, and Temporal does not answer any more."""
        return self.trouble is not None and self.trouble.what == "temporal_silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """How far a limit is used up. `cost` in US dollars, `wall_time` in seconds."""

    scope: Literal["turn", "execution", "agent", "day"]
    kind: Literal["tokens", "cost", "model_calls", "tool_calls", "wall_time"]
    spent: float
    limit: float
    """With what was added to it."""

    unknown: bool = False
    """There were model calls whose price nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionView:
    """One execution that is known to this worker. `step` is a short text such as `model` or `tool shell`."""

    execution_id: str
    queue_id: str
    turn: int
    status: str
    step: str
    started_at: datetime
    agent_id: str = ""
    budget: tuple[BudgetView, ...] = ()
    """As of its last call; empty: nothing limits it, or it has not called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionPart:
    """One thing that somebody reads before he answers. Secrets are hidden, and what would not be seen is written out
    (`policy/question_text.py`).
    """

    name: str
    text: str
    left_out: int = 0
    """Characters that are not here."""

    kind: Literal["argument", "runs", "place", "reason"] = "argument"
    """An argument of the call; what runs besides; where it works; why it is asked about, a line for each reason."""

    said: tuple[tuple[Phrase, ...], ...] = field(default=(), repr=False)
    """What each line of `text` is made of, for other languages; empty: it is said in English. No seal holds it."""

    def __post_init__(self) -> None:
        if self.said and "\n".join(map(english, self.said)) != self.text:  # it was cut, say
            object.__setattr__(self, "said", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionField:
    """Something that is to be filled in. A tool's server words it: bounded and escaped; or the worker, of a budget."""

    name: str
    label: str
    kind: Literal["text", "number", "integer", "boolean", "choice", "choices"]
    about: str = ""
    required: bool = False
    options: tuple[str, ...] = ()
    """Of choices."""

    shown: tuple[str, ...] = ()
    """What stands for each option."""

    default: str = ""
    least: float = 0.0
    most: float = 1e18
    """Of a number; of the characters of a text; of how many are chosen."""

    said: tuple[Phrase, ...] = field(default=(), repr=False)
    """What `label` is made of, for other languages; empty: it is a server's, or said in English."""

    def __post_init__(self) -> None:
        settle(self, "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """A tool call that waits for an answer."""

    id: str
    execution_id: str
    tool: str
    parts: tuple[QuestionPart, ...]
    left_out: int
    """Characters of the question that are not in `parts`: it must be read whole before the call can be allowed."""

    asked_at: datetime
    expires_at: datetime
    lasts: bool = True
    """It can be allowed for always. Not where parts of it are only known when it runs: a rule could not name it."""

    rule: str = ""
    """What would be written to the policy then, as TOML; empty where that is not known."""

    workspace: str = ""
    """Of its execution, absolute: what paths in a changed rule are seen from. Empty where `rule` cannot be changed:
    an earlier version asks, or it holds what nobody sees.
    """

    in_call: bool = False
    """The call is under way, and asks its user something: whoever allows it sends its server an answer."""

    fields: tuple[QuestionField, ...] = ()
    """What is to be filled in with that answer."""

    @property
    def about_budget(self) -> bool:
        """It asks for more of a budget: no server and no tool does. What is not filled in has a default."""
        return self.in_call and self.tool == "budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeQuestion:
    """Everything that a call would do."""

    id: str
    parts: tuple[QuestionPart, ...]
    seal: str
    """Goes with an answer that allows it, to show that this was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxView:
    """Events on their way to the control plane."""

    pending: int = 0
    spooled: int = 0
    dropped: int = 0
    delivered: int = 0
    interrupted_reason: str = ""
    said: tuple[Phrase, ...] = ()
    """What `interrupted_reason` is made of, for other languages; empty: it is said in English."""

    def __post_init__(self) -> None:
        settle(self, "interrupted_reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """This machine and this process. Sizes in bytes, percentages 0 to 100."""

    cpu_percent: float | None
    """Since the sample before; None where there was none long enough ago."""

    memory_percent: float
    memory_total_bytes: int
    memory_used_bytes: int
    disk_percent: float
    disk_total_bytes: int
    disk_used_bytes: int
    process_rss_bytes: int
    sampled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkView:
    """What Temporal's SDK counts of itself in this process: since its start, or now."""

    polls: int = 0
    """Long polls answered, by a task or by none."""

    polls_empty: int = 0
    """Those of them that brought no task."""

    pollers: int = 0
    slots_used: int = 0
    slots_available: int = 0
    """Of all kinds of tasks, all queues together."""

    workflow_slots_used: int = 0
    activity_slots_used: int = 0

    cached_workflows: int = 0
    requests: int = 0
    failures: int = 0
    wait_ms: float | None = None
    """Mean time that the newest activity tasks waited for a worker. None: there was none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxView:
    """What isolates tool processes. Empty until it is looked for: when polling begins, or where somebody has to be
    asked, with the first tool.
    """

    name: str = ""
    """E.g. `bubblewrap`; `none`: tools run without; `refused`: tools are not started; `asked`: whether they may run
    without waits for an answer, and so do they.
    """

    enforces: tuple[str, ...] = ()
    """Values of `worker_core.sandbox.launcher.Holds`."""

    reason: str = worded("It was not looked for yet.")
    said: tuple[Phrase, ...] = ()
    """What `reason` is made of, for other languages; empty: it is said in English."""

    def __post_init__(self) -> None:
        settle(self, "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSnapshot:
    """Everything a view needs, at one moment.

    `reason` is a sentence for every state: why it runs, waits, drains or failed.
    """

    state: EngineState = EngineState.STOPPED
    reason: str = worded("The worker has not been started.")
    said: tuple[Phrase, ...] = ()
    """What `reason` is made of, for other languages; empty: it is said in English."""

    repair: str = ""
    """The end of `reason` that says what can be done in a terminal, where the worker failed."""

    since: datetime | None = None
    version: str = ""
    host_id: str = ""
    pid: int = 0
    control_plane_url: str = ""
    queues: tuple[QueueView, ...] = ()
    executions: tuple[ExecutionView, ...] = ()
    executions_limit: int = 0
    approvals: tuple[ApprovalView, ...] = ()
    tasks_processed: int = 0
    """Executions that ended here since the start."""

    turns_ended: int = 0
    """Turns since the start, of executions that ended and of conversations that go on."""

    outbox: OutboxView = field(default_factory=OutboxView)
    health: Health | None = None
    sandbox: SandboxView = field(default_factory=SandboxView)
    sdk: SdkView = field(default_factory=SdkView)
    budget: tuple[BudgetView, ...] = ()
    """Of the day, which all executions share."""

    trouble: Trouble | None = None
    """Of the whole worker: queues have their own."""

    exit_code: int = 0

    def __post_init__(self) -> None:
        settle(self, "reason")

    @property
    def tasks_in_flight(self) -> int:
        return sum(1 for execution in self.executions if execution.status == "running")
