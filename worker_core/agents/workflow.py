"""`AgentExecutionWorkflow`: the model loop itself. Each model call and each tool call is an activity of its own.

Everything here is replayed: no clock, no randomness, no I/O but through `workflow`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import exceptions, workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType, is_cancelled_exception

from worker_core.agents import policies
from worker_core.agents.conversation import author_of, consecutive_groups, for_model, for_session, for_state
from worker_core.agents.types import (
    Begin,
    Begun,
    EndExecution,
    ExecutionInput,
    FinishTurn,
    Message,
    ModelCall,
    ModelReply,
    RunTool,
    StartTurn,
    ToolCall,
    ToolOutcome,
    TurnDecision,
    Usage,
)

_Result = TypeVar("_Result")

HOME_LOST_NOTE = (
    "[The machine that held this execution's workspace is gone. A fresh, empty workspace on another machine is in "
    "use now: files made earlier in this conversation are not there.]"
)
UNKNOWN_OUTCOME = (
    "The outcome of this call is unknown: the worker stopped while it ran. It may or may not have taken effect. "
    "Look before you repeat it."
)


@workflow.defn(name="AgentExecutionWorkflow")
class AgentExecutionWorkflow:
    """One execution of an agent: turns until the server, the user or a failure ends it."""

    def __init__(self) -> None:
        self._status = "pending"
        self._error: str | None = None
        self._messages: list[Message] = []
        self._inbox: list[Mapping[str, Any]] = []
        self._done = False
        self._paused = False
        self._waiting = False
        self._response = ""
        self._usage = Usage()
        self._turn = 0
        self._answers = 0
        self._call_ids: set[str] = set()
        self._sequence = 0
        self._unsaved = False
        self._begun: Begun | None = None
        self._input: ExecutionInput | None = None

    # --- what the server sends and asks -------------------------------------------------------------------

    @workflow.signal
    def add_message(self, message: Any = None) -> None:
        if isinstance(message, Mapping):
            self._inbox.append(message)
        elif isinstance(message, str):
            self._inbox.append({"role": "user", "content": message})

    @workflow.signal
    def mark_as_done(self) -> None:
        self._done = True

    @workflow.signal
    def pause_execution(self) -> None:
        self._paused = True

    @workflow.signal
    def resume_execution(self) -> None:
        self._paused = False

    @workflow.query
    def get_state(self) -> dict[str, Any]:
        """`ExecutionState` of the protocol, section 7.8: the server decodes it strictly."""
        final = self._status in {"completed", "failed", "cancelled"}
        return {
            "status": "paused" if self._paused and not final else self._status,
            "messages": for_state(self._messages),
            "current_response": self._response,
            "error_message": self._error,
            "usage": self._usage.to_wire(),
            "metadata": {"conversation_turns": self._turn},
            "is_waiting_for_input": self._waiting,
            "should_complete": self._done,
            "is_paused": self._paused,
        }

    # --- the life of an execution -------------------------------------------------------------------------

    @workflow.run
    async def run(self, raw: dict[str, Any]) -> dict[str, Any]:
        execution = ExecutionInput.from_wire(raw, fallback_id=str(workflow.uuid4()))
        self._input = execution
        self._status = "running"
        try:
            await self._begin(execution)
            await self._converse(execution)
        except BaseException as error:
            if is_cancelled_exception(error):
                await self._end(execution, "cancelled", interrupted=True)
                raise
            failure = _failure(error)
            self._error = failure.message
            await self._end(execution, "failed", failure=failure)
            raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from error
        await self._end(execution, self._status)
        return {
            "success": self._status == "completed",
            "execution_id": execution.execution_id,
            "status": self._status,
            "response": self._response,
            "usage": self._usage.to_wire(),
            "conversation_turns": self._turn,
        }

    async def _begin(self, execution: ExecutionInput) -> None:
        self._messages.append(
            Message(
                role="user",
                content=execution.prompt,
                timestamp=execution.initial_message_timestamp or _now(),
                message_id=f"{execution.execution_id}_user_1",
                author=author_of(execution.user_metadata),
            )
        )
        begun = await self._find_home(Begin(input=execution))
        self._messages[:0] = begun.earlier

    async def _find_home(self, begin: Begin) -> Begun:
        begun: Begun = await workflow.execute_activity(
            "begin_execution",
            begin,
            result_type=Begun,
            start_to_close_timeout=policies.CONTROL_PLANE_CALL,
            retry_policy=policies.CONTROL_PLANE_RETRY,
        )
        self._begun = begun
        self._sequence = max(self._sequence, begun.last_sequence)
        return begun

    async def _converse(self, execution: ExecutionInput) -> None:
        while True:
            decision = await self._run_turn(execution)
            if decision.status == "failed" and not self._inbox:
                raise ApplicationError(
                    "The control plane judged that this execution failed.", type="JudgedFailed", non_retryable=True
                )
            if not self._inbox and (self._done or decision.status == "completed"):
                break
            if not self._inbox:
                await self._wait_for_user()
            if not self._inbox:
                break
            self._take_inbox(execution)
        self._status = "completed"

    async def _wait_for_user(self) -> None:
        self._status = "waiting_for_input"
        self._waiting = True
        try:
            await workflow.wait_condition(lambda: bool(self._inbox) or self._done, timeout=policies.WAIT_FOR_USER)
        except TimeoutError:
            workflow.logger.info("Nobody answered for %s; the execution completes.", policies.WAIT_FOR_USER)
        finally:
            self._waiting = False

    def _take_inbox(self, execution: ExecutionInput) -> None:
        for raw in self._inbox:
            number = 1 + sum(1 for message in self._messages if message.role == "user")
            self._messages.append(
                Message(
                    role="user",
                    content=str(raw.get("content") or ""),
                    timestamp=str(raw.get("timestamp") or _now()),
                    message_id=str(raw.get("message_id") or f"{execution.execution_id}_user_{number}"),
                    author=author_of(raw),
                )
            )
        self._inbox.clear()
        self._status = "running"

    # --- one turn -----------------------------------------------------------------------------------------

    async def _run_turn(self, execution: ExecutionInput) -> TurnDecision:
        await self._while_paused()
        self._turn += 1
        self._unsaved = True
        started = workflow.now()
        # The server learns of the later turns while the model already answers.
        announced = asyncio.create_task(self._announce(execution)) if self._turn > 1 else None
        try:
            reply, usage, tool_names = await self._model_loop(execution)
        except BaseException:
            if announced is not None:
                announced.cancel()
            raise
        if announced is not None:
            await announced
        finished = workflow.now()
        decision: TurnDecision = await self._at_home(
            "finish_turn",
            lambda: FinishTurn(
                execution_id=execution.execution_id,
                turn=self._turn,
                model=reply.model,
                messages=for_session(self._messages),
                started_at=started.isoformat(),
                completed_at=finished.isoformat(),
                duration_ms=round((finished - started) / timedelta(milliseconds=1)),
                turn_usage=usage,
                total_usage=self._usage,
                response=self._response,
                finish_reason=reply.finish_reason,
                tool_names=tuple(tool_names),
                user_id=str(execution.user_metadata.get("user_id") or ""),
                after_sequence=self._sequence,
            ),
            TurnDecision,
            start_to_close_timeout=timedelta(seconds=120),
            retry_policy=policies.CONTROL_PLANE_RETRY,
        )
        self._unsaved = False
        self._sequence = max(self._sequence, decision.last_sequence)
        return decision

    async def _announce(self, execution: ExecutionInput) -> None:
        await self._at_home(
            "start_turn",
            lambda: StartTurn(execution_id=execution.execution_id, turn=self._turn),
            type(None),
            start_to_close_timeout=policies.CONTROL_PLANE_CALL,
            retry_policy=policies.CONTROL_PLANE_RETRY,
        )

    async def _model_loop(self, execution: ExecutionInput) -> tuple[ModelReply, Usage, list[str]]:
        usage = Usage()
        tool_names: list[str] = []
        calls_made = 0
        while True:
            reply = await self._call_model(execution, after_tools=calls_made > 0)
            calls = self._with_unique_ids(reply.tool_calls)
            calls_made += 1
            usage += reply.usage
            self._usage += reply.usage
            if reply.content:
                self._response = reply.content
            self._messages.append(
                Message(
                    role="assistant",
                    content=reply.content,
                    timestamp=_now(),
                    message_id=reply.message_id,
                    tool_calls=calls,
                )
            )
            if not calls:
                return reply, usage, tool_names
            read_only = frozenset(str(tool["name"]) for tool in self._home.tools if tool.get("read_only"))
            for group in consecutive_groups(calls, read_only=read_only):
                await self._while_paused()
                results = [self._run_tool(execution, call, reply.message_id) for call in group]
                self._messages.extend(await asyncio.gather(*results))
                tool_names.extend(call.name for call in group)
            if calls_made >= self._home.model_call_limit:
                raise ApplicationError(
                    f"The turn was stopped after {calls_made} model calls: the model went on calling tools "
                    "without an answer. Raise `max_turns` in the agent's configuration if it needs more.",
                    type="ModelCallLimit",
                    non_retryable=True,
                )

    def _with_unique_ids(self, calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
        """Models repeat call ids over a conversation, or leave them out; the journal's key must be unique."""
        unique = []
        for call in calls:
            call_id = call.call_id or "call"
            if call_id in self._call_ids:
                call_id = f"{call_id}-{len(self._call_ids)}"
            self._call_ids.add(call_id)
            unique.append(ToolCall(call_id=call_id, name=call.name, arguments=call.arguments))
        return tuple(unique)

    async def _call_model(self, execution: ExecutionInput, *, after_tools: bool) -> ModelReply:
        await self._while_paused()
        number = self._answers + 1
        reply: ModelReply = await self._at_home(
            "call_model",
            lambda: ModelCall(
                execution_id=execution.execution_id,
                turn=self._turn,
                model=self._home.model,
                messages=for_model(self._messages, system_prompt=self._home.system_prompt),
                tools=self._home.tools,
                message_id=f"{execution.execution_id}_assistant_{number}",
                model_config=execution.model_config,
                after_tools=after_tools,
                after_sequence=self._sequence,
            ),
            ModelReply,
            start_to_close_timeout=timedelta(seconds=self._home.timeouts.model_call),
            heartbeat_timeout=timedelta(seconds=self._home.timeouts.heartbeat),
            retry_policy=policies.MODEL_RETRY,
        )
        if reply.content:
            self._answers = number
        self._sequence = max(self._sequence, reply.last_sequence)
        return reply

    async def _run_tool(self, execution: ExecutionInput, call: ToolCall, parent_message_id: str) -> Message:
        try:
            outcome: ToolOutcome = await self._at_home(
                "run_tool",
                lambda: RunTool(
                    execution_id=execution.execution_id,
                    agent_id=execution.agent_id,
                    turn=self._turn,
                    call=call,
                    skills=self._home.skills,
                    parent_message_id=parent_message_id,
                    timeout_seconds=self._home.timeouts.tool_call,
                    after_sequence=self._sequence,
                ),
                ToolOutcome,
                start_to_close_timeout=timedelta(seconds=self._home.timeouts.tool_call),
                heartbeat_timeout=timedelta(seconds=self._home.timeouts.heartbeat),
                retry_policy=policies.TOOL_RETRY,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            said = f"{UNKNOWN_OUTCOME} ({_failure(error).message})"
            outcome = ToolOutcome(succeeded=False, output="", error=said)
        self._sequence = max(self._sequence, outcome.last_sequence)
        return Message(
            role="tool",
            content=_for_the_model(outcome),
            timestamp=_now(),
            message_id=f"{execution.execution_id}_tool_{call.call_id}",
            tool_call_id=call.call_id,
            tool_name=call.name,
            tool_arguments=call.arguments,
            tool_error=outcome.error,
        )

    # --- pieces -------------------------------------------------------------------------------------------

    @property
    def _home(self) -> Begun:
        assert self._begun is not None
        return self._begun

    async def _while_paused(self) -> None:
        if self._paused:
            await workflow.wait_condition(lambda: not self._paused)

    async def _at_home(self, activity: str, argument: Any, result_type: type[_Result], **options: Any) -> _Result:
        """Run an activity on the home machine; find a new home when nobody takes it there in time.

        `argument` is a function: after a change of home the call is built anew.
        """
        while True:
            home = self._home
            try:
                result: _Result = await workflow.execute_activity(
                    activity,
                    argument(),
                    task_queue=home.home_queue,
                    result_type=result_type,
                    schedule_to_start_timeout=timedelta(seconds=home.timeouts.home_lost_after),
                    cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                    **options,
                )
            except ActivityError as error:
                if not _nobody_home(error):
                    raise
                await self._move(home)
                if activity == "run_tool" and _was_under_way(error):
                    raise
            else:
                return result

    async def _move(self, lost: Begun) -> None:
        if self._begun is not lost:
            return  # a call beside this one has moved already
        assert self._input is not None
        begun = await self._find_home(Begin(input=self._input, home_lost=True, after_sequence=self._sequence))
        if begun.host_id != lost.host_id:
            self._messages.append(
                Message(
                    role="system",
                    content=HOME_LOST_NOTE,
                    timestamp=_now(),
                    message_id=f"{self._input.execution_id}_home_{workflow.info().get_current_history_length()}",
                )
            )

    async def _end(
        self,
        execution: ExecutionInput,
        status: str,
        *,
        failure: ApplicationError | None = None,
        interrupted: bool = False,
    ) -> None:
        self._status = status
        if self._begun is None and status == "cancelled":
            return  # the server wrote `cancelled` itself, and nothing was begun here
        end = EndExecution(
            execution_id=execution.execution_id,
            status=status,
            response=self._response,
            usage=self._usage,
            turns=self._turn,
            error=failure.message if failure else "",
            error_type=(failure.type or "") if failure else "",
            error_category=str(failure.details[0]) if failure and failure.details else "",
            interrupted=interrupted,
            messages=for_session(self._messages) if self._unsaved else (),
            user_id=str(execution.user_metadata.get("user_id") or ""),
            after_sequence=self._sequence,
        )
        options: dict[str, Any] = {
            "start_to_close_timeout": policies.CONTROL_PLANE_CALL,
            "retry_policy": policies.CONTROL_PLANE_RETRY,
        }
        if self._begun is None:
            await workflow.execute_activity("end_execution", end, **options)
        else:
            await self._at_home("end_execution", lambda: end, type(None), **options)


def _now() -> str:
    return workflow.now().isoformat()


def _for_the_model(outcome: ToolOutcome) -> str:
    if outcome.unknown:
        return UNKNOWN_OUTCOME
    if outcome.error and outcome.output:
        return f"{outcome.output}\n[{outcome.error}]"
    return outcome.error or outcome.output or "(no output)"


def _timeout_of(error: ActivityError) -> exceptions.TimeoutError | None:
    return error.cause if isinstance(error.cause, exceptions.TimeoutError) else None


def _nobody_home(error: ActivityError) -> bool:
    timeout = _timeout_of(error)
    return timeout is not None and timeout.type == TimeoutType.SCHEDULE_TO_START


def _was_under_way(error: ActivityError) -> bool:
    timeout = _timeout_of(error)
    return timeout is not None and bool(timeout.last_heartbeat_details)


def _failure(error: BaseException) -> ApplicationError:
    """The cause that a person should read, whatever it was wrapped in."""
    cause: BaseException = error
    while isinstance(cause, ActivityError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        return cause
    if isinstance(cause, exceptions.TimeoutError):
        return ApplicationError(
            f"A step of the execution did not end in time: {cause}. It was stopped.", "timeout", type="Timeout"
        )
    return ApplicationError(f"The execution stopped with an internal error: {cause}.", type=type(cause).__name__)
