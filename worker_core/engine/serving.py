"""One queue, served: registered, connected, polled, watched, and connected anew when something breaks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.service import RPCError

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import again, joined, worded
from worker_core.basics.tasks import TaskKeeper
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.events import EventBus, PollingStalled, PollingStarted, QueueRegistered
from worker_core.network.backoff import Backoff
from worker_core.network.outage import OutageLog
from worker_core.secrets import expires_at
from worker_core.snapshot import QueueView, Trouble
from worker_core.temporal.connection import Target, TemporalUnreachable, connect, metrics
from worker_core.temporal.pollers import QueuePlan, QueuePollers

if TYPE_CHECKING:
    from temporalio.client import Client

    from worker_core.control_plane.models import StartResponse
    from worker_core.control_plane.session import QueueSession
    from worker_core.settings import Settings
    from worker_core.temporal.admission import QueueGate

log = logging.getLogger(__name__)

READY_LIMIT = timedelta(seconds=10)
"""How long to wait for the SDK to say that it polls, before it is believed to."""

LOOK_EVERY = timedelta(seconds=20)
"""How often statistics are asked for and polling is checked: with an answer's limit, what is wrong is said in 30 s."""

FIRST_LOOKS = timedelta(seconds=1)
"""Between the first look, at once, and the second; then twice as long each, until the server knows our polls: views
have what waits from the beginning, and soon this worker among those who poll.
"""

STALLED_AFTER = timedelta(seconds=180)
"""Two and a half long polls (60 to 70 s each) without any sign of one."""

SETTLED_AFTER = timedelta(minutes=1)
"""Polling that went well for so long makes the next failure a first one again."""

REFRESH_AHEAD = timedelta(minutes=5)
REFRESH_REST = timedelta(seconds=30)
"""At least so long between two renewals of a key, whatever it says of itself."""

CLOSED_LIMIT = timedelta(seconds=10)
"""How long the one workflow of single-execution mode may take to close behind its last activity."""

CHECK_LIMIT = timedelta(seconds=5)
STOP_MARGIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Intervals, as one value so that tests can be quick."""

    look_every: timedelta = LOOK_EVERY
    stalled_after: timedelta = STALLED_AFTER
    refresh_ahead: timedelta = REFRESH_AHEAD
    refresh_rest: timedelta = REFRESH_REST


class Clients:
    """One Temporal client per target, shared by the queues of a namespace."""

    def __init__(self, *, identity: str, mask: Callable[[str], str]) -> None:
        self.identity = identity
        self._mask = mask
        self._known: dict[Target, Client] = {}
        self._lock = asyncio.Lock()

    async def get(self, target: Target) -> Client:
        """Raises TemporalUnreachable."""
        async with self._lock:
            if target not in self._known:
                self._known[target] = await connect(target, identity=self.identity, mask=self._mask)
            return self._known[target]

    def drop(self, client: Client) -> None:
        """Forget a client: a rebuild on its old channel would stay as dead as it is."""
        self._known = {target: known for target, known in self._known.items() if known is not client}

    def rekey(self, client: Client, target: Target) -> None:
        """Give a live client its next key; the connection and its polls stay. Raises TemporalUnreachable."""
        client.api_key = target.key()
        self._known = {known_target: known for known_target, known in self._known.items() if known is not client}
        self._known[target] = client


class QueueServer:
    """Runs until stopped. The engine starts one per queue."""

    def __init__(
        self,
        *,
        session: QueueSession,
        settings: Settings,
        clients: Clients,
        gate: QueueGate,
        bus: EventBus,
        plan: Callable[[StartResponse], QueuePlan],
        on_change: Callable[[], None],
        on_leave: Callable[[], None],
        timing: Timing | None = None,
    ) -> None:
        """`on_leave`: called before polling stops for good, not where it is begun anew on another connection."""
        self._session = session
        self._settings = settings
        self._clients = clients
        self._gate = gate
        self._bus = bus
        self._plan = plan
        self._on_change = on_change
        self._on_leave = on_leave
        self._timing = timing or Timing()
        self._pollers: QueuePollers | None = None
        self._client: Client | None = None
        self._target: Target | None = None
        self._stalled = asyncio.Event()
        self._woke = asyncio.Event()
        self._renew_now = False
        self._checking = TaskKeeper()
        self._last_sign = time.monotonic()
        self._polled_at: datetime | None = None
        self._polls_answered = 0
        self._polls_refused = 0
        self._outage = OutageLog(log=log, what=f"Queue {session.queue_id}")
        self.shares_home = False
        """Another worker of this machine was seen to poll its home queue."""

        self.view = QueueView(queue_id=session.queue_id, reason=worded("Registering with the control plane."))

    @property
    def client(self) -> Client | None:
        """Of Temporal, once there is one."""
        return self._client

    # --- life ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Register and poll until cancelled.

        Raises:
            KubiyaError: the control plane refused this queue; its sentence says what to do.

        """
        self._show_registration(await self._session.register())
        self._session.start_heartbeats()
        backoff = Backoff()
        while True:
            await self._renew_if_expired()
            await self._connect(self._target_of(self._session.registration), backoff)
            assert self._pollers is not None
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch())
                refreshing = group.create_task(self._refresh())
                ended = group.create_task(self._pollers.failed())
                stalled = group.create_task(self._stalled.wait())
                done, _ = await asyncio.wait([ended, stalled], return_when=asyncio.FIRST_COMPLETED)
                if ended in done:
                    why: str = worded("Polling ended: {why}.", why=str(ended.result()))
                else:
                    why = again(self.view.reason, self.view.said)
                for task in (watching, refreshing, ended, stalled):
                    task.cancel()
            if time.monotonic() - began > SETTLED_AFTER.total_seconds():
                backoff.reset()
            await self._rebuild(why, backoff)

    async def stop(self, *, limit: timedelta) -> bool:
        """Stop polling; see `QueuePollers.stop`."""
        self._on_leave()
        if self._pollers is None:
            return True
        in_time = await self._pollers.stop(limit=limit)
        self._update(polling=False, reason=worded("Polling has stopped."), trouble=None)
        return in_time

    def abandon(self) -> None:
        """Stop polling without waiting for it; see `QueuePollers.abandon`."""
        self._on_leave()
        if self._pollers is not None:
            self._pollers.abandon()

    async def workflow_closed(self, workflow_id: str) -> None:
        """Return when a workflow, and the one that started it, need this worker no more; after a while anyway.

        The last step of a workflow follows behind its last activity, and a queue without workers would never do it.
        """
        if self._client is None:
            return
        from worker_core.temporal.closing import closed

        with contextlib.suppress(RPCError, TimeoutError):
            async with asyncio.timeout(CLOSED_LIMIT.total_seconds()):
                await closed(self._client, workflow_id)

    def refuse(self, sentence: str, *, repair: str = "") -> None:
        """The queue is not served any more; its view says why."""
        self._update(polling=False, reason=sentence, repair=repair, trouble=None)

    def suspect(self, reason: str) -> None:
        """The machine slept or its network changed: check the connection now, and rebuild it if it is dead."""
        self._session.nudge()
        self._woke.set()
        if self._client is not None:
            self._checking.start(self._check(self._client, reason))

    async def _check(self, client: Client, reason: str) -> None:
        try:
            async with asyncio.timeout(2 * CHECK_LIMIT.total_seconds()):
                await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=CHECK_LIMIT)
        except (RPCError, TimeoutError) as error:
            if client is self._client:
                self._stall(joined(reason, worded("Temporal does not answer ({kind}).", kind=type(error).__name__)))

    # --- connecting ---------------------------------------------------------------------------------------

    def _target_of(self, registration: StartResponse) -> Target:
        return Target(
            host=registration.temporal_host,
            namespace=registration.temporal_namespace,
            api_key=registration.temporal_api_key,
            tls=self._settings.temporal_tls,
            ca_file=self._settings.ca_file,
        )

    async def _connect(self, target: Target, backoff: Backoff) -> None:
        outage = OutageLog(log=log, what=f"Queue {self._name}")
        while True:
            try:
                self._client = await self._clients.get(target)
                break
            except TemporalUnreachable as error:
                if self._settings.fail_fast:
                    raise
                seconds = backoff.next_delay().total_seconds()
                self._update(
                    polling=False,
                    credentials_refused=error.refuses_key,
                    reason=joined(error.said, worded("Trying again in {n} s.", n=round(seconds))),
                    trouble=Trouble(
                        what="temporal",
                        sentence=error.said,
                        since=datetime.now(UTC),
                        next_try_at=datetime.now(UTC) + timedelta(seconds=seconds),
                    ).after(self.view.trouble),
                )
                outage.failed(error.sentence, retry_in_seconds=seconds)
                await self._sleep(seconds)
        outage.recovered()
        self._target = target
        self._stalled.clear()
        self._pollers = QueuePollers(self._client, self._plan(self._session.registration), self._gate)
        self._pollers.start()
        self._last_sign = time.monotonic()
        telemetry, queue = metrics().telemetry, self.view.queue_id  # of the process: others may have polled before
        self._polls_answered, self._polls_refused = telemetry.polls_answered(queue), telemetry.polls_refused(queue)
        if not await self._wait_for_polls():
            return
        registration = self._session.registration
        self._update(
            polling=True,
            credentials_refused=False,
            reason=worded("Polling."),
            trouble=None,
            last_poll_at=datetime.now(UTC),
            last_poll_clock=time.monotonic(),
        )
        self._bus.publish(
            PollingStarted(
                queue_id=self.view.queue_id, queue_name=registration.queue_name, worker_id=registration.worker_id
            )
        )

    async def _wait_for_polls(self) -> bool:
        """Until the SDK reports a poller, or is believed after a while. False: polling ended."""
        counters = metrics()
        deadline = time.monotonic() + READY_LIMIT.total_seconds()
        assert self._pollers is not None
        while not self._pollers.ended:
            counters.drain()
            if counters.broken or counters.is_polling(self.view.queue_id) or time.monotonic() > deadline:
                return True
            await asyncio.sleep(0.01)
        return False

    async def _rebuild(self, why: str, backoff: Backoff) -> None:
        """Leave the broken pollers and the client they ran on."""
        seconds = backoff.next_delay().total_seconds()
        log.warning("Queue %s: %s Connecting anew in %.1f s.", self._name, why, seconds)
        self._update(polling=False, reason=joined(why, worded("Connecting anew.")))
        if self._pollers is not None:
            await self._pollers.stop(limit=STOP_MARGIN)
        if self._client is not None:
            self._clients.drop(self._client)
        await self._sleep(seconds)

    async def _sleep(self, seconds: float | None) -> None:
        """Wait, until the machine woke up or its network changed at the latest. None: for that alone."""
        self._woke.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woke.wait()

    # --- watching -----------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Statistics for the views, and proof that polling goes on: the server's word, or the SDK's counters."""
        soon = FIRST_LOOKS
        while True:
            await self.look()
            every = self._timing.look_every
            await asyncio.sleep((every if self._polled_at is not None else min(soon, every)).total_seconds())
            soon = min(soon * 2, every)

    async def look(self) -> None:
        from worker_core.temporal.statistics import TemporalSilent, describe

        assert self._client is not None
        assert self._pollers is not None
        metrics().drain()
        plan = self._pollers.plan
        try:
            described = await describe(
                self._client, self.view.queue_id, home_queue=plan.home_queue, identity=plan.identity
            )
        except TemporalSilent:
            described = None
            self._silent()
        else:
            self._answers()
        telemetry, queue = metrics().telemetry, self.view.queue_id
        answered, refused = telemetry.polls_answered(queue), telemetry.polls_refused(queue)
        seen = answered > self._polls_answered
        self._judged(refused=refused > self._polls_refused, answered=seen)
        self._polls_answered, self._polls_refused = answered, refused
        if described is not None:
            if described.polled_at is not None and described.polled_at != self._polled_at:
                self._polled_at, seen = described.polled_at, True
            self._update(statistics=described.statistics)
            self.shares_home = described.shares_home
        now = time.monotonic()
        if seen:
            self._last_sign = now
            self._update(last_poll_at=datetime.now(UTC), last_poll_clock=now)
        elif now - self._last_sign > self._timing.stalled_after.total_seconds():
            self._stall(worded("There has been no sign of polling for {n} s.", n=round(now - self._last_sign)))

    def _silent(self) -> None:
        """Polls go on by themselves when it is back; until then nothing comes, which is said."""
        sentence = worded("Temporal does not answer.")
        self._outage.failed(sentence, retry_in_seconds=self._timing.look_every.total_seconds())
        trouble = Trouble(what="temporal_silent", sentence=sentence, since=datetime.now(UTC))
        self._update(trouble=trouble.after(self.view.trouble))

    def _answers(self) -> None:
        self._outage.recovered()
        if self.view.trouble is not None:
            self._update(trouble=None)

    def _judged(self, *, refused: bool, answered: bool) -> None:
        """Temporal lets polls go on for a minute with a key that it refuses: time to get a new one."""
        if refused:
            log.error("Queue %s: Temporal refuses the key. The control plane is asked for another.", self._name)
            self._update(credentials_refused=True)
            self._renew_now = True
            self._woke.set()
        elif answered and self.view.credentials_refused:
            self._update(credentials_refused=False)

    def _stall(self, sentence: str) -> None:
        self._update(reason=sentence)
        self._bus.publish(PollingStalled(queue_id=self.view.queue_id, sentence=sentence))
        self._stalled.set()

    async def _refresh(self) -> None:
        """Register again before the Temporal key expires or when it is refused; the connection gets the new one."""
        while True:
            await self._until_due()
            self._renew_now = False
            expiry = self._expiry()
            try:
                await self._renew()
            except ControlPlaneError as error:
                if expiry is not None and self._session.server_now() >= expiry:
                    raise
                # The polls go on with the old key as long as it lasts; somebody may put things right meanwhile.
                log.error("Queue %s: Temporal's key could not be renewed. %s", self._name, error.sentence)
                await asyncio.sleep(self._timing.refresh_rest.total_seconds())
                continue
            target = self._target_of(self._session.registration)
            assert self._client is not None
            assert self._target is not None
            if (target.host, target.namespace) != (self._target.host, self._target.namespace):
                self._stall(worded("The control plane moved this queue to another Temporal."))
                return
            try:
                self._clients.rekey(self._client, target)
            except TemporalUnreachable as error:
                log.error("Queue %s: Temporal's key could not be renewed. %s", self._name, error.sentence)
                await asyncio.sleep(self._timing.refresh_rest.total_seconds())
                continue
            self._target = target
            log.info("Queue %s: Temporal's key was renewed.", self._name)
            await asyncio.sleep(self._timing.refresh_rest.total_seconds())

    async def _until_due(self) -> None:
        """Until the key is to be renewed; one that lives shorter than the margin, at half of its life."""
        expiry, now = self._expiry(), self._session.server_now()
        if expiry is not None:
            due = expiry - min(self._timing.refresh_ahead, max((expiry - now) / 2, timedelta(0)))
        while not self._renew_now:
            # A machine that slept has slept through a part of it.
            left = None if expiry is None else (due - self._session.server_now()).total_seconds()
            if left is not None and left <= 0:
                return
            await self._sleep(left)

    async def _renew(self) -> None:
        self._show_registration(await self._session.refresh())

    async def _renew_if_expired(self) -> None:
        expiry = self._expiry()
        if expiry is not None and self._session.server_now() >= expiry:
            await self._renew()

    def _expiry(self) -> datetime | None:
        return expires_at(self._session.registration.temporal_api_key)

    # --- view ---------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return self.view.queue_name or self.view.queue_id

    def _show_registration(self, registration: StartResponse) -> None:
        self._update(
            queue_name=registration.queue_name,
            environment_name=registration.environment_name,
            worker_id=registration.worker_id,
            organization_id=registration.organization_id,
            temporal_namespace=registration.temporal_namespace,
            reason=worded("Registered; connecting to Temporal."),
        )
        self._bus.publish(
            QueueRegistered(
                queue_id=self.view.queue_id, queue_name=registration.queue_name, worker_id=registration.worker_id
            )
        )

    def _update(self, **changes: object) -> None:
        self.view = replace(self.view, **changes)  # type: ignore[arg-type]
        self._on_change()
