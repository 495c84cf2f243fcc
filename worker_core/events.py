"""What happened, as typed events in the past tense, and the bounded bus that carries them to whoever looks."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import Phrase, settle
from worker_core.snapshot import EngineSnapshot, EngineState

log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. `at` is the local wall clock in UTC: for people, not for arithmetic."""

    at: datetime = field(default_factory=_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStateChanged(Event):
    before: EngineState
    after: EngineState
    reason: str
    repair: str = ""
    """As in the snapshot."""

    said: tuple[Phrase, ...] = ()
    """What `reason` is made of, as in the snapshot."""

    def __post_init__(self) -> None:
        settle(self, "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotReplaced(Event):
    snapshot: EngineSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRegistered(Event):
    queue_id: str
    queue_name: str
    worker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRetried(Event):
    """The control plane did not answer; the worker tries again in `retry_in_seconds`."""

    queue_id: str
    sentence: str
    attempt: int
    retry_in_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PollingStarted(Event):
    queue_id: str
    queue_name: str
    worker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PollingStalled(Event):
    queue_id: str
    sentence: str
    said: tuple[Phrase, ...] = ()

    def __post_init__(self) -> None:
        settle(self, "sentence")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatSent(Event):
    queue_id: str
    worker_id: str
    full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatFailed(Event):
    queue_id: str
    sentence: str
    said: tuple[Phrase, ...] = ()

    def __post_init__(self) -> None:
        settle(self, "sentence")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionStarted(Event):
    """A turn of an execution began on this worker."""

    execution_id: str
    queue_id: str
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionWaiting(Event):
    """A turn ended and the execution waits for the user."""

    execution_id: str
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFinished(Event):
    execution_id: str
    status: str
    error: str | None = None
    queue_id: str = ""
    agent_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(Event):
    execution_id: str
    call_id: str
    tool_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(Event):
    execution_id: str
    call_id: str
    tool_name: str
    succeeded: bool
    duration_seconds: float
    failure: Literal["", "denied", "unknown"] = ""
    """Why it did not succeed, where the tool itself did not fail: it was not allowed, or nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCalled(Event):
    """A model call ended, with all its tries. Tokens as the gateway counted; `prompt_tokens` has the cached in it."""

    execution_id: str
    succeeded: bool
    duration_seconds: float
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost_dollars: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(Event):
    """A tool call waits until its user answers; `EngineSnapshot.approvals` has the question."""

    approval_id: str
    execution_id: str
    tool_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAnswered(Event):
    """`answer` is `allow`, `deny` or `timeout`; it has taken effect."""

    approval_id: str
    execution_id: str
    answer: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionEventPublished(Event):
    """An event of an execution as the control plane gets it (protocol, 8.3), masked, at the moment it was made.

    `type` is the protocol's `event_type`, `payload` its `data`; the `content` of a chunk is what is new. Pieces of
    text that travel together carry the same `sequence`; otherwise it rises over the execution's life.
    """

    execution_id: str
    type: str
    payload: Mapping[str, Any]
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDeliveryInterrupted(Event):
    """The control plane does not take execution events; they are kept on disk."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDeliveryResumed(Event):
    replayed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WokeUp(Event):
    """The machine slept, or its network changed; connections are made anew."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramReplaced(Event):
    """Another version was installed in this one's place, or none: nothing new is taken."""


class Subscription:
    """One listener's bounded queue. The oldest event is dropped when it is full, and `dropped` counts it."""

    def __init__(self, bus: EventBus, *, size: int) -> None:
        self._bus = bus
        self._waiting: deque[Event] = deque(maxlen=size)
        self._arrived = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def offer(self, event: Event) -> None:
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(event)
        self._arrived.set()

    async def get(self) -> Event:
        """The next event, in order.

        Raises:
            StopAsyncIteration: the subscription was closed and everything was read.
        """
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    def close(self) -> None:
        self._closed = True
        self._bus.forget(self)
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            try:
                event = await self.get()
            except StopAsyncIteration:
                return
            yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventBus:
    """Carries events from the engine to its listeners. Belongs to one event loop; never blocks the publisher."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._listeners: list[tuple[Callable[[Event], None], tuple[type[Event], ...]]] = []

    def hears(self, kind: type[Event]) -> bool:
        """Whether anybody listens to events of this kind: what is costly to make need not be made."""
        return bool(self._subscriptions) or any(issubclass(kind, wanted) for _, wanted in self._listeners)

    def publish(self, event: Event) -> None:
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)
        for listener, wanted in tuple(self._listeners):
            if not isinstance(event, wanted):
                continue
            try:
                listener(event)
            except Exception:
                log.exception("A listener failed on %s; it stays subscribed.", type(event).__name__)

    def subscribe(self, *, size: int = 1000) -> Subscription:
        """A new bounded subscription of at most `size` waiting events."""
        subscription = Subscription(self, size=size)
        self._subscriptions.append(subscription)
        return subscription

    def listen(
        self, listener: Callable[[Event], None], *, only: tuple[type[Event], ...] = (Event,)
    ) -> Callable[[], None]:
        """Call `listener` with each event of the kinds `only`, at once. Returns the function that ends this."""
        entry = (listener, only)
        self._listeners.append(entry)

        def stop() -> None:
            if entry in self._listeners:
                self._listeners.remove(entry)

        return stop

    def forget(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
