"""What the activities of an execution do. `activities.py` declares them, and imports this for the first that comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from temporalio import activity
from temporalio.exceptions import ApplicationError

from worker_core.agents.activities import (
    claude_turn,
    execution_ends,
    failures,
    spending,
    tool_calls,
    traces,
    turn_ends,
)
from worker_core.agents.activities.announcements import of_turn
from worker_core.agents.activities.beginning import begin_here
from worker_core.agents.activities.first_answers import (
    MOST_PASSED_ON,
    WITH_THE_BEGINNING,
    FirstAnswers,
    another_runs,
    answered_before,
    before_passing_on,
    elsewhere,
    first_call,
    this_process,
)
from worker_core.agents.activities.heartbeat import Beats, heartbeating
from worker_core.agents.activities.model_call import run_model_call
from worker_core.agents.activities.running_calls import RunningCalls, goes_on
from worker_core.agents.activities.services import QueueContext, Services
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.messages import (
    JOB_GONE,
    UNDECIDED,
    Begin,
    Begun,
    ClaudeReply,
    ClaudeTurn,
    EndExecution,
    FinishTurn,
    GiveUpTurn,
    JobRecord,
    JobStatus,
    ModelCall,
    ModelReply,
    RunTool,
    SaveMessages,
    StartTurn,
    ToolOutcome,
    TurnDecision,
)
from worker_core.agents.turn_end import LARGEST_ENDED_CHARACTERS, is_last, of_first_answer, with_answer
from worker_core.budgets.questions import Waits
from worker_core.control_plane.errors import NotFound, Rejected
from worker_core.control_plane.models import ExecutionPatch, JobExecution
from worker_core.control_plane.outbox.lane import LAST_EVENTS_LIMIT
from worker_core.events import ExecutionStarted
from worker_core.sandbox.launcher import Prepares
from worker_core.workspaces.workspace import safe_name

log = logging.getLogger(__name__)

HANDED_BACK_FOR = timedelta(milliseconds=200)


class Steps:
    """One instance per queue."""

    def __init__(self, services: Services, queue: QueueContext) -> None:
        self._services = services
        self._queue = queue
        self._calls: RunningCalls[ToolOutcome] = RunningCalls(patience=self._patience)
        self._turns: RunningCalls[ClaudeReply] = RunningCalls(patience=self._patience)
        self._turn_ends: RunningCalls[TurnDecision] = RunningCalls(patience=self._patience, to_the_end=True)
        self._stores: RunningCalls[None] = RunningCalls(patience=self._patience, to_the_end=True)
        self._first = FirstAnswers(patience=self._patience)

    def leave(self) -> None:
        """The worker leaves: calls that no attempt waits for end."""
        self._calls.leave()
        self._turns.leave()
        self._turn_ends.leave()
        self._stores.leave()
        self._first.leave()

    def _patience(self) -> timedelta:
        return self._services.settings.home_lost_after

    @failures.as_application_errors
    async def begin_execution(self, begin: Begin) -> Begun:
        """Mark the execution running, tell viewers, resolve what the agent may use, and make this its home."""
        services, execution = self._services, begin.input
        if not self._queue.takes(execution.execution_id):
            # A poll that was under way when the gate closed, or when another queue took the last place, brought it. It
            # goes back to the queue, for another worker.
            raise ApplicationError(
                "This worker takes no new executions now.", type="HandedBack", next_retry_delay=HANDED_BACK_FOR
            )
        services.tracker.turn_began(
            execution.execution_id,
            queue_id=self._queue.queue_id,
            turn=1,
            agent_id=execution.entity_id,
            workflow_id=_workflow_id(),
        )
        began_at = datetime.now(UTC)
        async with heartbeating() as beats:
            try:
                answered = answered_before()
                begun = await begin_here(services, self._queue, begin, answered=answered is not None)
                traces.execution_began(begin, queue_id=self._queue.queue_id, began_at=began_at)
                if answered is not None:
                    return replace(begun, answer=answered, decision=UNDECIDED)
                if not begin.asks_ahead or self._queue.shares_home():
                    return begun
                asked_at = beats.now()
                begun = await self._ask_ahead(execution, begun)
            except BaseException as error:
                services.tracker.forget(execution.execution_id)  # no end follows where nothing was begun
                services.environments.forget(execution.execution_id)
                services.announcements.forget(execution.execution_id)
                services.sessions.forget(execution.execution_id)
                self._first.forget(execution.execution_id)
                if isinstance(error, asyncio.CancelledError):
                    self._queue.gives_back(execution.execution_id)
                raise
            if begun.answer is None or not begin.began_at or len(execution.prompt) > LARGEST_ENDED_CHARACTERS:
                return begun
            ending = of_first_answer(execution, began_at=begin.began_at, asked_at=asked_at)
            answer = await self._end_ahead(ending, begun.answer, beats)
            return replace(begun, answer=answer, decision=answer.decision)

    async def _end_ahead(self, ending: FinishTurn, reply: ModelReply, beats: Beats) -> ModelReply:
        """End a turn, too, where its answer is the last: what the workflow would ask for next."""
        if not is_last(reply) or beats.began or self._queue.shares_home():  # the end's own step may come to another
            return reply
        answer = replace(reply, answered_at=beats.now().isoformat())
        beats.tell(answer)  # where this worker dies, the model is not asked again
        turn = with_answer(ending, answer)
        decision = await self._turn_ends.ahead(
            turn.execution_id, _end_of_turn(turn), lambda: self._finished_turn(turn), within=WITH_THE_BEGINNING
        )
        return replace(answer, decision=decision or UNDECIDED)

    async def _ask_ahead(self, execution: ExecutionInput, begun: Begun) -> Begun:
        """Ask the model what the workflow will ask first; its answer goes with the beginning where it comes at once."""
        call = first_call(execution, begun) if begun.runtime == "default" else None
        if call is None:
            return begun
        attempt = activity.info().attempt
        answer = self._first.ask(
            call,
            lambda: self._called_model(call, attempt=attempt),
            is_wanted=partial(goes_on, activity.client(), activity.info()),
        )
        # A beginning that is repeated runs its owner's hook again: then it ends at once.
        wait = timedelta(0) if self._services.settings.hook_before_execution else WITH_THE_BEGINNING
        await asyncio.wait([answer], timeout=wait.total_seconds())
        if not answer.done() or answer.cancelled() or answer.exception() is not None:
            return replace(begun, asked_by=this_process())  # what went wrong is its own step's to tell
        self._first.take(call)
        return replace(begun, answer=answer.result())

    @failures.as_application_errors
    async def start_turn(self, turn: StartTurn) -> None:
        """A later turn begins: the user answered."""
        async with heartbeating():
            await self._started_turn(turn)

    async def _started_turn(self, turn: StartTurn) -> None:
        services = self._services
        services.tracker.turn_began(
            turn.execution_id, queue_id=self._queue.queue_id, turn=turn.turn, workflow_id=_workflow_id()
        )
        services.bus.publish(
            ExecutionStarted(execution_id=turn.execution_id, queue_id=self._queue.queue_id, turn=turn.turn)
        )
        record, _ = await asyncio.gather(
            services.client.get_execution(turn.execution_id), services.sessions.read(turn.execution_id, turn=turn.turn)
        )
        metadata = {**record.execution_metadata, **of_turn(turn.execution_id, turn.turn)}
        running = ExecutionPatch(status="running", execution_metadata=metadata)
        await services.announcements.goes_on(
            turn.execution_id, services.client.patch_execution(turn.execution_id, running)
        )

    def _step(self, execution_id: str, name: str, *, turn: int) -> AbstractContextManager[None]:
        return self._services.tracker.step(
            execution_id, name, queue_id=self._queue.queue_id, turn=turn, workflow_id=_workflow_id()
        )

    @failures.as_application_errors
    async def call_model(self, call: ModelCall) -> ModelReply:
        """One streamed model call."""
        attempt = activity.info().attempt
        async with heartbeating() as beats:
            if call.ending is None:
                return await self._model_reply(call, attempt=attempt)
            if (answered := answered_before()) is not None:
                return answered
            return await self._end_ahead(call.ending, await self._model_reply(call, attempt=attempt), beats)

    async def _model_reply(self, call: ModelCall, *, attempt: int) -> ModelReply:
        if call.asked_by and attempt == 1:
            if (answer := self._first.take(call)) is not None:
                return await answer
            if call.passed_on < MOST_PASSED_ON and another_runs(call.asked_by):
                await asyncio.sleep(before_passing_on(call))
                return elsewhere(call)
        return await self._called_model(call, attempt=attempt + bool(call.asked_by))

    async def _called_model(self, call: ModelCall, *, attempt: int) -> ModelReply:
        services = self._services
        with self._step(call.execution_id, "model", turn=call.turn):
            await services.environments.know_secrets(call.execution_id, call.kind, call.entity_id)
            await services.announcements.make_sure(call.execution_id, worker_id=self._queue.worker_id())
            asker = spending.asker_of(self._queue, call.execution_id, call.turn, call.budget)
            ruling = await services.budgets.before_model_call(asker)
            if ruling is None:
                return await self._answer_of_model(call, attempt=attempt)
            last_sequence = await self._tell_last(call.execution_id, call.after_sequence)
        if isinstance(ruling, Waits):
            services.tracker.waits_for_approval(call.execution_id)
        return spending.unasked(call, ruling, services=self._services, last_sequence=last_sequence)

    async def _answer_of_model(self, call: ModelCall, *, attempt: int) -> ModelReply:
        services = self._services
        async with services.budgets.at_work(call.execution_id, call.turn):
            with traces.model_call(call) as told:
                reply = await run_model_call(services, self._queue, call, attempt=attempt)
                traces.model_answered(told, usage=reply.usage, model=reply.model, finish_reason=reply.finish_reason)
        return reply

    async def _tell_last(self, execution_id: str, after_sequence: int) -> int:
        """What there is to tell viewers is told; the number of the last event."""
        lane = self._services.outbox.lane(execution_id)
        lane.advance(after_sequence)
        await lane.flush(LAST_EVENTS_LIMIT)
        return lane.last_sequence

    @failures.as_application_errors
    async def run_claude_turn(self, turn: ClaudeTurn) -> ClaudeReply:
        """A whole turn of the runtime `claude_code`."""
        async with heartbeating():
            return await self._turns.outcome(turn.execution_id, f"turn {turn.turn}", lambda: self._claude_turn(turn))

    async def _claude_turn(self, turn: ClaudeTurn) -> ClaudeReply:
        services = self._services
        with self._step(turn.execution_id, "claude", turn=turn.turn):
            await services.environments.know_secrets(turn.execution_id, turn.persona.kind, turn.persona.entity_id)
            await services.announcements.make_sure(turn.execution_id, worker_id=self._queue.worker_id())
            async with services.budgets.at_work(turn.execution_id, turn.turn):
                with traces.claude_turn(turn) as told:
                    reply = await claude_turn.run_claude_turn(services, self._queue, turn)
                    traces.model_answered(told, usage=reply.usage, model=reply.model, finish_reason=reply.finish_reason)
            return reply

    @failures.as_application_errors
    async def run_tool(self, request: RunTool) -> ToolOutcome:
        """One tool call, at most once."""
        async with heartbeating(marked=True):
            outcome = await self._calls.outcome(
                request.execution_id, request.call.call_id, lambda: self._outcome_of_tool(request)
            )
        if outcome.approval is not None or (outcome.budget is not None and outcome.budget.call_id):
            self._services.tracker.waits_for_approval(request.execution_id)
        return outcome

    async def _outcome_of_tool(self, request: RunTool) -> ToolOutcome:
        with self._step(request.execution_id, f"tool {request.call.name}", turn=request.turn):
            return await self._made_call(request)

    async def _made_call(self, request: RunTool) -> ToolOutcome:
        services = self._services
        asker = spending.asker_of(self._queue, request.execution_id, request.turn, request.budget)
        ruling = await services.budgets.before_tool_call(asker, request.call.call_id)
        if ruling is not None:
            last_sequence = await self._tell_last(request.execution_id, request.after_sequence)
            outcome = spending.not_made(ruling.sentence)
            return replace(
                outcome, budget=spending.reached(ruling, services=self._services), last_sequence=last_sequence
            )
        environment = await services.environments.of(request.execution_id, request.kind, request.entity_id)
        async with services.budgets.at_work(request.execution_id, request.turn):
            return await tool_calls.run(services, request, environment, queue_id=self._queue.queue_id)

    @failures.as_application_errors
    async def finish_turn(self, turn: FinishTurn) -> TurnDecision:
        """Store the session and the numbers, and read the server's decision (protocol 8.6, design A)."""
        async with heartbeating():
            return await self._turn_ends.outcome(
                turn.execution_id, _end_of_turn(turn), lambda: self._finished_turn(turn)
            )

    async def _finished_turn(self, turn: FinishTurn) -> TurnDecision:
        decision = await turn_ends.finish(
            self._services,
            turn,
            repeated=turn.moved or activity.info().attempt > 1,
            worker_id=self._queue.worker_id(),
            queue_id=self._queue.queue_id,
        )
        self._turn_ended(turn)
        if decision.status != "completed":
            return decision
        # Nothing but a message that comes in this moment can follow: the end needs no step of its own.
        await self._end(
            EndExecution(
                execution_id=turn.execution_id,
                status="completed",
                response=turn.response,
                usage=turn.total_usage,
                turns=turn.turn,
                user_id=turn.user_id,
                after_sequence=decision.last_sequence,
                recorded=decision.recorded,
            ),
            begun=True,
        )
        lane = self._services.outbox.lane(turn.execution_id)
        return replace(decision, ended=True, last_sequence=lane.last_sequence)

    @failures.as_application_errors
    async def give_up_turn(self, turn: GiveUpTurn) -> TurnDecision:
        """A turn failed for a cause that may pass: its user may go on from here."""
        async with heartbeating():
            return await self._turn_ends.outcome(
                turn.execution_id, f"turn {turn.turn} given up", lambda: self._given_up_turn(turn)
            )

    async def _given_up_turn(self, turn: GiveUpTurn) -> TurnDecision:
        decision = await turn_ends.give_up(
            self._services,
            turn,
            repeated=activity.info().attempt > 1,
            worker_id=self._queue.worker_id(),
            queue_id=self._queue.queue_id,
        )
        self._turn_ended(turn)
        return decision

    def _turn_ended(self, turn: FinishTurn | GiveUpTurn) -> None:
        traces.turn_ended(turn)
        self._rest(turn.execution_id)

    def _rest(self, execution_id: str) -> None:
        """No tool is called before its user says something."""
        if isinstance(launcher := self._services.launcher, Prepares):
            launcher.leave((self._services.workspaces / safe_name(execution_id)).resolve())

    @failures.as_application_errors
    async def end_execution(self, end: EndExecution) -> None:
        """The last word about an execution. A status that is final already is left as it is."""
        begun = activity.info().task_queue == self._queue.home_queue

        async def last_word() -> None:
            await self._turn_ends.settled(end.execution_id)
            await self._end(end, begun=begun)

        await self._stored(end.execution_id, "end", last_word)

    async def _stored(self, execution_id: str, what: str, store: Callable[[], Coroutine[None, None, None]]) -> None:
        """One write, whole; another attempt at the same step waits for it."""
        step = f"{what} {activity.info().workflow_run_id} {activity.info().activity_id}"
        async with heartbeating():
            await self._stores.outcome(execution_id, step, store)

    async def _end(self, end: EndExecution, *, begun: bool) -> None:
        self._first.forget(end.execution_id)
        with traces.execution_ends(end):
            await execution_ends.finish(
                self._services,
                end,
                queue_id=self._queue.queue_id,
                repeated=activity.info().attempt > 1,
                begun=begun,
            )

    @failures.as_application_errors
    async def save_messages(self, save: SaveMessages) -> None:
        """Store what was said so far, in mid-turn."""
        await self._stored(save.execution_id, "messages", lambda: self._saved_messages(save))

    async def _saved_messages(self, save: SaveMessages) -> None:
        stored = await self._services.client.load_session(save.execution_id)
        await turn_ends.store_messages(self._services, save, stored=stored, repeated=activity.info().attempt > 1)

    @failures.as_application_errors
    async def create_job_record(self, job: JobRecord) -> None:
        """Make the record of a job's run; a job that is gone is told apart from trouble."""
        await self._stored(job.execution_id, "record", lambda: self._created_job_record(job))

    async def _created_job_record(self, job: JobRecord) -> None:
        try:
            await self._services.client.create_job_execution(
                JobExecution(
                    execution_id=job.execution_id,
                    job_id=job.job_id or None,
                    entity_type="team" if job.kind == "teams" else "agent",
                    entity_id=job.entity_id or None,
                    prompt=job.prompt,
                    trigger_type="cron",
                    trigger_metadata=job.trigger_metadata,
                )
            )
        except (NotFound, Rejected) as error:
            if error.status not in {404, 410}:
                raise
            raise ApplicationError(error.sentence, type=JOB_GONE, non_retryable=True) from error

    @failures.as_application_errors
    async def set_job_status(self, job: JobStatus) -> None:
        """Say how a job's run ended."""
        await self._stored(job.execution_id, "status", lambda: self._set_job_status(job))

    async def _set_job_status(self, job: JobStatus) -> None:
        await self._services.client.set_job_status(
            job.execution_id,
            job.job_id,
            status=job.status,
            duration_ms=job.duration_ms,
            error_message=self._services.redactor.mask(job.error) or None,
        )


def _end_of_turn(turn: FinishTurn) -> str:
    return f"end of turn {turn.turn}"


def _workflow_id() -> str:
    return activity.info().workflow_id or ""
