"""The contract between the agent loop and the tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from worker_core.basics.quick_dataclass import dataclass
from worker_core.sandbox.launcher import WORKSPACE_ALONE, WorkPlace

if TYPE_CHECKING:
    from worker_core.policy.rules import Subject
    from worker_core.policy.subjects import Reader
    from worker_core.sandbox.launcher import Launcher
    from worker_core.snapshot import QuestionField
    from worker_core.workspaces.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """What the model is told of a tool. Plain data: it travels in workflow history."""

    name: str
    """Unique within an offer; letters, digits, `_`, `-`; at most 64 characters (the OpenAI limit)."""

    description: str
    parameters: Mapping[str, Any]
    """JSON schema of the arguments object."""

    read_only: bool = False
    """It changes nothing outside itself: it may be retried, and run beside other read-only calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a call gave. A failed call is a result too: the model reads `error` and goes on."""

    succeeded: bool
    output: str
    """For the model: cut to the limit, secrets masked."""

    error: str | None = None
    """One sentence, for failed calls."""

    output_bytes: int = 0
    """Size of the whole output before it was cut."""

    saved_to: str | None = None
    """Workspace-relative path of the whole output, where `output` was cut."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready facts, e.g. `{"exit_code": 1}`."""


async def _all_of_it(read: Callable[[Reader], Iterable[Subject]]) -> str:  # noqa: ARG001
    return ""


class ControlPlaneApi(Protocol):
    """What tools may ask of the control plane. The key stays with whoever implements it."""

    async def context_graph(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        limit_seconds: float = 60.0,
    ) -> Any:
        """One call below `/context-graph`, with its JSON answer.

        Raises:
            ControlPlaneError: as a sentence.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionInCall:
    """What a call under way must ask its user before it goes on."""

    parts: Sequence[tuple[str, str]]
    """Names and texts, as they are shown."""

    fields: Sequence[QuestionField] = ()
    state: str = ""
    """What is needed to go on where everything else was forgotten."""


class AsksUser(Exception):
    """The call is under way and waits. It goes on when it is run again, with `ToolContext.answer`."""

    def __init__(self, question: QuestionInCall) -> None:
        super().__init__("its user is asked")
        self.question = question


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAnswer:
    """The answer to `AsksUser`."""

    action: Literal["accept", "decline", "cancel"]
    """`cancel`: nobody answered."""

    content: Mapping[str, Any] = field(default_factory=dict)
    state: str = ""
    """Of the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """Everything a call may use. It holds no key of the worker's own."""

    execution_id: str
    call_id: str
    workspace: Workspace
    launcher: Launcher
    place: WorkPlace = WORKSPACE_ALONE
    """Where the execution works besides: what it may use of the owner's folders, and where its commands begin."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that this execution declared; added to the allow-listed base environment of its processes."""

    timeout: timedelta = timedelta(minutes=10)
    """Upper limit for the call."""

    longest: timedelta | None = None
    """What the owner allows calls of this tool, also beyond what it allows itself; None: nothing was said."""

    answer: UserAnswer | None = None
    """The call is under way, asked this, and goes on."""

    output_limit_bytes: int = 30_000
    """How much of the output the model reads."""

    api: ControlPlaneApi | None = None
    """For tools that talk to the control plane; they run in the worker, not in a child."""

    may_reach: Callable[[str, int], None] = lambda host, port: None  # noqa: ARG005
    """Raises `Refused` where the setting `network` forbids a host; for tools that connect in the worker itself."""

    mask: Callable[[str], str] = lambda text: text
    """Replaces secret values in a text."""

    say_progress: Callable[[str], None] = lambda line: None  # noqa: ARG005
    """Tells whoever looks on what a long call is at; masked, on the loop."""

    may_touch: Callable[[Callable[[Reader], Iterable[Subject]]], Awaitable[str]] = _all_of_it
    """Asks the policy about what only came up during the call, such as a redirect. A sentence on why not; empty where
    it may."""

    before_effect: Callable[[], None] = lambda: None
    """Call it right before the first side effect can happen (the process is about to start). The journal marks
    the call as dispatched there: a call that never came so far is safely run again."""

    def at_most(self, own: timedelta) -> timedelta:
        """How long a call may take of a tool that allows itself so much."""
        return max(own, self.longest or own)

    def named(self, relative: str) -> str:
        """A file of the workspace as the model can name it to other tools."""
        return relative if self.place.start is None else str(self.workspace.path / relative)


@runtime_checkable
class Detailed(Protocol):
    """A tool whose call does more than its arguments tell: whoever is asked about it is shown this as well."""

    def details(self, arguments: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """Names and texts: what runs besides, with what, and where. Never fails; arguments may be any."""
        ...


class Tool(Protocol):
    """One callable tool. `run` raises nothing but CancelledError and AsksUser; everything else is a ToolResult."""

    @property
    def spec(self) -> ToolSpec: ...

    def subjects(self, arguments: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        """What a call touches, beside the tool itself: what the policy decides about.

        Of the very arguments that are used, and of the very argument lists that are started.

        Raises:
            WrongArguments: `run` takes them for wrong as well, and does nothing.

        """
        ...

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult: ...
