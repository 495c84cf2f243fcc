"""The pollers of one queue: workflows and first steps on the shared queue, calls on this machine's home queue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import (
    FixedSizeSlotSupplier,
    PollerBehaviorSimpleMaximum,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerTuner,
)

from worker_core import __version__
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.tasks import TaskKeeper
from worker_core.temporal.admission import AdmissionSlots, QueueGate

log = logging.getLogger(__name__)

STICKY_LIMIT = timedelta(seconds=2)
"""How long a workflow waits for the worker that knows it before any other takes it up."""

HEARTBEAT_THROTTLE = timedelta(milliseconds=800)
"""Heartbeats leave at least so often, which is what makes a cancellation arrive within a second or two."""

CACHED_WORKFLOWS = 200
WORKFLOW_TASK_SLOTS = 20

# Polls of a fixed number sleep as long as the server holds them; the SDK's autoscaling ones wake ten times a second for
# as long as the worker lives (findings/temporal-autoscaling-pollers-tick.sh). A poll brings one task for each round
# trip: 50 ms from Temporal these are 40 steps, 20 new executions and 80 calls a second, of each queue.
WORKFLOW_POLLS = PollerBehaviorSimpleMaximum(3)
"""One at the queue, two at the executions that this worker knows."""

FIRST_STEP_POLLS = PollerBehaviorSimpleMaximum(1)
HOME_POLLS = PollerBehaviorSimpleMaximum(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlan:
    """What a queue's pollers run."""

    queue: str
    home_queue: str
    identity: str
    workflows: Sequence[type]
    at_the_queue: Sequence[Callable[..., Any]]
    at_home: Sequence[Callable[..., Any]]
    activity_slots: int
    cancel_after: timedelta
    """Once stopping has begun: how long running activities may go on before they are cancelled."""


WRONG_DATA = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What Python raises over data that it cannot work with. Raised by workflow code it ends the execution: Temporal would
try the same step for ever. A history that does not fit the code (NondeterminismError) waits for a worker that does."""

BUILD_ID = f"kubiya-worker/{__version__}"
"""What histories say of who worked on them. The SDK's default is a digest of the code of all modules that are imported,
which it reads anew from the disk: 200 ms before the first poll."""

ABANDONED_LIMIT = timedelta(seconds=30)
"""How long pollers that nobody waits for may take to end."""


class QueuePollers:
    """Two SDK workers on one client. Used once: a restart makes a new object (and a new client)."""

    def __init__(self, client: Client, plan: QueuePlan, gate: QueueGate) -> None:
        self.plan = plan
        self.client = client
        self._shared = Worker(
            client,
            task_queue=plan.queue,
            workflows=plan.workflows,
            activities=plan.at_the_queue,
            # Workflow code is small, ours and replay-tested; the sandbox would import it anew for each execution.
            workflow_runner=UnsandboxedWorkflowRunner(),
            workflow_failure_exception_types=WRONG_DATA,
            identity=plan.identity,
            build_id=BUILD_ID,
            max_cached_workflows=CACHED_WORKFLOWS,
            tuner=WorkerTuner.create_composite(
                workflow_supplier=FixedSizeSlotSupplier(WORKFLOW_TASK_SLOTS),
                activity_supplier=AdmissionSlots(gate),
                local_activity_supplier=FixedSizeSlotSupplier(1),
                nexus_supplier=FixedSizeSlotSupplier(1),
            ),
            sticky_queue_schedule_to_start_timeout=STICKY_LIMIT,
            graceful_shutdown_timeout=plan.cancel_after,
            workflow_task_poller_behavior=WORKFLOW_POLLS,
            activity_task_poller_behavior=FIRST_STEP_POLLS,
            # Payloads are stored nowhere else, and for more than one at once the SDK makes a task for each, twice.
            max_workflow_task_external_storage_concurrency=1,
        )
        self._home = Worker(
            client,
            task_queue=plan.home_queue,
            activities=plan.at_home,
            identity=plan.identity,
            build_id=BUILD_ID,
            max_concurrent_activities=plan.activity_slots,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            graceful_shutdown_timeout=plan.cancel_after,
            activity_task_poller_behavior=HOME_POLLS,
        )
        self._running: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        self._running = asyncio.create_task(self._run(), name=f"pollers {self.plan.queue}")

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._shared.run())
            group.create_task(self._home.run())

    @property
    def ended(self) -> bool:
        return self._running is not None and self._running.done()

    async def failed(self) -> BaseException:
        """Wait until polling ends by itself; return why. Never returns after `stop` was called."""
        assert self._running is not None
        await asyncio.wait([self._running])
        if self._stopping or self._running.cancelled():
            await asyncio.Event().wait()
        error = self._running.exception()
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return error or RuntimeError("polling ended without a reason")

    async def stop(self, *, limit: timedelta) -> bool:
        """Stop polling, let running activities end (they are cancelled after the plan's time), and leave.

        Returns:
            False when something did not end within `limit` (the hard limit: an activity that swallows its
            cancellation would hold the SDK for ever).

        """
        self._stopping = True
        if self._running is None or self._running.done():
            return True
        shutting = [
            asyncio.create_task(worker.shutdown()) for worker in (self._shared, self._home) if worker.is_running
        ]
        done, pending = await asyncio.wait([*shutting, self._running], timeout=limit.total_seconds())
        for task in pending:
            task.cancel()
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.debug("While the pollers of %s stopped: %s", self.plan.queue, error)
        return not pending

    def abandon(self) -> None:
        """Begin to stop and wait for nothing: for who leaves at once, and whose process may live on."""
        if not self._stopping and self._running is not None and not self._running.done():
            _abandoned.start(self.stop(limit=ABANDONED_LIMIT), name=f"abandoned {self.plan.queue}")


_abandoned = TaskKeeper()
