"""One execution, followed turn by turn: submit, watch the stream until the turn is over, continue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import field
from datetime import timedelta
from typing import Any, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.cli.facts import MILD, RESTING, Fact, read
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.control_plane.models import Execute
from worker_core.errors import ExitCode, KubiyaError
from worker_core.network.backoff import Backoff

GIVE_UP_AFTER: Final = timedelta(minutes=5)
"""Without any answer of the control plane."""

_EVIDENCE: Final = frozenset({"message_chunk", "member_message_chunk", "tool_started", "tool_completed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """How a turn ended."""

    execution_id: str
    status: str
    response: str = ""
    error: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether the turn failed: with its execution, or so that the conversation can go on."""
        return self.status == "failed" or (self.status == "waiting_for_input" and bool(self.error))

    @property
    def exit_code(self) -> ExitCode:
        match self.status:
            case _ if self.failed:
                return ExitCode.EXECUTION_FAILED
            case "cancelled":
                return ExitCode.CANCELLED_WORK
            case _:
                return ExitCode.OK


class TerminalConversation:
    """Belongs to one event loop, as its client does.

    Attributes:
        execution_id: empty before `begin`.
    """

    def __init__(
        self,
        client: ControlPlaneClient,
        *,
        show: Callable[[Fact], None],
        trouble: Callable[[str], None],
        execution_id: str = "",
    ) -> None:
        """`show` takes each event of a turn; `trouble` a sentence when the stream has to be taken up again."""
        self._client = client
        self._show = show
        self._trouble = trouble
        self._prompt = ""
        self.execution_id = execution_id

    async def begin(self, agent_id: str, wish: Execute) -> str:
        """Submit the first prompt; returns the execution's id."""
        self._prompt = wish.prompt
        self.execution_id = (await self._client.execute_agent(agent_id, wish)).execution_id
        return self.execution_id

    async def first_turn(self) -> TurnOutcome:
        """Follow an execution from its beginning to where it rests."""
        return await self._follow(_Turn(typed=self._prompt))

    async def turn(self, message: str) -> TurnOutcome:
        """Continue, and follow until the turn is over.

        Raises:
            Rejected: the execution takes no message any more.
        """
        record = await self._client.get_execution(self.execution_id)
        if record.status in RESTING - {"waiting_for_input"}:
            raise KubiyaError(
                f"The execution {self.execution_id} is {record.status}; it takes no more messages. "
                "Begin a new one: `kubiya-worker execute PROMPT`."
            )
        return await self._follow(_Turn(typed=message, to_send=message))

    async def cancel(self) -> None:
        """Cancel the execution.

        Raises:
            Rejected: it is over already, or has not begun.
        """
        await self._client.cancel(self.execution_id)

    async def _follow(self, turn: _Turn) -> TurnOutcome:
        began = last_word = time.monotonic()
        backoff = Backoff(first=timedelta(milliseconds=500), limit=timedelta(seconds=10))
        while True:
            try:
                if (ended := await self._watch(turn)) is not None:
                    return await self._outcome(ended, turn, time.monotonic() - began)
                record = await self._client.get_execution(self.execution_id)
                if record.status in RESTING and turn.may_rest:
                    return await self._outcome(record.status, turn, time.monotonic() - began)
                last_word = time.monotonic()
            except ControlPlaneError as error:
                away = time.monotonic() - last_word
                if not error.retryable or away > GIVE_UP_AFTER.total_seconds():
                    raise
                if turn.connected:
                    backoff.reset()
                    last_word = time.monotonic()
                delay = backoff.next_delay(retry_after_seconds=error.retry_after_seconds)
                self._trouble(f"{error.sentence} The execution goes on; the stream is taken up again.")
                await asyncio.sleep(delay.total_seconds())
            turn.connect_again()

    async def _watch(self, turn: _Turn) -> str | None:
        """Read one stream. Returns the status in which the turn rests; None where the stream ended before."""
        stream = self._client.stream(self.execution_id, after=turn.cursor or None)
        async with aclosing(stream) as events:  # type: ignore[type-var]
            async for event in events:
                fact = read(event)
                turn.connected = True
                turn.cursor = fact.id or turn.cursor
                if fact.kind == "history_complete" and turn.to_send:
                    # Not earlier: whatever comes from now on belongs to this message.
                    message, turn.to_send = turn.to_send, ""
                    await self._client.send_message(self.execution_id, message)
                    turn.open = True
                    continue
                if fact.kind == "reconnect":
                    return None
                if fact.is_last and turn.open:
                    self._show(fact)
                    return fact.word("status") or ("failed" if fact.kind == "error" else "completed")
                if turn.takes(fact):
                    self._show(fact)
                if (status := turn.rests(fact)) is not None:
                    return status
        return None

    async def _outcome(self, status: str, turn: _Turn, seconds: float) -> TurnOutcome:
        try:
            record = await self._client.get_execution(self.execution_id)
        except ControlPlaneError:
            return TurnOutcome(execution_id=self.execution_id, status=status, error=turn.error, seconds=seconds)
        return TurnOutcome(
            execution_id=self.execution_id,
            status=status,
            response=record.response or "",
            error=_error(status, record.error_message or "", turn.error),
            usage=record.usage,
            model=str(record.execution_metadata.get("model") or ""),
            seconds=seconds,
        )


def _error(status: str, recorded: str, told: str) -> str:
    match status:
        case "failed":
            return recorded or told
        case "waiting_for_input":
            return told
        case _:
            return ""


class _Turn:
    """What was seen of one turn, over all streams that it took."""

    def __init__(self, *, typed: str, to_send: str = "") -> None:
        """`typed` is not shown again; `to_send` begins the turn, where it is not the first."""
        self.to_send = to_send
        self.open = not to_send
        self.cursor = ""
        self.connected = False
        self.error = ""
        self._typed = typed.strip()
        self._began = not to_send
        self._seen = 0
        self._to_skip = 0

    @property
    def may_rest(self) -> bool:
        return self.open and self._began

    def connect_again(self) -> None:
        self.connected = False
        self._to_skip = 0 if self.cursor else self._seen

    def takes(self, fact: Fact) -> bool:
        """Whether it is shown: it belongs to this turn, and was not shown before."""
        if fact.is_stored:
            if self._to_skip:
                self._to_skip -= 1
                return False
            self._seen += 1
        if not self.open:
            return False
        if fact.kind in _EVIDENCE or (fact.kind == "status" and fact.word("status") == "running"):
            self._began = True
        if fact.kind == "error" and fact.word("severity") not in MILD:
            self.error = fact.error or self.error
        if fact.kind == "message" and fact.word("role") == "user" and fact.word("content").strip() == self._typed:
            self._typed = ""  # the user's own, come back
            return False
        return True

    def rests(self, fact: Fact) -> str | None:
        """The status with which the turn is over, if this event says so.

        What a server says of its status before the turn has begun is about the turn before.
        """
        if fact.kind != "status" or not self.may_rest:
            return None
        status = fact.word("status").lower()
        return status if status in RESTING else None
