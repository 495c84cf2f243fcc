"""A turn of the runtime `claude_code`: what the SDK says and asks, joined to events, tools and the conversation."""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from worker_core.agents.activities import tool_calls
from worker_core.agents.activities.model_call import called
from worker_core.agents.activities.services import QueueContext, Services
from worker_core.agents.activities.spending import asker_of, not_made, price
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.messages import (
    APPROVAL_TIMED_OUT,
    BudgetAnswer,
    ClaudeReply,
    ClaudeTurn,
    Message,
    Persona,
    RunTool,
    ToolCall,
    ToolOutcome,
    Usage,
)
from worker_core.basics.clocks import steady
from worker_core.basics.foreign_json import DEEPEST, tamed
from worker_core.basics.shortening import LONGEST_TEXT, shortened
from worker_core.basics.whole_text import WholeCharacters
from worker_core.budgets.questions import Asker, Over, Waits
from worker_core.claude.installation import ADD, installed, program, supported_runtimes
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.control_plane.models import ResolvedEnvironment
from worker_core.errors import KubiyaError
from worker_core.model.refusals import Cause, GatewayError
from worker_core.sandbox.environment import tool_environment
from worker_core.workspaces import anchored
from worker_core.workspaces.workspace import OWN_FOLDER, Workspace

if TYPE_CHECKING:
    from worker_core.claude.session import Listener, Order, Outcome

_Result = TypeVar("_Result")

STATE_FOLDER: Final = f"{OWN_FOLDER}/claude"
_TURN_FILE: Final = "turn"
_MOST_SAID: Final = 400_000
"""Characters of a turn that its conversation keeps."""

_OUTPUT_KEPT: Final = 10_000
_LOOKS_AT_PAUSE: Final = timedelta(seconds=2)
_LOOKS_AT_ANSWER: Final = timedelta(seconds=0.3)
_FLUSH_LIMIT: Final = timedelta(seconds=10)

INTERRUPTED: Final = (
    "[The worker stopped in the middle of this turn. A call that was under way may or may not have taken effect: look "
    "before you repeat it. Then go on with what was asked:]"
)
EARLIER: Final = "[What was said before, in this conversation:]"
NOW: Final = "[What is asked now:]"


def choose_runtime(services: Services, execution: ExecutionInput, *, model: str) -> tuple[str, str]:
    """The runtime that the execution gets, and a sentence where that is not the one it asked for.

    Raises:
        ApplicationError: it asks for one that is not here.
    """
    wished, there = execution.runtime_type, installed()
    if not wished:  # a dynamic execution that leaves it open: the server's default is claude_code (protocol, 7.7)
        return ("claude_code" if there and "claude" in model.lower() else "default"), ""
    if wished in {"default", "agno"}:
        return "default", ""
    if wished == "claude_code" and there:
        return wished, ""
    if wished == "claude_code":
        missing = f"The runtime claude_code is not installed on this worker ({ADD} adds it)."
        if services.settings.claude_code_fallback == "default":
            return "default", f"{missing} The default runtime does its work, as the settings say."
    else:
        known = " and ".join(supported_runtimes())
        missing = f"This execution asks for the runtime {wished[:40]!r}, which this worker does not have ({known})."
    raise ApplicationError(missing, "runtime_initialization", type="RuntimeMissing", non_retryable=True)


async def run_claude_turn(services: Services, queue: QueueContext, turn: ClaudeTurn) -> ClaudeReply:
    """One turn, from the user's words to the last answer.

    Raises:
        GatewayError: no answer.
    """
    return await _Turn(services, queue, turn).run()


class _Turn:
    """Lives on the engine's loop; the SDK lives on another."""

    def __init__(self, services: Services, queue: QueueContext, turn: ClaudeTurn) -> None:
        self._services = services
        self._queue = queue
        self._turn = turn
        self._lane = services.outbox.lane(turn.execution_id)
        self._lane.advance(turn.after_sequence)
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._number = 0
        self._mark = os.urandom(4).hex()
        self._characters = WholeCharacters()
        self._masked = services.redactor.stream()
        self._said: list[str] = []
        self._messages: list[Message] = []
        self._tool_names: list[str] = []
        self._members = {_plain(one.called): one for one in turn.members}
        self._first = True
        self._spent = Usage()
        self._used_up = ""
        self._heard: BudgetAnswer | None = None

    async def run(self) -> ClaudeReply:
        services, turn = self._services, self._turn
        workspace = await asyncio.to_thread(Workspace.open, services.workspaces, turn.execution_id)
        order = await asyncio.to_thread(self._order, workspace)
        begun = time.monotonic()
        try:
            outcome = await services.claude.run(self._there(order))
            called(services, turn.execution_id, outcome.usage, succeeded=True, seconds=time.monotonic() - begun)
        except GatewayError:
            if not self._used_up:
                raise
            outcome = self._ended_early(order)
        finally:
            self._ends()
            await self._lane.flush(_FLUSH_LIMIT)
        content = next((one.content for one in reversed(self._messages) if one.role == "assistant"), "")
        return ClaudeReply(
            messages=_bounded(self._messages),
            content=content,
            session_id=outcome.session_id,
            model=outcome.model,
            finish_reason=outcome.finish_reason,
            usage=outcome.usage,
            tool_names=tuple(self._tool_names),
            last_sequence=self._lane.last_sequence,
            used_up=self._used_up,
        )

    def _ended_early(self, order: Order) -> Outcome:
        """What was said until a budget was used up is kept."""
        from worker_core.claude.session import Outcome

        return Outcome(session_id=order.session_id, model=order.model, finish_reason="stop", usage=self._spent)

    async def _there(self, order: Order) -> Outcome:
        """Called on the SDK's loop."""
        from worker_core.claude.session import run

        return await run(order, self._listener(), launcher=self._services.launcher, gateway=self._queue.gateway())

    def _order(self, workspace: Workspace) -> Order:
        from worker_core.claude.session import Colleague, Order

        turn, persona = self._turn, self._turn.persona
        cli = program()
        if cli is None:
            raise ApplicationError(
                f"The runtime claude_code is not installed on this worker any more ({ADD} adds it).",
                "runtime_initialization",
                type="RuntimeMissing",
                non_retryable=True,
            )
        folder = workspace.make_folder(STATE_FOLDER)
        session_id = turn.session_id or str(uuid.uuid5(uuid.NAMESPACE_URL, f"kubiya:{turn.execution_id}"))
        resumes = any(folder.glob(f"projects/*/{session_id}.jsonl"))
        interrupted = _read(workspace, f"{STATE_FOLDER}/{_TURN_FILE}") == str(turn.turn)
        workspace.write(f"{STATE_FOLDER}/{_TURN_FILE}", [str(turn.turn).encode()])
        workspace.write(f"{STATE_FOLDER}/system-prompt.txt", [persona.system_prompt.encode("utf-8", "replace")])
        delegations = {one.called for one in turn.members}
        return Order(
            prompt=_prompt(turn, interrupted=interrupted, resumes=resumes),
            system_prompt=persona.system_prompt,
            model=persona.model,
            tools=tuple(tool for tool in persona.tools if tool["name"] not in delegations),
            session_id=session_id,
            resumes=resumes,
            cli=cli,
            workspace=workspace.path,
            state_folder=folder,
            environment=tool_environment({}, call_mark=turn.execution_id),
            colleagues=tuple(
                Colleague(name=name, description=one.description, prompt=one.system_prompt, tools=tuple(one.tools))
                for name, one in self._members.items()
            ),
            model_attempts=turn.model_attempts,
            most_model_calls=turn.model_call_limit,
        )

    # --- called on the SDK's loop -------------------------------------------------------------------------

    def _listener(self) -> Listener:
        from worker_core.claude.session import Listener

        here = self._loop.call_soon_threadsafe
        return Listener(
            begins=lambda: here(self._begins),
            text=lambda text: here(self._text, text),
            ends=lambda: here(self._ends),
            call=lambda who, name, arguments: self._at_home(self._call(who, name, arguments)),
            before_model_call=lambda: self._at_home(self._before_model_call()),
            after_model_call=lambda usage, model: self._at_home(self._spend(usage, model)),
        )

    async def _at_home(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run on the engine's loop, in the activity's context."""
        given: Future[_Result] = Future()
        begun: list[asyncio.Task[_Result]] = []

        def ended(task: asyncio.Task[_Result]) -> None:
            if given.cancelled() or task.cancelled():
                given.cancel()
            elif error := task.exception():
                given.set_exception(error)
            else:
                given.set_result(task.result())

        def begin() -> None:
            begun.append(self._context.copy().run(asyncio.ensure_future, work))
            begun[0].add_done_callback(ended)

        def cancel() -> None:
            if begun:
                begun[0].cancel()

        self._loop.call_soon_threadsafe(begin)
        try:
            return await asyncio.wrap_future(given)
        except asyncio.CancelledError:
            self._loop.call_soon_threadsafe(cancel)
            raise

    # --- called on the engine's loop ----------------------------------------------------------------------

    def _begins(self) -> None:
        self._said.clear()
        self._number += 1
        self._masked = self._services.redactor.stream()

    def _text(self, text: str) -> None:
        self._send(self._masked.feed(self._characters.feed(text)))

    def _ends(self) -> None:
        self._send(self._masked.feed(self._characters.flush()) + self._masked.flush())
        content = "".join(self._said)
        self._said.clear()
        if content:
            self._messages.append(
                Message(role="assistant", content=content, timestamp=_now(), message_id=self._message_id())
            )

    def _send(self, text: str) -> None:
        if text:
            self._said.append(text)
            about = {"phase": "post"} if self._tool_names else {}
            self._lane.chunk(self._message_id(), text, event_type="message_chunk", **about)

    def _message_id(self) -> str:
        attempt = activity.info().attempt
        first = self._turn.message_id if attempt == 1 else f"{self._turn.message_id}_retry{attempt - 1}"
        return first if self._number <= 1 else f"{first}_{self._number}"

    async def _before_model_call(self) -> None:
        await self._while_paused()
        if not self._used_up:
            await self._within_budget(self._services.budgets.before_model_call)
        if self._used_up:
            raise GatewayError(self._used_up, cause=Cause.REQUEST)

    async def _within_budget(self, judged: Callable[[Asker], Awaitable[Waits | Over | None]]) -> bool:
        """Whether a call may be made, once who is asked for more has answered. Otherwise the turn is over."""
        while True:
            ruling = await judged(asker_of(self._queue, self._turn.execution_id, self._turn.turn, self._heard))
            if ruling is None:
                return True
            if isinstance(ruling, Over):
                self._used_up = ruling.sentence
                return False
            await self._wait_for_more(ruling)

    async def _wait_for_more(self, waits: Waits) -> None:
        async with self._services.budgets.resting(self._turn.execution_id, self._turn.turn):
            answer = await self._answered(waits.call_id, until=self._services.client.on_its_clock(waits.expires_at))
        self._heard = BudgetAnswer(call_id=waits.call_id, answer=answer) if answer else None

    async def _spend(self, usage: Usage, model: str) -> None:
        priced, spending = price(self._services, usage, self._turn.persona.model, model)
        self._spent += priced
        await self._services.budgets.spend(
            self._turn.execution_id, self._turn.turn, spending, queue_id=self._queue.queue_id
        )

    async def _while_paused(self) -> None:
        """A paused execution calls no model. The workflow's own pause is not seen in here, the record's is."""
        if self._first:  # the workflow has looked
            self._first = False
            return
        while True:
            try:
                record = await self._services.client.get_execution(self._turn.execution_id)
            except ControlPlaneError:
                return
            if record.status != "paused":
                return
            await asyncio.sleep(_LOOKS_AT_PAUSE.total_seconds())

    async def _call(self, who: str, name: str, arguments: Mapping[str, Any]) -> tuple[str, bool]:
        turn, services = self._turn, self._services
        persona = self._members[who] if who else turn.persona
        call = ToolCall(
            call_id=f"claude_{turn.turn}_{self._mark}_{len(self._tool_names) + 1}",
            name=name,
            # Deeper ones are cut just below what counts as too deep: the call fails with the sentence for it.
            arguments=json.dumps(tamed(arguments, deepest=DEEPEST + 1), ensure_ascii=False),
        )
        self._tool_names.append(name)
        environment = await services.environments.of(turn.execution_id, persona.kind, persona.entity_id)
        request = self._request(persona, call)
        outcome = await self._run_within_budget(request, environment)
        while outcome.approval is not None:
            until = datetime.fromisoformat(outcome.approval.expires_at)
            async with services.budgets.resting(turn.execution_id, turn.turn):
                answer = await self._answered(call.call_id, until=until)
            outcome = await self._run(self._request(persona, call, answer=answer), environment)
        self._remember(call, outcome)
        return outcome.for_model(), not outcome.succeeded

    async def _run_within_budget(self, request: RunTool, environment: ResolvedEnvironment) -> ToolOutcome:
        """The model hears of a call that a budget does not allow; before it is asked again, the turn ends."""
        budgets, call_id = self._services.budgets, request.call.call_id
        if not await self._within_budget(lambda asker: budgets.before_tool_call(asker, call_id)):
            return not_made(self._used_up)
        return await self._run(request, environment)

    async def _run(self, request: RunTool, environment: ResolvedEnvironment) -> ToolOutcome:
        return await tool_calls.run(self._services, request, environment, queue_id=self._queue.queue_id)

    def _request(self, persona: Persona, call: ToolCall, *, answer: str = "") -> RunTool:
        turn = self._turn
        return persona.call_of(
            call,
            execution_id=turn.execution_id,
            turn=turn.turn,
            parent_message_id=self._message_id(),
            timeout_seconds=self._services.settings.tool_timeout.total_seconds(),
            in_team=bool(turn.members),
            answer=answer,
        )

    async def _answered(self, call_id: str, *, until: datetime) -> str:
        """Until somebody at this machine has answered, or may no longer. `until`: by the clock of servers."""
        book, execution_id = self._services.permissions.book, self._turn.execution_id
        self._services.tracker.waits_for_approval(execution_id)
        now = self._services.client.on_its_clock(datetime.now(UTC))
        over = steady() + (until - now).total_seconds()  # whoever sets the clock meanwhile
        while book.is_waiting(execution_id, call_id):
            if steady() >= over:
                return APPROVAL_TIMED_OUT
            await asyncio.sleep(_LOOKS_AT_ANSWER.total_seconds())
        return ""

    def _remember(self, call: ToolCall, outcome: ToolOutcome) -> None:
        said = Message(
            role="assistant", content="", timestamp=_now(), message_id=f"{self._message_id()}_{call.call_id}",
            tool_calls=(call,),
        )  # fmt: skip
        result = Message(
            role="tool",
            content=outcome.for_model(),
            timestamp=_now(),
            message_id=f"{self._turn.execution_id}_tool_{call.call_id}",
            tool_call_id=call.call_id,
            tool_name=call.name,
            tool_arguments=call.arguments,
            tool_error=outcome.error,
        )
        self._messages += [said, result]


def _prompt(turn: ClaudeTurn, *, interrupted: bool, resumes: bool) -> str:
    asked = f"{INTERRUPTED}\n\n{turn.prompt}" if interrupted else turn.prompt
    if resumes or not turn.earlier:
        return asked
    earlier = "\n\n".join(f"{one.role}: {one.content}" for one in turn.earlier if one.content)
    return f"{EARLIER}\n\n{earlier}\n\n{NOW}\n\n{asked}"


def _read(workspace: Workspace, relative: str) -> str:
    try:
        return anchored.read_bounded(workspace.path, relative, limit_bytes=20).decode("utf-8", "replace")
    except (OSError, KubiyaError):
        return ""


def _bounded(messages: list[Message]) -> tuple[Message, ...]:
    """What the conversation keeps: outputs cut, the oldest left out where it is still too much for Temporal."""
    kept: list[Message] = []
    size = 0
    for message in reversed(messages):
        short = replace(
            message,
            content=shortened(message.content, _OUTPUT_KEPT if message.role == "tool" else LONGEST_TEXT),
            tool_arguments=shortened(message.tool_arguments, _OUTPUT_KEPT),
            tool_calls=tuple(replace(one, arguments=_short_json(one.arguments)) for one in message.tool_calls),
        )
        size += len(short.content) + 2 * len(short.tool_arguments)
        if size > _MOST_SAID and not short.tool_calls:  # a call stays with its result
            break
        kept.append(short)
    return tuple(reversed(kept))


def _short_json(arguments: str) -> str:
    """The session's readers parse it."""
    if len(arguments) <= _OUTPUT_KEPT:
        return arguments
    return json.dumps({"cut": shortened(arguments, _OUTPUT_KEPT)}, ensure_ascii=False)


def _plain(name: str) -> str:
    return name.removeprefix("delegate_to_") or "member"


def _now() -> str:
    return datetime.now(UTC).isoformat()
