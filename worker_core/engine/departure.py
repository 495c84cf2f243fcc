"""How a worker leaves: it drains, cancels, or goes at once; a stronger wish overtakes a weaker one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

from worker_core.agents.activities.tracker import ExecutionTracker
from worker_core.basics.sentences import worded
from worker_core.control_plane.session import QueueSession
from worker_core.engine.serving import STOP_MARGIN, QueueServer
from worker_core.errors import ExitCode, KubiyaError
from worker_core.snapshot import StopMode

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 2.0
"""While turns are waited for: whether they go on here."""


class StopWish:
    """The strongest wish so far. Belongs to one event loop."""

    def __init__(self) -> None:
        self.mode: StopMode | None = None
        self._raised = asyncio.Event()

    def raise_to(self, mode: StopMode) -> None:
        """A weaker wish behind a stronger one changes nothing."""
        if self.mode is None or mode > self.mode:
            self.mode = mode
            raised, self._raised = self._raised, asyncio.Event()
            raised.set()

    async def reaches(self, mode: StopMode) -> None:
        """Return when the wish is `mode` or stronger."""
        while self.mode is None or self.mode < mode:
            await self._raised.wait()


async def before_stop(
    work: Coroutine[Any, Any, None], wish: StopWish, *, mode: StopMode = StopMode.DRAIN
) -> KubiyaError | None:
    """Wait for `work`, unless somebody wants the worker to leave: then it is cancelled. Returns what it raised."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(wish.reaches(mode))
    await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    working.cancel()
    try:
        await working
    except KubiyaError as error:
        return error
    except asyncio.CancelledError:
        pass
    return None


class Departure:
    """One leave-taking: running turns end or are cancelled, then polling stops."""

    def __init__(
        self,
        *,
        wish: StopWish,
        tracker: ExecutionTracker,
        tracker_changed: asyncio.Event,
        servers: Sequence[QueueServer],
        drain_timeout: timedelta,
        say: Callable[[str], None],
        look: Callable[[], Awaitable[object]],
    ) -> None:
        """`look` forgets executions that do not go on here; `say` shows a sentence about what is being waited for;
        `tracker_changed` is set at each change.
        """
        self._wish = wish
        self._tracker = tracker
        self._tracker_changed = tracker_changed
        self._servers = servers
        self._drain_timeout = drain_timeout
        self._say = say
        self._look = look

    async def run(self) -> ExitCode:
        """Returns OK where all work was finished, CANCELLED_WORK or LEFT_AT_ONCE where it was not."""
        drained = False
        if self._wish.mode is StopMode.DRAIN:
            drained = await self._turns_end()
            if not drained and self._wish.mode is StopMode.DRAIN:
                log.warning("Turns still run after %s; they are cancelled.", self._drain_timeout)
        if self._wish.mode is StopMode.NOW:
            for server in self._servers:
                server.abandon()
            return ExitCode.LEFT_AT_ONCE
        cancelled = not drained and self._tracker.busy_steps > 0
        if cancelled:
            self._say(worded("Stopping: running calls are being cancelled."))
        if not await self._stop_polling():
            return ExitCode.LEFT_AT_ONCE
        return ExitCode.CANCELLED_WORK if cancelled else ExitCode.OK

    async def _turns_end(self) -> bool:
        """Wait until no execution is in mid-turn. False: time is up, or a stronger wish came."""
        stronger = asyncio.create_task(self._wish.reaches(StopMode.CANCEL))
        try:
            async with asyncio.timeout(self._drain_timeout.total_seconds()):
                while self._tracker.running and not stronger.done():
                    self._say(drain_reason(self._tracker.running))
                    self._tracker_changed.clear()
                    changed = asyncio.create_task(self._tracker_changed.wait())
                    await asyncio.wait(
                        [changed, stronger], return_when=asyncio.FIRST_COMPLETED, timeout=LOOK_EVERY_SECONDS
                    )
                    if not changed.done():
                        changed.cancel()
                        await self._look()
        except TimeoutError:
            return False
        finally:
            stronger.cancel()
        return not self._tracker.running

    async def _stop_polling(self) -> bool:
        """False: somebody would not wait any longer."""
        stopping = asyncio.create_task(self._stop_servers())
        leaving = asyncio.create_task(self._wish.reaches(StopMode.NOW))
        await asyncio.wait([stopping, leaving], return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not stopping.done():
            stopping.cancel()
            return False
        stopping.result()
        return True

    async def _stop_servers(self) -> None:
        in_time = await asyncio.gather(*(server.stop(limit=2 * STOP_MARGIN) for server in self._servers))
        if not all(in_time):
            log.error("A call did not end after it was cancelled; it is left behind.")


async def sign_off(
    sessions: Sequence[QueueSession], code: ExitCode, failure: KubiyaError | None, *, limit: timedelta
) -> None:
    """Tell the control plane about all queues, side by side; what takes longer than `limit` is given up."""
    reason, message = ("shutdown", None) if failure is None else ("error", failure.sentence)
    leaving = [
        asyncio.create_task(one.leave(reason=reason, exit_code=int(code), error_message=message), name="sign-off")
        for one in sessions
    ]
    _, late = await asyncio.wait(leaving, timeout=limit.total_seconds())
    for task in late:
        task.cancel()


def drain_reason(running: int) -> str:
    """What a drain waits for, as a sentence."""
    if not running:
        return worded("Stopping: nothing is running.")
    if running == 1:
        return worded("Stopping: waiting for 1 running turn.")
    return worded("Stopping: waiting for {n} running turns.", n=running)


def farewell(code: ExitCode) -> str:
    """How a worker says that it has left."""
    match code:
        case ExitCode.CANCELLED_WORK:
            return worded("Stopped; running calls were cancelled.")
        case ExitCode.LEFT_AT_ONCE:
            return worded("Left at once; what was running is taken up by the next worker.")
        case _:
            return worded("Stopped.")


def failure_of(task: asyncio.Task[None]) -> KubiyaError:
    """What ended a queue's loop, as a sentence; one that nobody foresaw goes to the log whole."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, KubiyaError):
        return error
    if error is not None:
        log.error("A queue loop failed.", exc_info=error)
    return KubiyaError(worded("Serving the queue stopped on an internal error: {kind}.", kind=type(error).__name__))
