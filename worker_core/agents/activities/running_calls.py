"""Calls that go on when the attempt that began them is given up.

A machine that sleeps, or has no network, for longer than Temporal waits for a heartbeat loses its attempt; Temporal
makes another, which comes back to this machine. The program that runs meanwhile knows nothing of it and need not die:
the next attempt takes its outcome. It dies where the call was cancelled, where the worker leaves, where nobody waits
for it any more (the execution was ended), and where no attempt came within the time that an execution waits for its
machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import field
from datetime import timedelta
from typing import Final, Generic, TypeVar

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.tasks import TaskKeeper, retrieved

log = logging.getLogger(__name__)

ASK_AGAIN_SECONDS: Final = 5.0
"""How often is asked whether an attempt is still to come."""

_ASK_LIMIT: Final = timedelta(seconds=5)

_Outcome = TypeVar("_Outcome")


@dataclass(slots=True, kw_only=True)
class _Running(Generic[_Outcome]):
    task: asyncio.Task[_Outcome]
    attempts: int = 0
    """That wait for it now."""

    taken: asyncio.Event = field(default_factory=asyncio.Event)
    """Another attempt came."""


class RunningCalls(Generic[_Outcome]):
    """Those of one queue, on one event loop.

    Args:
        patience: how long a call goes on without an attempt that waits for it; asked when one is given up.
        to_the_end: whoever cancels a call's execution has its outcome all the same; only the worker's leave ends it.
    """

    def __init__(self, *, patience: Callable[[], timedelta], to_the_end: bool = False) -> None:
        self._patience = patience
        self._to_the_end = to_the_end
        self._calls: dict[tuple[str, str], _Running[_Outcome]] = {}
        self._keeper = TaskKeeper()
        self._leaving = False

    async def outcome(
        self, execution_id: str, call_id: str, begin: Callable[[], Coroutine[None, None, _Outcome]]
    ) -> _Outcome:
        """What becomes of a call: of the one that runs already, else of the one that is begun now.

        Args:
            execution_id: whose call it is.
            call_id: its id there.
            begin: makes the call; it is cancelled where the call is to end.

        Raises:
            asyncio.CancelledError: this attempt is over, and so is the call where it was to end.
            Exception: what the call raised.
        """
        key = execution_id, call_id
        running = self._calls.get(key)
        if running is None:
            running = self._begin(key, begin)
        else:
            log.info("A call of %s went on while its worker was away; its outcome counts.", execution_id)
            running.taken.set()
        running.attempts += 1
        try:
            await asyncio.wait([running.task])
        except asyncio.CancelledError:
            running.attempts -= 1
            if not self._leaving and _is_given_up():
                if not running.attempts:
                    running.taken.clear()
                    self._let_wait(key, running, step=activity.info().activity_id)
                raise
            if self._leaving or not self._to_the_end:
                running.task.cancel()
            await _ended(running.task)
        else:
            running.attempts -= 1
        if self._calls.get(key) is running:
            del self._calls[key]
        return running.task.result()

    async def ahead(
        self,
        execution_id: str,
        call_id: str,
        begin: Callable[[], Coroutine[None, None, _Outcome]],
        *,
        within: timedelta,
    ) -> _Outcome | None:
        """Begin a call before the step that it belongs to.

        Args:
            execution_id: whose call it is.
            call_id: as that step names it.
            begin: makes the call.
            within: how long to wait for its outcome.

        Returns:
            What became of it. None: that is not known yet, or it failed, or an earlier attempt began it; its step takes
            it, or makes it again.

        Raises:
            asyncio.CancelledError: this attempt is over; the call goes on for one that takes it.
        """
        key = execution_id, call_id
        if key in self._calls:
            return None
        running = self._begin(key, begin)
        running.attempts = 1
        try:
            try:
                await asyncio.wait([running.task], timeout=within.total_seconds())
            except asyncio.CancelledError:
                if self._leaving or not self._to_the_end or _is_given_up():
                    raise
                done, _ = await asyncio.wait([running.task], timeout=within.total_seconds())
                if not done:
                    raise
        finally:
            running.attempts -= 1
            if running.task.done():
                self._calls.pop(key, None)
            elif self._leaving:
                running.task.cancel()
            else:
                self._let_wait(key, running, step="")  # it is still to come
        task = running.task
        return task.result() if task.done() and not task.cancelled() and task.exception() is None else None

    async def settled(self, execution_id: str) -> None:
        """Return when none of an execution's calls runs here any more."""
        if of_it := [one.task for (whose, _), one in self._calls.items() if whose == execution_id]:
            await asyncio.wait(of_it)

    def leave(self) -> None:
        """The worker leaves: no attempt will come. Those that an attempt waits for end with it."""
        self._leaving = True
        self._keeper.cancel()
        for one in self._calls.values():
            if not one.attempts:
                one.task.cancel()

    def _begin(self, key: tuple[str, str], begin: Callable[[], Coroutine[None, None, _Outcome]]) -> _Running[_Outcome]:
        running = self._calls[key] = _Running(task=asyncio.create_task(begin(), name=f"call {key[1]}"))
        running.task.add_done_callback(retrieved)  # the next attempt asks the journal what became of it
        return running

    def _let_wait(self, key: tuple[str, str], running: _Running[_Outcome], *, step: str) -> None:
        self._keeper.start(self._wait_for_another(key, running, activity.info(), activity.client(), step=step))

    async def _wait_for_another(
        self, key: tuple[str, str], running: _Running[_Outcome], info: activity.Info, client: Client, *, step: str
    ) -> None:
        why = "no attempt came back to it in time"
        try:
            async with asyncio.timeout(self._patience().total_seconds()):
                while await goes_on(client, info, activity_id=step):
                    try:
                        async with asyncio.timeout(ASK_AGAIN_SECONDS):
                            await running.taken.wait()
                    except TimeoutError:
                        continue
                    return
                why = "nobody waits for it any more"
        except TimeoutError:
            pass
        if running.attempts:
            return
        if self._calls.get(key) is running:
            del self._calls[key]
        if not running.task.done():
            log.warning("A call of %s is ended: %s.", info.workflow_id, why)
            running.task.cancel()


def _is_given_up() -> bool:
    """Whether Temporal, or this worker's connection to it, let the attempt go, and nobody asked for the call's end."""
    why = activity.cancellation_details()
    return why is not None and (why.not_found or why.timed_out or why.worker_shutdown) and not why.cancel_requested


async def goes_on(client: Client, info: activity.Info, *, activity_id: str = "") -> bool:
    """Whether an execution goes on, and where one is named, whether an attempt at that step is still to come.

    True where that cannot be learnt: whoever asks has a limit in time, too.
    """
    handle = client.get_workflow_handle(info.workflow_id or "", run_id=info.workflow_run_id)
    try:
        found = await handle.describe(rpc_timeout=_ASK_LIMIT)
    except RPCError as error:
        return error.status is not RPCStatusCode.NOT_FOUND
    return found.status is WorkflowExecutionStatus.RUNNING and (
        not activity_id or any(one.activity_id == activity_id for one in found.raw_description.pending_activities)
    )


async def _ended(task: asyncio.Task[_Outcome]) -> None:
    """Until it is over, however often we are cancelled meanwhile."""
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue
