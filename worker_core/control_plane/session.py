"""One worker on one queue, as the control plane sees it: registered, alive, gone.

Sections are those of the protocol's description.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from worker_core import __version__
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.basics.tasks import TaskKeeper
from worker_core.control_plane.errors import ControlPlaneError, CredentialsRefused, QueueNotFound
from worker_core.control_plane.models import Disconnect, Heartbeat, Start, StartResponse
from worker_core.control_plane.queue_config import QueueConfigWatch
from worker_core.control_plane.system_info import system_info
from worker_core.events import HeartbeatFailed, HeartbeatSent, RegistrationRetried
from worker_core.network.backoff import Backoff, spread
from worker_core.network.outage import OutageLog
from worker_core.snapshot import QueueConfigView, Trouble

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.events import EventBus
    from worker_core.logs.redaction import Redactor
    from worker_core.logs.ring import LogRing
    from worker_core.machine.load import HealthSampler
    from worker_core.settings import SettingsInForce

log = logging.getLogger(__name__)

DEFAULT_INTERVAL = timedelta(seconds=30)
LONGEST_INTERVAL = timedelta(seconds=60)
"""A worker counts as active for 150 s after a heartbeat (3.3): two may be lost."""

FULL_EVERY = timedelta(minutes=5)
HEARTBEAT_LIMIT = timedelta(seconds=10)
LAST_HEARTBEAT_LIMIT = timedelta(seconds=3)
LOG_LINES = 100
"""Lines in a full heartbeat. The server keeps the last 100 (3.1): more would be sent to be thrown away."""

ERROR_LIMIT = 2000
"""Characters of an error message in a sign-off (4.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """What a heartbeat says. `status` is `active`, `idle` or `busy`."""

    status: str
    tasks_processed: int
    current_task_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class QueueSession:
    """Made once per queue; a renewed registration gives it another worker id."""

    def __init__(
        self,
        *,
        client: ControlPlaneClient,
        queue_id: str,
        settings: SettingsInForce,
        bus: EventBus,
        status: Callable[[], WorkerStatus],
        log_ring: LogRing,
        sampler: HealthSampler,
        redactor: Redactor,
        runtimes: tuple[str, ...] = ("default",),
        backoff: Backoff | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is sent before `register`.

        Args:
            client: of the control plane; shared by all sessions.
            queue_id: the worker queue's UUID.
            settings: `heartbeat_interval` and `fail_fast` are read.
            bus: hears HeartbeatSent, HeartbeatFailed and RegistrationRetried.
            status: asked before each heartbeat.
            log_ring: its new lines go into full heartbeats, and stay there until one was accepted.
            sampler: measures the machine for full heartbeats.
            redactor: learns the keys that a registration brings before anybody can use them.
            runtimes: that executions may ask for here, by the protocol's ids (9.2).
            backoff: between tries to register; 1 s to 60 s by default.
            on_change: hears that `credentials_refused`, `trouble` or `config` changed.
        """
        self.queue_id = queue_id
        self.last_heartbeat_at: datetime | None = None
        self.last_heartbeat_clock: float | None = None
        """Then, by `time.monotonic`."""

        self.credentials_refused = False
        """As of the last time that the control plane judged the key."""

        self.trouble: Trouble | None = None
        """Since the control plane does not take what is sent to it; None: it does."""

        self._client = client
        self._in_force = settings
        self._bus = bus
        self._status = status
        self._config = QueueConfigWatch(client=client, queue_id=queue_id, on_change=on_change)
        self._looking = TaskKeeper()
        self._has_looked = False
        self._ring = log_ring
        self._log_cursor = 0
        self._sampler = sampler
        self._redactor = redactor
        self._runtimes = runtimes
        self._backoff = backoff or Backoff()
        self._on_change = on_change
        self._registration: StartResponse | None = None
        self._asked = asyncio.Event()
        self._full_asked = True
        self._nudged = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None
        self._leaving = False
        self._left = False

    # --- registration -------------------------------------------------------------------------------------

    @property
    def registered(self) -> bool:
        return self._registration is not None

    @property
    def registration(self) -> StartResponse:
        """What the control plane answered last. Only after `register`."""
        assert self._registration is not None, "register() comes first"
        return self._registration

    async def register(self) -> StartResponse:
        """Register; network errors and 5xx are tried again for ever (2.1).

        Raises:
            ControlPlaneError: nothing would change by itself, or `fail_fast` is set; the sentence says what to do.
        """
        try:
            uuid.UUID(self.queue_id)
        except ValueError:  # the server answers 500 to these (2.1), which would be tried for ever
            raise QueueNotFound(
                worded(
                    "{id} is not a queue id: it must look like 01234567-89ab-cdef-0123-456789abcdef.",
                    id=repr(self.queue_id),
                )
            ).with_repair("`kubiya-worker queues` lists the queues that your key can use.") from None
        start = Start(
            worker_sdk_version=__version__,
            system_info=system_info(runtimes=self._runtimes),
            control_plane_url=self._client.base_url,
        )
        outage = OutageLog(log=log, what=f"Registration on queue {self.queue_id}")
        self._backoff.reset()
        while True:
            try:
                registration = await self._client.start_queue(self.queue_id, start)
                break
            except ControlPlaneError as error:
                self._answered(error)
                if not error.retryable or self._in_force.current.fail_fast:
                    raise
                delay = self._backoff.next_delay(retry_after_seconds=error.retry_after_seconds)
                self._failed(error.said, next_try=delay)
                outage.failed(error.sentence, retry_in_seconds=delay.total_seconds())
                self._bus.publish(
                    RegistrationRetried(
                        queue_id=self.queue_id,
                        sentence=error.sentence,
                        attempt=self._backoff.attempts,
                        retry_in_seconds=delay.total_seconds(),
                    )
                )
                self._nudged.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay.total_seconds()):
                        await self._nudged.wait()
        outage.recovered()
        self._answered()
        self._works()
        for secret in (
            registration.temporal_api_key,
            registration.litellm_api_key,
            registration.redis_password,
            registration.redis_url,
            *registration.nats_config.values(),
        ):
            self._redactor.add(secret)
        self._registration = registration
        return registration

    async def refresh(self) -> StartResponse:
        """Register again, for fresh credentials (2.4), and sign the old worker id off.

        Raises:
            ControlPlaneError: as `register`; the old registration stays.
        """
        old = self.registration.worker_id
        fresh = await self.register()
        self.beat_now(full=True)  # the new id is invisible before its first heartbeat (2.1)
        await self._sign_off(old, Disconnect(reason="credentials renewed", exit_code=0))
        return fresh

    def server_now(self) -> datetime:
        """The control plane's clock, which is the one that the keys it gives are timed by."""
        return self._client.server_time or datetime.now(UTC)

    def nudge(self) -> None:
        """Try to register at once: the network changed, or the machine woke up."""
        self._backoff.reset()
        self._nudged.set()

    # --- heartbeats ---------------------------------------------------------------------------------------

    @property
    def interval(self) -> timedelta:
        """Between two heartbeats: what the user said, else the server, else 30 s; 60 s at most."""
        said = timedelta(seconds=self._config.heartbeat_seconds or self.registration.heartbeat_interval)
        wished = self._in_force.current.heartbeat_interval or (said if said > timedelta(0) else DEFAULT_INTERVAL)
        return min(wished, LONGEST_INTERVAL)

    @property
    def config(self) -> QueueConfigView:
        """What the control plane has set for the queue, as far as it is known."""
        if self._registration is None:
            return QueueConfigView()
        return QueueConfigView(
            version=self._config.version,
            recommended_worker=self._config.recommended_worker,
            max_workers=self._config.max_workers,
            heartbeat_seconds=self.interval.total_seconds(),
            model_gateway=self._registration.litellm_api_url,
            has_model_key=bool(self._registration.litellm_api_key),
            remarks=self._config.remarks,
        )

    @property
    def may_take_work(self) -> bool:
        """Whether the queue takes this worker, as far as it can be asked; False until it was."""
        return self._has_looked and not self.unmet

    @property
    def unmet(self) -> str:
        """What the queue asks of its workers and this one has not, as a sentence; empty: nothing."""
        if self._config.asked_labels is None:
            return ""
        from worker_core.control_plane.placement import unmet  # by few queues

        return unmet(self._config.asked_labels, self._labels().get("labels", {}))

    async def _look(self) -> None:
        """What is set for the queue now; where it asks for labels, what this machine can say of itself comes first."""
        try:
            await self._config.look()
            learning = self._sampler.learn_gpus()
            if self._config.asked_labels and not self._has_looked:
                await learning
            else:
                self._looking.start(learning)
        finally:
            self._has_looked = True
            self._on_change()

    def start_heartbeats(self) -> None:
        """Begin, with a full one at once."""
        if self._beating is None:
            self._looking.start(self._look())
            self._beating = asyncio.create_task(self._beat(), name=f"heartbeats {self.queue_id}")

    def beat_now(self, *, full: bool = False) -> None:
        """Send one now: something changed that the control plane should see."""
        self._full_asked |= full
        self._asked.set()

    async def _beat(self) -> None:
        outage = OutageLog(log=log, what=f"Heartbeats of queue {self.registration.queue_name or self.queue_id}")
        full_at = time.monotonic()
        while not self._leaving:
            self._asked.clear()
            full = self._full_asked or time.monotonic() >= full_at
            self._full_asked = False
            error = await self._send_heartbeat(full=full)
            interval = self.interval.total_seconds()
            if error is not None:
                self._full_asked |= full
                outage.failed(error, retry_in_seconds=interval)
                self._failed(error, next_try=self.interval)
                self._bus.publish(HeartbeatFailed(queue_id=self.queue_id, sentence=error))
            else:
                outage.recovered()
                self._works()
                if full:
                    full_at = time.monotonic() + spread(FULL_EVERY).total_seconds()
                    if self.last_heartbeat_at is not None:  # a look was begun with the first one
                        self._looking.start(self._look())
                self.last_heartbeat_at, self.last_heartbeat_clock = datetime.now(UTC), time.monotonic()
                worker_id = self.registration.worker_id
                self._bus.publish(HeartbeatSent(queue_id=self.queue_id, worker_id=worker_id, full=full))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(spread(self.interval).total_seconds()):
                    await self._asked.wait()

    def _labels(self) -> dict[str, dict[str, str]]:
        """Those of the settings, and before them what is known of the machine's GPUs."""
        own = {name: value for name, _, value in (one.partition("=") for one in self._in_force.current.labels)}
        labels = {**self._sampler.gpu_labels, **own}
        return {"labels": labels} if labels else {}

    async def _send_heartbeat(self, *, full: bool) -> str | None:
        """Returns why it failed, as a sentence, or None."""
        now = self._status()
        info, lines, cursor = None, None, self._log_cursor
        if full:
            sample = None
            with contextlib.suppress(Exception):  # what psutil cannot tell is left out
                async with asyncio.timeout(HEARTBEAT_LIMIT.total_seconds()):
                    sample = await self._sampler.sample()
            info = system_info(sample, runtimes=self._runtimes)
            lines, cursor, _ = self._ring.read_after(self._log_cursor)
        beat = Heartbeat(
            status=now.status,
            tasks_processed=now.tasks_processed,
            current_task_id=now.current_task_id,
            worker_metadata={**now.metadata, **self._labels()},
            system_info=info,
            logs=lines[-LOG_LINES:] if lines is not None else None,
        )
        try:
            async with asyncio.timeout(HEARTBEAT_LIMIT.total_seconds()):
                await self._client.heartbeat(self.registration.worker_id, beat)
        except ControlPlaneError as error:
            self._answered(error)
            return error.said
        except TimeoutError:
            return worded("The control plane did not take a heartbeat within {n} s.", n=HEARTBEAT_LIMIT.total_seconds())
        except Exception as error:
            log.exception("A heartbeat could not be made.")
            return worded("A heartbeat could not be made ({kind}).", kind=type(error).__name__)
        self._answered()
        self._log_cursor = cursor
        return None

    def _answered(self, error: ControlPlaneError | None = None) -> None:
        if error is not None and not isinstance(error, CredentialsRefused):
            return  # it says nothing of the key
        refused, self.credentials_refused = self.credentials_refused, error is not None
        if refused != self.credentials_refused:
            self._on_change()

    def _failed(self, sentence: str, *, next_try: timedelta) -> None:
        now = datetime.now(UTC)
        trouble = Trouble(what="control_plane", sentence=sentence, since=now, next_try_at=now + next_try)
        self.trouble = trouble.after(self.trouble)
        self._on_change()

    def _works(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            self._on_change()

    # --- the end ------------------------------------------------------------------------------------------

    async def leave(self, *, reason: str, exit_code: int, error_message: str | None) -> None:
        """End the heartbeats, then sign off, once; a heartbeat behind it would make the worker active again (4.1)."""
        if self._beating is not None:
            self._leaving = True
            self._asked.set()
            # One that is on its way arrives first; cut off here, it could still be read after the sign-off.
            await asyncio.wait([self._beating], timeout=LAST_HEARTBEAT_LIMIT.total_seconds())
            self._beating.cancel()
            self._beating = None
        self._looking.cancel()
        if self._registration is None or self._left:
            return
        self._left = True
        message = error_message[:ERROR_LIMIT] if error_message else None
        await self._sign_off(
            self._registration.worker_id, Disconnect(reason=reason, exit_code=exit_code, error_message=message)
        )

    async def _sign_off(self, worker_id: str, disconnect: Disconnect) -> None:
        try:
            await self._client.disconnect(worker_id, disconnect)
        except ControlPlaneError as error:
            log.info("Queue %s: the sign-off was not heard: %s", self.queue_id, error.sentence)
