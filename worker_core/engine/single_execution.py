"""Single-execution mode: a worker that leaves after one execution, as CI jobs and ephemeral queues want it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from worker_core.basics.sentences import Worded, worded
from worker_core.errors import ExitCode
from worker_core.events import Event, EventBus, ExecutionFinished, ExecutionStarted, ExecutionWaiting

log = logging.getLogger(__name__)


class SingleExecution:
    """Lets one execution in, and asks the worker to leave behind it. Does nothing until it is switched on.

    Args:
        wait: how long it may wait for its execution, or for that execution's user.
        bus: of the engine; on its event loop.
        closed: returns when a workflow (and the job that started it) needs this worker no more.
        leave: asks the worker to leave.

    """

    def __init__(
        self,
        *,
        wait: timedelta,
        bus: EventBus,
        closed: Callable[[str], Awaitable[None]],
        leave: Callable[[], None],
    ) -> None:
        self._wait = wait
        self._bus = bus
        self._closed = closed
        self._leave = leave
        self._claimed: tuple[str, str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._unlisten: Callable[[], None] = lambda: None
        self.on = False
        self.exit_code = ExitCode.OK
        self.farewell = ""

    def switch_on(self, why: str) -> None:
        """From now on one execution is taken. The second time does nothing."""
        if self.on:
            return
        self.on = True
        log.info("%s: this worker leaves after one execution.", why)
        self._unlisten = self._bus.listen(self._heard, only=(ExecutionStarted, ExecutionWaiting, ExecutionFinished))
        self._await_work()

    @property
    def done(self) -> bool:
        """Its one execution has ended."""
        return self._leaving is not None

    def takes(self, execution_id: str, workflow_id: str) -> bool:
        """Whether this execution may begin here; the first one that asks is the one."""
        if not self.on:
            return True
        if self._claimed is None:
            self._claimed = (execution_id, workflow_id)
        return self._claimed[0] == execution_id

    def give_up(self, execution_id: str) -> None:
        """It did not begin here after all: another one may."""
        if self._claimed is not None and self._claimed[0] == execution_id:
            self._claimed = None

    def close(self) -> None:
        self._unlisten()
        self._rest()
        if self._leaving is not None:
            self._leaving.cancel()

    def _heard(self, event: Event) -> None:
        if isinstance(event, ExecutionStarted):
            self._rest()
        elif isinstance(event, ExecutionWaiting):
            self._await_work()
        elif isinstance(event, ExecutionFinished) and self._claimed is not None and self._leaving is None:
            execution_id, workflow_id = self._claimed
            if event.execution_id == execution_id:
                self._rest()
                self._leaving = asyncio.create_task(self._leave_behind(event, workflow_id), name="single execution")

    def _await_work(self) -> None:
        self._rest()
        self._timer = asyncio.get_running_loop().call_later(self._wait.total_seconds(), self._nobody_came)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _nobody_came(self) -> None:
        minutes = self._wait.total_seconds() / 60
        self.exit_code = ExitCode.NO_EXECUTION
        if self._claimed is None:
            self.farewell = worded("Stopped: no execution came within {minutes} min.", minutes=minutes)
        else:
            self.farewell = worded(
                "Stopped: nobody answered execution {id} within {minutes} min.", id=self._claimed[0], minutes=minutes
            )
        log.warning("%s", self.farewell)
        self._leave()

    async def _leave_behind(self, event: ExecutionFinished, workflow_id: str) -> None:
        self.exit_code = ExitCode.OK if event.status == "completed" else ExitCode.EXECUTION_FAILED
        self.farewell = _farewell(event.execution_id, event.status)
        await self._closed(workflow_id)
        self._leave()


def _farewell(execution_id: str, status: str) -> Worded:
    match status:
        case "completed":
            return worded("Stopped: execution {id} completed.", id=execution_id)
        case "failed":
            return worded("Stopped: execution {id} failed.", id=execution_id)
        case "cancelled":
            return worded("Stopped: execution {id} cancelled.", id=execution_id)
        case _:
            return worded("Stopped: execution {id} {status}.", id=execution_id, status=status)
