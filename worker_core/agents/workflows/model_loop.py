"""Workflow code: model calls and tool calls in turns, until the model answers without a call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any, Unpack

from temporalio import exceptions, workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from worker_core.agents import compaction
from worker_core.agents.conversation import arguments_object, consecutive_groups
from worker_core.agents.history import HowAsked, model_call
from worker_core.agents.messages import (
    BUDGET_USED_UP,
    CONTEXT_FULL,
    UNKNOWN_OUTCOME,
    BudgetAnswer,
    BudgetReached,
    FinishTurn,
    Message,
    ModelCall,
    ModelReply,
    Persona,
    ToolCall,
    ToolOutcome,
    Usage,
)
from worker_core.agents.turn_end import answer_of, answer_told
from worker_core.agents.workflows import retries
from worker_core.agents.workflows.home import Home, now, stop_if_cancelled
from worker_core.agents.workflows.progress import Progress
from worker_core.basics.quick_dataclass import dataclass

Delegate = Callable[[Mapping[str, object], ToolCall, str], Awaitable[str]]
"""Runs a call that is a task for somebody else: (arguments, call, parent message id) -> what the model reads."""


@dataclass(slots=True)
class Spent:
    """What an answer took."""

    usage: Usage = field(default_factory=Usage)
    tool_names: list[str] = field(default_factory=list)
    calls: int = 0


class ModelLoop:
    """One persona, answering. The main persona's messages are the execution's own; a member has a list of its own."""

    def __init__(
        self,
        *,
        execution_id: str,
        persona: Persona,
        progress: Progress,
        home: Home,
        messages: list[Message],
        say: Callable[[Message], None],
        next_message_id: Callable[[], str],
        wait: Callable[[], Awaitable[None]],
        delegates: Mapping[str, Delegate] | None = None,
        in_team: bool = False,
        parent_message_id: str = "",
        before_call: Callable[[Spent], Awaitable[None]] | None = None,
        ending: Callable[[], FinishTurn | None] = lambda: None,
    ) -> None:
        """Everything is called from workflow code.

        Args:
            execution_id: of the whole execution.
            persona: who answers.
            progress: of the whole execution.
            home: where calls run.
            messages: what this persona knows; grows.
            say: takes each new message.
            next_message_id: for the next answer with text.
            wait: returns when calls may be made (not paused).
            delegates: calls by name that are no tools.
            in_team: whether events say who of a team spoke.
            parent_message_id: the answer that asked a member.
            before_call: hears what was spent before each model call, at a point where nothing is under way.
            ending: makes `ModelCall.ending` when a call is built.
        """
        self._execution_id = execution_id
        self._persona = persona
        self._progress = progress
        self._home = home
        self._messages = messages
        self._say = say
        self._next_message_id = next_message_id
        self._wait = wait
        self._delegates = delegates or {}
        self._in_team = in_team
        self._parent = parent_message_id
        self._before_call = before_call
        self._ending = ending
        self._prompt_tokens = progress.prompt_tokens if not persona.name else 0
        self._used_up = ""
        """Why the turn ends before the model is asked again."""

    async def run(self, spent: Spent) -> ModelReply:
        """Until an answer without calls. `spent` is brought up to date on the way.

        Raises:
            ApplicationError: the model went on calling, or a budget is used up.
        """
        limit = self._progress.home.model_call_limit
        while True:
            await self._wait()
            stop_if_cancelled()
            if self._before_call is not None:
                await self._before_call(spent)
            reply = await self._call_model(after_tools=spent.calls > 0)
            calls = self._progress.with_unique_ids(reply.tool_calls)
            spent.calls += 1
            spent.usage += reply.usage
            self._progress.usage += reply.usage
            self._say(answer_of(reply, now=now(), calls=calls))
            if not calls:
                return reply
            for group in consecutive_groups(calls, read_only=self._side_by_side()):
                await self._wait()
                stop_if_cancelled()
                for message in await asyncio.gather(*(self._answer_call(call, reply.message_id) for call in group)):
                    self._say(message)
                spent.tool_names.extend(call.name for call in group)
            if self._used_up:
                raise over(self._used_up)
            if spent.calls >= limit:
                raise ApplicationError(
                    f"The turn was stopped after {spent.calls} model calls: the model went on calling tools "
                    "without an answer. Raise `max_turns` in the agent's configuration if it needs more.",
                    type="ModelCallLimit",
                    non_retryable=True,
                )

    def _side_by_side(self) -> frozenset[str]:
        reads = (str(tool["name"]) for tool in self._persona.tools if tool.get("read_only"))
        return frozenset(reads) | frozenset(self._delegates)

    # --- the model ----------------------------------------------------------------------------------------

    async def _call_model(self, *, after_tools: bool) -> ModelReply:
        limit = self._limit()
        if compaction.is_due(self._messages, prompt_tokens=self._prompt_tokens, limit_tokens=limit):
            await self._compact(limit)
        fitting = compaction.bounded(self._messages, limit_tokens=limit)
        message_id = self._next_message_id()
        try:
            reply = await self._ask(fitting, message_id=message_id, after_tools=after_tools)
        except ActivityError as error:
            # The gateway knows better than our estimate: believe it, and leave most of it out.
            if not self._heard_full(error):
                raise
            smaller = min(self._limit(), compaction.tokens_of(self._messages)) // 2
            if workflow.patched(retries.UNTIL_IT_FITS):
                reply = await self._ask_until_it_fits(smaller, message_id=message_id, after_tools=after_tools)
            else:
                if not await self._compact(smaller):
                    raise
                fitting = compaction.bounded(self._messages, limit_tokens=smaller)
                reply = await self._ask(fitting, message_id=message_id, after_tools=after_tools)
        self._prompt_tokens = reply.context_tokens or reply.usage.prompt_tokens
        if not self._persona.name:
            self._progress.prompt_tokens = self._prompt_tokens
        return reply

    async def _ask_until_it_fits(self, limit_tokens: int, *, message_id: str, after_tools: bool) -> ModelReply:
        """Our estimate may be far off (other scripts, long schemas of tools): with each refusal, less is sent."""
        while True:
            await self._compact(limit_tokens)
            fitting = compaction.bounded(self._messages, limit_tokens=limit_tokens)
            try:
                return await self._ask(fitting, message_id=message_id, after_tools=after_tools)
            except ActivityError as error:
                if not self._heard_full(error) or limit_tokens <= compaction.LEAST_TOKENS:
                    raise
            limit_tokens = min(limit_tokens, compaction.tokens_of(fitting)) // 2

    def _limit(self) -> int:
        """Tokens of the context: what the worker is set to, or what the model's server has said, if that is less."""
        limit, said = self._progress.home.context_limit_tokens, self._progress.context_limits.get(self._persona.model)
        return min(limit, said) if said else limit

    def _heard_full(self, error: ActivityError) -> bool:
        """Whether the conversation was too long; how long it may be is kept where the refusal says so."""
        failure = failure_of(error)
        if failure.type != CONTEXT_FULL:
            return False
        if said := retries.about(failure).get("limit_tokens"):
            self._progress.context_limits[self._persona.model] = int(said)
        return True

    async def _compact(self, limit_tokens: int) -> bool:
        """Put a summary in the place of what is old. False: there is nothing that could be left out."""
        cut = compaction.split(self._messages, keep_tokens=limit_tokens // 4)
        if cut == 0:
            return False
        content = await self._summary(cut, limit_tokens)
        summary = Message(
            role="user",
            content=f"{compaction.HEADER}\n\n{content}",
            timestamp=now(),
            message_id=f"{self._execution_id}_summary_{workflow.info().get_current_history_length()}",
        )
        self._messages[:cut] = [summary]
        self._prompt_tokens = 0
        return True

    async def _summary(self, cut: int, limit_tokens: int) -> str:
        asked = Message(role="user", content=compaction.REQUEST, timestamp=now(), message_id="")
        limit = round(compaction.FULL_AT * limit_tokens)
        while True:
            older = compaction.bounded(self._messages[:cut], limit_tokens=limit)
            try:
                reply = await self._ask([*older, asked], message_id=f"{self._execution_id}_summary", silent=True)
            except ActivityError as error:
                if not self._heard_full(error) or not workflow.patched(retries.UNTIL_IT_FITS):
                    raise
                if limit <= compaction.LEAST_TOKENS:
                    return compaction.WITHOUT_SUMMARY
                limit = min(limit, compaction.tokens_of(older)) // 2
            else:
                self._progress.usage += reply.usage
                return reply.content or compaction.WITHOUT_SUMMARY

    async def _ask(
        self, messages: list[Message], *, message_id: str, after_tools: bool = False, silent: bool = False
    ) -> ModelReply:
        answer: BudgetAnswer | None = None
        while True:
            reply = await self._asked(
                messages, message_id=message_id, after_tools=after_tools, silent=silent, budget=answer
            )
            if reply.budget is None:
                return reply
            answer = await self._more_of(reply.budget)
            if answer is None:
                raise over(reply.budget.sentence)

    async def _more_of(self, reached: BudgetReached) -> BudgetAnswer | None:
        """Wait until somebody has said whether more may be spent, while the question lasts. None: nobody is asked."""
        if not reached.call_id:
            return None
        stop_if_cancelled()
        answer = await self._progress.approvals.heard(reached.call_id, until=datetime.fromisoformat(reached.expires_at))
        await self._wait()
        stop_if_cancelled()
        return answer

    async def _asked(
        self, messages: list[Message], *, message_id: str, after_tools: bool, silent: bool, budget: BudgetAnswer | None
    ) -> ModelReply:
        progress = self._progress
        first = None if silent else progress.take_first()
        if first is not None and first.answer is not None:
            reply = first.answer
        else:
            asked_by, passed_on = first.asked_by if first is not None else "", 0
            while True:
                call = self._call(
                    messages,
                    message_id=message_id,
                    after_tools=after_tools,
                    silent=silent,
                    budget=budget,
                    asked_by=asked_by,
                    passed_on=passed_on,
                )
                reply = await self._made(call)
                if not reply.elsewhere:
                    break
                passed_on += 1
            if reply.decision is not None:
                progress.ahead = reply.decision
        progress.heard(reply.last_sequence)
        return reply

    def _call(self, messages: list[Message], **how: Unpack[HowAsked]) -> Callable[[], ModelCall]:
        return lambda: model_call(
            self._persona,
            messages,
            execution_id=self._execution_id,
            turn=self._progress.turn,
            after_sequence=self._progress.sequence,
            parent_message_id=self._parent,
            ending=None if how.get("silent") else self._ending(),
            **how,
        )

    async def _made(self, call: Callable[[], ModelCall]) -> ModelReply:
        timeouts = self._progress.home.timeouts
        try:
            reply: ModelReply = await self._home.call(
                "call_model",
                call,
                ModelReply,
                told=answer_told,
                start_to_close_timeout=timedelta(seconds=timeouts.model_call),
                heartbeat_timeout=timedelta(seconds=timeouts.heartbeat),
                retry_policy=retries.model_retry(timeouts.model_attempts),
            )
        except ActivityError as error:
            self._progress.usage += retries.spent_by(failure_of(error))
            raise
        return reply

    # --- tools --------------------------------------------------------------------------------------------

    async def _answer_call(self, call: ToolCall, parent_message_id: str) -> Message:
        delegate = self._delegates.get(call.name)
        error: str | None
        if self._used_up:
            content = error = f"The call was not made. {self._used_up}"
        elif delegate is not None:
            content, error = await _delegated(delegate, call, parent_message_id)
        else:
            outcome = await self._run_approved(call, parent_message_id)
            content, error = outcome.for_model(), outcome.error
        return Message(
            role="tool",
            content=content,
            timestamp=now(),
            message_id=f"{self._execution_id}_tool_{call.call_id}",
            tool_call_id=call.call_id,
            tool_name=call.name,
            tool_arguments=call.arguments,
            tool_error=error,
        )

    async def _run_approved(self, call: ToolCall, parent_message_id: str) -> ToolOutcome:
        """Run it; where its user must be asked, wait for the answer as long as the question lasts."""
        outcome = await self._run_within_budget(call, parent_message_id)
        asked, deadline = "", workflow.now()
        while outcome.approval is not None:
            stop_if_cancelled()  # the call may have ended while its cancellation was on the way
            if outcome.approval.id != asked:  # asked anew, the same one lasts no longer
                asked, deadline = outcome.approval.id, datetime.fromisoformat(outcome.approval.expires_at)
            answer = await self._progress.approvals.wait(call.call_id, until=deadline)
            await self._wait()
            stop_if_cancelled()
            content = self._progress.approvals.content(call.call_id)
            outcome = await self._run_tool(call, parent_message_id, answer=answer, content=content)
        return outcome

    async def _run_within_budget(self, call: ToolCall, parent_message_id: str) -> ToolOutcome:
        outcome = await self._run_tool(call, parent_message_id)
        while (reached := outcome.budget) is not None:
            answer = await self._more_of(reached)
            if answer is None:
                self._used_up = reached.sentence
                return replace(outcome, error=f"The call was not made. {reached.sentence}", budget=None)
            outcome = await self._run_tool(call, parent_message_id, budget=answer)
        return outcome

    async def _run_tool(
        self,
        call: ToolCall,
        parent_message_id: str,
        *,
        answer: str = "",
        content: dict[str, Any] | None = None,
        budget: BudgetAnswer | None = None,
    ) -> ToolOutcome:
        progress, persona = self._progress, self._persona
        timeouts = progress.home.timeouts
        try:
            outcome: ToolOutcome = await self._home.call(
                "run_tool",
                lambda: persona.call_of(
                    call,
                    execution_id=self._execution_id,
                    turn=progress.turn,
                    parent_message_id=parent_message_id,
                    timeout_seconds=timeouts.tool_call,
                    in_team=self._in_team,
                    answer=answer,
                    content=content,
                    budget=budget,
                    after_sequence=progress.sequence,
                ),
                ToolOutcome,
                start_to_close_timeout=timedelta(seconds=timeouts.tool_call)
                + (retries.SERVER_START if persona.server_tool(call.name) else timedelta(0)),
                heartbeat_timeout=timedelta(seconds=timeouts.heartbeat),
                retry_policy=retries.tool_retry(timeouts.tool_attempts),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            said = f"{UNKNOWN_OUTCOME} ({failure_of(error).message})"
            outcome = ToolOutcome(succeeded=False, output="", error=said)
        progress.heard(outcome.last_sequence)
        return outcome


def over(sentence: str) -> ApplicationError:
    """The end of a turn that may spend no more."""
    return ApplicationError(sentence, "configuration", type=BUDGET_USED_UP, non_retryable=True)


async def _delegated(delegate: Delegate, call: ToolCall, parent_message_id: str) -> tuple[str, str | None]:
    if call.problem:
        return call.problem, call.problem
    try:
        return await delegate(arguments_object(call.arguments), call, parent_message_id), None
    except (ActivityError, ApplicationError) as error:
        if is_cancelled_exception(error):
            raise
        sentence = failure_of(error).message
        return sentence, sentence


def failure_of(error: BaseException) -> ApplicationError:
    """The cause that a person should read, whatever it was wrapped in."""
    cause: BaseException = error
    while isinstance(cause, ActivityError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        return cause
    if isinstance(cause, exceptions.TimeoutError):
        return ApplicationError(
            f"A step of the execution did not end in time: {cause}. It was stopped.", "timeout", type=retries.TIMED_OUT
        )
    return ApplicationError(f"The execution stopped with an internal error: {cause}.", type=type(cause).__name__)
