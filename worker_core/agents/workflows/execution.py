"""Workflow code: the life of an execution, whatever the type of its workflow.

Everything here is replayed: no clock, no randomness, no I/O but through `workflow`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from worker_core.agents import compaction
from worker_core.agents.conversation import answer_id, author_of, for_session, for_state, prompt_of
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.history import NO_ANSWER
from worker_core.agents.messages import (
    BUDGET_USED_UP,
    PASSING,
    UNDECIDED,
    Begun,
    EndExecution,
    FinishTurn,
    GiveUpTurn,
    Message,
    ModelReply,
    Persona,
    SaveMessages,
    StartTurn,
    ToolCall,
    TurnDecision,
)
from worker_core.agents.turn_end import LARGEST_ENDED_CHARACTERS, NO_REPLY, finish_turn
from worker_core.agents.workflows import claude_workflow, retries
from worker_core.agents.workflows.carried import Carried, TurnProgress
from worker_core.agents.workflows.home import Home, now, stop_if_cancelled, whole
from worker_core.agents.workflows.model_loop import Delegate, ModelLoop, Spent, failure_of
from worker_core.agents.workflows.progress import Progress
from worker_core.basics.shortening import LONGEST_TEXT, shortened

UNSAVED_LIMIT_BYTES = 300_000
"""What waits for the end of the turn; beyond it the session is saved in mid-turn: no payload grows too large."""

PROMPT_CARRIED = 1_000
"""Characters of the prompt that the next run gets as its input."""


def _went_well(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


class ExecutionWorkflow:
    """What agent and team executions share: signals, the query, turns, and continuing as new."""

    turns_end = True
    """Its turns have an end that the server is told of, and decides at."""

    def __init__(self) -> None:
        self._progress = Progress()
        self._error: str | None = None
        self._waiting = False
        self._decided = UNDECIDED
        self._members_asked = 0

    # --- what the server sends and asks -------------------------------------------------------------------

    @workflow.signal
    def add_message(self, message: Any = None) -> None:
        if isinstance(message, Mapping):
            self._progress.inbox.append(message)
        elif isinstance(message, str):
            self._progress.inbox.append({"role": "user", "content": message})

    @workflow.signal
    def mark_as_done(self) -> None:
        self._progress.done = True

    @workflow.signal
    def pause_execution(self) -> None:
        self._progress.paused = True

    @workflow.signal
    def resume_execution(self) -> None:
        self._progress.paused = False

    @workflow.signal
    def answer_approval(self, answer: Any = None) -> None:
        self._progress.approvals.take(answer)

    @workflow.query
    def get_state(self) -> dict[str, Any]:
        """`ExecutionState` of the protocol, section 7.8: the server decodes it strictly."""
        progress = self._progress
        final = progress.status in {"completed", "failed", "cancelled"}
        return {
            "status": "paused" if progress.paused and not final else progress.status,
            "messages": for_state(progress.messages),
            "current_response": progress.response,
            "error_message": self._error,
            "usage": progress.usage.to_wire(),
            "metadata": {"conversation_turns": progress.turn},
            "is_waiting_for_input": self._waiting,
            "should_complete": progress.done,
            "is_paused": progress.paused,
        }

    # --- the life of an execution -------------------------------------------------------------------------

    async def _live(self, raw: Any, execution: ExecutionInput, carried: Carried | None) -> dict[str, Any]:
        self._take(raw, execution)
        progress = self._progress
        try:
            if carried is not None:
                progress.take_up(carried)
            else:
                progress.status = "running"
                await self._begin()
            await self._converse()
        except (Exception, asyncio.CancelledError) as error:
            if is_cancelled_exception(error):
                await self._end("cancelled", interrupted=True)
                raise
            failure = failure_of(error)
            self._error = failure.message
            await self._end("failed", failure=failure)
            raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from error
        await self._end(progress.status)
        return {
            "success": progress.status == "completed",
            "execution_id": execution.execution_id,
            "status": progress.status,
            "response": progress.response,
            "usage": progress.usage.to_wire(),
            "conversation_turns": progress.turn,
        }

    def _take(self, raw: Any, execution: ExecutionInput) -> None:
        self._raw = raw if isinstance(raw, Mapping) else {}
        self._execution = execution
        self._home = Home(execution, self._progress, turns_end=self.turns_end)

    async def _begin(self) -> None:
        execution = self._execution
        self._progress.say(prompt_of(execution, now=now()))
        begun = await self._home.find()
        self._progress.messages[:0] = begun.earlier
        stop_if_cancelled()

    async def _converse(self) -> None:
        progress = self._progress
        if self._waiting_was_carried():
            await self._wait_for_user()
            if not progress.inbox:
                progress.status = "completed"
                return
            self._take_inbox()
        while True:
            self._decided = decision = await self._run_turn_or_give_it_up()
            stop_if_cancelled()
            if decision.status == "failed" and not progress.inbox:
                raise ApplicationError(
                    "The control plane judged that this execution failed.", type="JudgedFailed", non_retryable=True
                )
            over = progress.done or decision.status == "completed" or self._execution.unattended
            if not progress.inbox and over:
                break
            if not progress.inbox:
                progress.status = "waiting_for_input"
                self._hand_on_if_long()
                await self._wait_for_user()
            if not progress.inbox:
                break
            self._decided = UNDECIDED
            if decision.ended:
                await self._home.begin_anew()
            self._take_inbox()
        progress.status = "completed"

    def _waiting_was_carried(self) -> bool:
        return self._progress.status == "waiting_for_input"

    async def _wait_for_user(self) -> None:
        progress = self._progress
        self._waiting = True
        try:
            await workflow.wait_condition(lambda: bool(progress.inbox) or progress.done, timeout=retries.WAIT_FOR_USER)
        except TimeoutError:
            workflow.logger.info("Nobody answered for %s; the execution completes.", retries.WAIT_FOR_USER)
        finally:
            self._waiting = False

    def _take_inbox(self) -> None:
        progress = self._progress
        for raw in progress.inbox:
            progress.users += 1
            progress.say(
                Message(
                    role="user",
                    content=shortened(str(raw.get("content") or ""), LONGEST_TEXT),
                    timestamp=str(raw.get("timestamp") or now()),
                    message_id=str(raw.get("message_id") or f"{self._execution.execution_id}_user_{progress.users}"),
                    author=author_of(raw),
                )
            )
        progress.inbox.clear()
        progress.status = "running"
        self._error = None

    # --- one turn -----------------------------------------------------------------------------------------

    async def _run_turn_or_give_it_up(self) -> TurnDecision:
        """What fails for a cause that may pass costs its turn, not the conversation."""
        try:
            return await self._run_turn()
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error) or not self._may_go_on(error):
                raise
            if not workflow.patched(retries.GIVEN_UP_TURN):
                raise
            return await self._give_up_turn(failure_of(error))

    def _may_go_on(self, error: ActivityError | ApplicationError) -> bool:
        """Whether there is a user who can send another message, and whether that may help."""
        if self._execution.unattended or self._progress.done:
            return False
        failure = failure_of(error)
        if failure.type == BUDGET_USED_UP:
            return True
        of_a_model = isinstance(error, ActivityError) and error.activity_type == "call_model"
        return of_a_model and failure.type in {PASSING, retries.TIMED_OUT}

    async def _give_up_turn(self, failure: ApplicationError) -> TurnDecision:
        progress, execution = self._progress, self._execution
        given_up: TurnDecision = await self._home.report(
            "give_up_turn",
            lambda: GiveUpTurn(
                execution_id=execution.execution_id,
                turn=progress.turn,
                error=failure.message,
                error_type=failure.type or "",
                error_category=retries.category_of(failure),
                messages=for_session(progress.unsaved),
                usage=progress.usage,
                user_id=str(execution.user_metadata.get("user_id") or ""),
                after_sequence=progress.sequence,
            ),
            TurnDecision,
            limit=retries.STORING,
        )
        self._error = failure.message
        progress.unsaved.clear()
        progress.turn_progress = None
        progress.heard(given_up.last_sequence)
        return given_up

    async def _run_turn(self) -> TurnDecision:
        await self._while_paused()
        progress = self._progress
        if progress.turn_progress is None:
            progress.turn += 1
            progress.turn_progress = TurnProgress(started_at=now())
            # The server learns of the later turns while the model already answers.
            announced = asyncio.create_task(self._announce()) if progress.turn > 1 else None
        else:
            announced = None
        under_way, home = progress.turn_progress, progress.home
        spent = Spent(usage=under_way.usage, tool_names=list(under_way.tool_names), calls=under_way.calls_made)
        try:
            reply = await self._answer(spent, lambda: self._ending(under_way, spent, announced, home))
        except BaseException:
            if announced is not None:
                announced.cancel()
            raise
        if announced is not None:
            await announced
        if reply.remark and not reply.content:
            progress.response = reply.remark  # not silence
        ahead = progress.ahead
        decision = ahead if ahead is not None and ahead.status else await self._finish_turn(reply, under_way, spent)
        progress.ahead = None
        progress.unsaved.clear()
        progress.turn_progress = None
        progress.heard(decision.last_sequence)
        return decision

    def _ending(
        self, under_way: TurnProgress, spent: Spent, announced: asyncio.Task[None] | None, home: Begun
    ) -> FinishTurn | None:
        """The end of the turn, but for what its last answer brings."""
        progress = self._progress
        if announced is not None and not _went_well(announced):
            return None  # nothing of the turn's end may come before its beginning
        if compaction.size_of_all(progress.unsaved) > LARGEST_ENDED_CHARACTERS:
            return None
        began_at = datetime.fromisoformat(under_way.started_at)
        return self._turn_end(NO_REPLY, under_way, spent, completed_at=began_at, moved=progress.home is not home)

    async def _finish_turn(self, reply: ModelReply, under_way: TurnProgress, spent: Spent) -> TurnDecision:
        progress = self._progress
        home, completed_at = progress.home, workflow.now()
        return await whole(
            self._home.report(
                "finish_turn",
                lambda: self._turn_end(
                    reply,
                    under_way,
                    spent,
                    completed_at=completed_at,
                    moved=progress.ahead is not None or progress.home is not home,
                ),
                TurnDecision,
                limit=retries.STORING,
            )
        )

    def _turn_end(
        self, reply: ModelReply, under_way: TurnProgress, spent: Spent, *, completed_at: datetime, moved: bool
    ) -> FinishTurn:
        progress = self._progress
        return finish_turn(
            self._execution,
            reply,
            turn=progress.turn,
            messages=progress.unsaved,
            response=progress.response,
            started_at=datetime.fromisoformat(under_way.started_at),
            completed_at=completed_at,
            turn_usage=spent.usage,
            total_usage=progress.usage,
            after_sequence=progress.sequence,
            tool_names=tuple(spent.tool_names),
            session_id=progress.session_id,
            saved=bool(progress.turn_progress and progress.turn_progress.saved),
            moved=moved,
        )

    async def _announce(self) -> None:
        await self._home.report(
            "start_turn",
            lambda: StartTurn(execution_id=self._execution.execution_id, turn=self._progress.turn),
            type(None),
        )

    async def _answer(self, spent: Spent, ending: Callable[[], FinishTurn | None] = lambda: None) -> ModelReply:
        """The main persona answers what the conversation holds."""
        progress = self._progress
        if progress.home.runtime == "claude_code":
            return await claude_workflow.answer(self._execution.execution_id, progress, self._home, spent)
        members = progress.home.members
        loop = ModelLoop(
            execution_id=self._execution.execution_id,
            persona=progress.home.persona,
            progress=progress,
            home=self._home,
            messages=progress.messages,
            say=self._said,
            next_message_id=lambda: answer_id(self._execution.execution_id, progress.answers + 1),
            wait=self._while_paused,
            delegates={member.called: self._delegate(member) for member in members},
            in_team=bool(members),
            before_call=self._between_calls,
            ending=ending,
        )
        return await loop.run(spent)

    def _said(self, message: Message) -> None:
        progress = self._progress
        progress.say(message)
        if message.role == "assistant" and message.content:
            progress.answers += 1
            progress.response = message.content

    def _delegate(self, member: Persona) -> Delegate:
        """A member works on a task of its own, with its own conversation, and answers the leader with its last word."""

        async def ask(arguments: Mapping[str, object], call: ToolCall, parent_message_id: str) -> str:
            self._members_asked += 1
            number, said = self._members_asked, 0
            prefix = f"{self._execution.execution_id}_member_{self._progress.turn}_{call.call_id}"
            task = Message(role="user", content=str(arguments.get("task") or ""), timestamp=now(), message_id=prefix)
            messages = [task]

            def next_id() -> str:
                nonlocal said
                said += 1
                return f"{prefix}_{number}_{said}"

            loop = ModelLoop(
                execution_id=self._execution.execution_id,
                persona=member,
                progress=self._progress,
                home=self._home,
                messages=messages,
                say=messages.append,
                next_message_id=next_id,
                wait=self._while_paused,
                in_team=True,
                parent_message_id=parent_message_id,
            )
            reply = await loop.run(Spent())
            return reply.content or reply.remark or NO_ANSWER

        return ask

    # --- pieces -------------------------------------------------------------------------------------------

    async def _while_paused(self) -> None:
        if self._progress.paused and self._progress.ahead is None:  # else there is nothing left to hold back
            await workflow.wait_condition(lambda: not self._progress.paused)

    async def _between_calls(self, spent: Spent) -> None:
        """Nothing is under way here: save what has become much, and begin a new run where this one is long."""
        progress = self._progress
        await self._save_if_much()
        assert progress.turn_progress is not None
        progress.turn_progress = TurnProgress(
            started_at=progress.turn_progress.started_at,
            usage=spent.usage,
            tool_names=tuple(spent.tool_names),
            calls_made=spent.calls,
            saved=progress.turn_progress.saved,
        )
        self._hand_on_if_long()

    async def _save_if_much(self) -> None:
        progress = self._progress
        if compaction.size_of_all(progress.unsaved) <= UNSAVED_LIMIT_BYTES:
            return
        saving = len(progress.unsaved)
        await self._home.report(
            "save_messages",
            lambda: SaveMessages(
                execution_id=self._execution.execution_id,
                messages=for_session(progress.unsaved[:saving]),
                user_id=str(self._execution.user_metadata.get("user_id") or ""),
                turn=progress.turn,
            ),
            type(None),
            limit=retries.STORING,
        )
        del progress.unsaved[:saving]
        if progress.turn_progress is not None:
            progress.turn_progress = replace(progress.turn_progress, saved=True)

    def _hand_on_if_long(self) -> None:
        """Continue as new, with everything, before the history comes near Temporal's limits."""
        progress = self._progress
        if progress.first is None and workflow.info().is_continue_as_new_suggested():
            if compaction.size_of_all(progress.messages) > compaction.LARGEST_CONVERSATION_BYTES:
                progress.messages[:] = compaction.bounded(
                    progress.messages, limit_tokens=progress.home.context_limit_tokens
                )
            # The prompt stands among the messages: carried twice, it could be too large for Temporal.
            raw = {**self._raw, "prompt": self._execution.prompt[:PROMPT_CARRIED]}
            workflow.continue_as_new(args=[raw, progress.carry()])

    async def _end(self, status: str, *, failure: ApplicationError | None = None, interrupted: bool = False) -> None:
        progress, execution = self._progress, self._execution
        progress.status = status
        if self._decided.ended or (progress.ahead is not None and progress.ahead.ended):
            return  # its last turn has done all of this
        if progress.begun is None and status == "cancelled":
            return  # the server wrote `cancelled` itself, and nothing was begun here
        end = EndExecution(
            execution_id=execution.execution_id,
            status=status,
            response=progress.response,
            usage=progress.usage,
            turns=progress.turn,
            error=failure.message if failure else "",
            error_type=(failure.type or "") if failure else "",
            error_category=retries.category_of(failure) if failure else "",
            interrupted=interrupted,
            messages=for_session(progress.unsaved),
            user_id=str(execution.user_metadata.get("user_id") or ""),
            after_sequence=progress.sequence,
            recorded=self._decided.recorded and status == "completed" and not progress.unsaved,
        )
        if progress.begun is None:
            await workflow.execute_activity(
                "end_execution",
                end,
                start_to_close_timeout=retries.CONTROL_PLANE_CALL,
                heartbeat_timeout=retries.HEARTBEAT,
                retry_policy=retries.CONTROL_PLANE_RETRY,
            )
        else:
            await self._home.report("end_execution", lambda: end, type(None))
