"""Workflow code: calls on the machine that holds the workspace, and the move when that machine is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import exceptions, workflow
from temporalio.exceptions import ActivityError, TimeoutType

from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.messages import Begin, Begun, Message
from worker_core.agents.workflows import retries
from worker_core.agents.workflows.progress import First, Progress

_Result = TypeVar("_Result")

_TURNS_OF_THE_LOOP = 20
"""What has come passes through a few tasks, each in a turn of its own."""

HOME_LOST_NOTE = (
    "[The machine that held this execution's workspace is gone. A fresh, empty workspace on another machine is in "
    "use now: files made earlier in this conversation are not there.]"
)


class Home:
    """One execution's home machine."""

    def __init__(self, execution: ExecutionInput, progress: Progress, *, turns_end: bool = True) -> None:
        self._turns_end = turns_end
        self._execution = execution
        self._progress = progress

    async def find(self, *, lost: bool = False) -> Begun:
        """Begin on whichever machine answers first on the shared queue."""
        ahead = not lost and not self._progress.paused
        beginning = workflow.start_activity(
            "begin_execution",
            Begin(
                input=self._execution,
                home_lost=lost,
                after_sequence=self._progress.sequence,
                asks_ahead=ahead,
                began_at=now() if ahead and self._turns_end else "",
            ),
            result_type=Begun,
            start_to_close_timeout=retries.BEGIN,
            heartbeat_timeout=retries.HEARTBEAT,
            retry_policy=retries.CONTROL_PLANE_RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        try:
            return self._settle(await asyncio.shield(beginning))
        except asyncio.CancelledError:
            # A worker that has begun counts on an end: its answer is worth a moment, and is lost by cancelling.
            await workflow.wait([beginning], timeout=retries.LAST_ANSWER.total_seconds())
            if beginning.done() and not beginning.cancelled() and beginning.exception() is None:
                self._settle(beginning.result())
            else:
                beginning.cancel()
            raise

    def _settle(self, begun: Begun) -> Begun:
        if begun.asked_by or begun.answer is not None:
            self._progress.first = First(answer=begun.answer, asked_by=begun.asked_by)
            self._progress.ahead = begun.decision
        # The rest is used now: what is kept travels again where the workflow continues as new.
        self._progress.begun = replace(begun, asked_by="", answer=None, decision=None, earlier=())
        self._progress.heard(begun.last_sequence)
        return begun

    async def call(
        self,
        activity: str,
        argument: Callable[[], Any],
        result_type: type[_Result],
        *,
        told: Callable[[Sequence[Any]], _Result | None] | None = None,
        **options: Any,
    ) -> _Result:
        """Run an activity at home; find a new home when nobody takes it there in time.

        Args:
            activity: its name.
            argument: a function: after a change of home the call is built anew.
            result_type: of its result.
            told: reads the result in the last heartbeat of a machine that is lost, so that nothing is done twice.
            options: of Temporal's.
        """
        while True:
            home = self._progress.home
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
                if activity == "run_tool" and _last_words(error):
                    raise
                if told is not None and (had := told(_last_words(error))) is not None:
                    return had
            else:
                return result

    async def report(
        self,
        activity: str,
        argument: Callable[[], Any],
        result_type: type[_Result],
        *,
        limit: timedelta = retries.CONTROL_PLANE_CALL,
    ) -> _Result:
        """Run one that talks to the control plane alone, `limit` at most each time, for as long as that is away.

        That may take its time to answer: a worker that dies meanwhile is noticed by its heartbeats.
        """
        return await self.call(
            activity,
            argument,
            result_type,
            start_to_close_timeout=limit,
            heartbeat_timeout=timedelta(seconds=self._progress.home.timeouts.heartbeat),
            retry_policy=retries.CONTROL_PLANE_RETRY,
        )

    async def begin_anew(self) -> None:
        """For an execution that had ended, and goes on all the same: a message came meanwhile."""
        await self._move(self._progress.home)

    async def _move(self, lost: Begun) -> None:
        if self._progress.begun is not lost:
            return  # a call beside this one has moved already
        begun = await self.find(lost=True)
        if begun.host_id != lost.host_id:
            self._progress.say(
                Message(
                    role="system",
                    content=HOME_LOST_NOTE,
                    timestamp=now(),
                    message_id=f"{self._execution.execution_id}_home_{workflow.info().get_current_history_length()}",
                )
            )


async def whole(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What it returns, also where the execution is cancelled in the very moment in which it ends: the SDK raises then,
    and what had come would be lost. Whoever calls looks behind it (`stop_if_cancelled`).
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        for _ in range(_TURNS_OF_THE_LOOP):
            await asyncio.create_task(_nothing())
        if not task.done():
            task.cancel()
        return await task


async def _nothing() -> None:
    return None


def stop_if_cancelled() -> None:
    """Raise what a call swallowed that ended by itself while its cancellation was on the way."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def now() -> str:
    return workflow.now().isoformat()


def _timeout_of(error: ActivityError) -> exceptions.TimeoutError | None:
    return error.cause if isinstance(error.cause, exceptions.TimeoutError) else None


def _nobody_home(error: ActivityError) -> bool:
    timeout = _timeout_of(error)
    return timeout is not None and timeout.type == TimeoutType.SCHEDULE_TO_START


def _last_words(error: ActivityError) -> Sequence[Any]:
    """Of the attempt that a machine was lost with; empty where none was under way."""
    timeout = _timeout_of(error)
    return timeout.last_heartbeat_details if timeout is not None else ()
