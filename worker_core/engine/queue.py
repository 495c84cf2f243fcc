"""Puts together what serves one queue, from what the engine has one of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from worker_core.agents.activities.activities import AgentActivities
from worker_core.agents.activities.services import QueueContext, Services
from worker_core.agents.workflows.job_workflow import ScheduledJobWrapperWorkflow
from worker_core.agents.workflows.workflow import (
    AgentExecutionWorkflow,
    DynamicAgentExecutionWorkflow,
    TeamExecutionWorkflow,
)
from worker_core.claude.installation import supported_runtimes
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.control_plane.session import QueueSession, WorkerStatus
from worker_core.engine.serving import Clients, QueueServer, Timing
from worker_core.secrets import Secret
from worker_core.settings.per_queue import of_queue
from worker_core.snapshot import QueueView
from worker_core.temporal.pollers import QueuePlan

if TYPE_CHECKING:
    from worker_core.control_plane.models import StartResponse
    from worker_core.engine.single_execution import SingleExecution
    from worker_core.logs.ring import LogRing
    from worker_core.machine.load import HealthSampler
    from worker_core.model.gateway import ModelGateway
    from worker_core.temporal.admission import AdmissionGate

log = logging.getLogger(__name__)

WORKFLOWS = (
    AgentExecutionWorkflow,
    TeamExecutionWorkflow,
    ScheduledJobWrapperWorkflow,
    DynamicAgentExecutionWorkflow,
)
CALLS_PER_EXECUTION = 2
"""Default activity slots per place for an execution: a few calls may run side by side."""

CALLS_AT_LEAST = 8
CANCEL_AFTER = timedelta(seconds=1)
"""Polling stops when turns have ended, or when what runs is to be cancelled: there is nothing to wait for then."""


class ServedQueue:
    """One queue with its session, its server, its activities and its model gateway."""

    def __init__(
        self,
        services: Services,
        queue_id: str,
        *,
        clients: Clients,
        gate: AdmissionGate,
        single: SingleExecution,
        log_ring: LogRing,
        sampler: HealthSampler,
        timing: Timing,
        status: Callable[[str], WorkerStatus],
        on_change: Callable[[], None],
    ) -> None:
        """Nothing is sent before `start`.

        Args:
            services: of the engine.
            queue_id: the worker queue's UUID.
            clients: make connections to Temporal.
            gate: of the engine; closed, no new execution is taken.
            single: of the engine; knows which execution is the one.
            log_ring: its lines go into full heartbeats.
            sampler: measures the machine for them.
            timing: intervals of the loops.
            status: says what heartbeats tell of a queue.
            on_change: hears that the server's view was replaced.
        """
        self._services = services
        settings = services.settings
        self._limit = of_queue(settings.queue_limits, queue_id)
        self._gate = gate.of(
            queue_id,
            limit=self._limit,
            priority=of_queue(settings.queue_priorities, queue_id) or 0,
        )
        self._gate.set_open(is_open=False)  # until the queue was asked whom it takes
        self._on_change = on_change
        self._single = single
        self._identity = clients.identity
        self._gateway: ModelGateway | None = None
        self.queue_id = queue_id
        self.task: asyncio.Task[None] | None = None
        self.session = QueueSession(
            client=services.client,
            queue_id=queue_id,
            settings=services.in_force,
            bus=services.bus,
            status=lambda: status(queue_id),
            log_ring=log_ring,
            sampler=sampler,
            redactor=services.redactor,
            runtimes=supported_runtimes(),
            on_change=self._heard,
        )
        self.server = QueueServer(
            session=self.session,
            settings=services.settings,
            clients=clients,
            gate=self._gate,
            bus=services.bus,
            plan=self._plan,
            on_change=on_change,
            on_leave=lambda: self._activities.leave(),
            timing=timing,
        )
        self._context = QueueContext(
            queue_id=queue_id,
            home_queue=f"{queue_id}@{services.host_id}",
            name=lambda: self.session.registration.queue_name,
            worker_id=lambda: self.session.registration.worker_id,
            gateway=self.gateway,
            takes=self._takes,
            shares_home=lambda: self.server.shares_home,
            gives_back=single.give_up,
        )
        self._activities = AgentActivities(services, self._context)

    def _heard(self) -> None:
        self._gate.set_open(is_open=self.session.may_take_work)
        self._on_change()

    @property
    def view(self) -> QueueView:
        """As it is now."""
        view = self.server.view
        if view.polling and (unmet := self.session.unmet):
            view = replace(view, polling=False, reason=unmet)
        return replace(
            view,
            last_heartbeat_at=self.session.last_heartbeat_at,
            last_heartbeat_clock=self.session.last_heartbeat_clock,
            credentials_refused=self.server.view.credentials_refused or self.session.credentials_refused,
            trouble=self.server.view.trouble or self.session.trouble,
            config=self.session.config,
            executions_limit=self._limit or 0,
        )

    def start(self) -> None:
        self.task = asyncio.create_task(self.server.run(), name=f"queue {self.queue_id}")

    def gateway(self) -> ModelGateway:
        """The gateway that the settings name, else the registration; made anew when its address or key changes."""
        from worker_core.model.gateway import ModelGateway

        settings, registration = self._services.settings, self.session.registration
        base_url = settings.llm_base_url or registration.litellm_api_url
        key = settings.llm_api_key or registration.litellm_api_key
        if self._gateway is None or not self._gateway.serves(base_url, key):
            self._services.redactor.add(key)
            self._gateway = ModelGateway(
                base_url=base_url,
                api_key=key,
                ca_file=settings.ca_file,
                allow_http=settings.allow_http,
                traced=bool(settings.llm_base_url),
            )
        return self._gateway

    def secrets(self) -> tuple[Secret, ...]:
        """Keys that this queue's registration brought."""
        if not self.session.registered:
            return ()
        registration = self.session.registration
        return (registration.temporal_api_key, registration.litellm_api_key)

    async def remove_if_ephemeral(self, *, limit: timedelta) -> None:
        """Delete a queue that was made for one execution. The server refuses while other workers serve it."""
        if not self.session.registered or not self.session.registration.queue_ephemeral:
            return
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self._services.client.delete_queue(self.queue_id)
        except (ControlPlaneError, TimeoutError) as error:
            log.warning("The ephemeral queue %s could not be deleted: %s", self.queue_id, error or "no answer in time.")
        else:
            log.info("The ephemeral queue %s is deleted.", self.queue_id)

    async def aclose(self) -> None:
        if self._gateway is not None:
            await self._gateway.aclose()

    def _takes(self, execution_id: str) -> bool:
        here = self._services.tracker.runs(execution_id)  # a second attempt
        return (here or self._gate.takes) and self._single.takes(execution_id, activity.info().workflow_id or "")

    def _plan(self, registration: StartResponse) -> QueuePlan:
        services = self._services
        if registration.queue_single_execution:
            self._single.switch_on(f"Queue {registration.queue_name or self.queue_id} asks for it")
        return QueuePlan(
            queue=registration.task_queue_name,
            home_queue=self._context.home_queue,
            identity=self._identity,
            workflows=WORKFLOWS,
            at_the_queue=self._activities.at_the_queue(),
            at_home=self._activities.at_home(),
            activity_slots=services.settings.max_activities
            or max(CALLS_AT_LEAST, CALLS_PER_EXECUTION * services.tracker.limit),
            cancel_after=CANCEL_AFTER,
        )
