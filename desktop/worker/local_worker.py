"""The worker of this machine: an engine in this process, or a service that runs already and is attached to."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from desktop.look.language import tr
from worker_core.basics.tasks import TaskKeeper
from worker_core.control_socket.client import News, RunningWorker, StopName, Watch, running_workers
from worker_core.errors import ConfigurationError, KubiyaError
from worker_core.events import EngineStateChanged, Event, EventBus, SnapshotReplaced
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogLine, LogRing
from worker_core.paths import Paths
from worker_core.secrets import Secret
from worker_core.settings import Settings
from worker_core.snapshot import NOTHING, EngineSnapshot, EngineState, Scope, StopMode, WholeQuestion
from worker_core.status_server import serving_status

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient
    from worker_core.control_plane.models import ExecutionRecord, Queue, QueueWorker
    from worker_core.control_socket.server import ControlSocket
    from worker_core.engine.engine import Engine

log = logging.getLogger(__name__)

LOGS_AT_FIRST: Final = 500
"""Log lines that a service is asked for when it is attached to."""

RECHECK: Final = timedelta(hours=1)
"""A sleeping machine's timers stand still: a long pause looks at the wall clock this often."""

OVER: Final = frozenset({EngineState.STOPPED, EngineState.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a start needs."""

    settings: Settings
    api_key: Secret


Provide = Callable[[], Awaitable[Wanted]]
"""Reads settings and key anew at every start; raises KubiyaError where one is missing."""


class LocalWorker:
    """Implements `WorkerFace`. Belongs to one event loop."""

    def __init__(self, *, provide: Provide, paths: Paths, redactor: Redactor, log_ring: LogRing) -> None:
        """Nothing is opened."""
        self.events = EventBus()
        self._provide = provide
        self._paths = paths
        self._redactor = redactor
        self.log_ring = log_ring
        self._snapshot = EngineSnapshot()
        self._engine: Engine | None = None
        self._control: ControlSocket | None = None
        self._status = contextlib.ExitStack()
        self._service: _Attachment | None = None
        self._starting = asyncio.Lock()
        self._over = asyncio.Event()
        self._over.set()
        self._until: datetime | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks = TaskKeeper()

    # --- what there is ------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> EngineSnapshot:
        return self._snapshot

    @property
    def attached(self) -> bool:
        return self._service is not None

    @property
    def paused_until(self) -> datetime | None:
        return self._until

    async def wait_over(self) -> EngineSnapshot:
        """Until the engine in this process has stopped; at once where there is none."""
        await self._over.wait()
        return self._snapshot

    # --- commands -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        async with self._starting:
            if self._service is not None or self._engine is not None:
                return
            if await self._attach():
                return
            try:
                await self._begin()
            except KubiyaError as error:
                code = int(error.exit_code)
                self._show(
                    replace(self._snapshot, state=EngineState.FAILED, reason=error.sentence, queues=(), exit_code=code)
                )
                raise

    async def pause(self, *, reason: str, until: datetime | None = None) -> None:
        if self._service is not None:
            await self._service.ask(lambda worker: worker.pause(reason=reason))
        elif self._engine is not None:
            if self._engine.snapshot.state is EngineState.PAUSED:  # the engine keeps its first reason
                await self._engine.resume()
            await self._engine.pause(reason)
        self._until = until if self._snapshot.state is EngineState.PAUSED else None
        self._set_alarm()
        self._repeat()

    async def resume(self) -> None:
        self._until = None
        self._set_alarm()
        if self._service is not None:
            await self._service.ask(lambda worker: worker.resume())
        elif self._engine is not None:
            await self._engine.resume()
        self._repeat()

    async def stop(self, mode: StopMode) -> None:
        self._until = None
        self._set_alarm()
        if self._service is not None:
            name: StopName = {StopMode.DRAIN: "drain", StopMode.CANCEL: "cancel"}.get(mode, "now")  # type: ignore[assignment]
            await self._service.ask(lambda worker: next(worker.stop(mode=name, wait=False)))
        elif self._engine is not None:
            await self._engine.stop(mode=mode)

    async def cancel_execution(self, execution_id: str) -> None:
        async with self._control_plane() as client:
            await client.cancel(execution_id)

    async def pause_execution(self, execution_id: str) -> None:
        async with self._control_plane() as client:
            await client.pause(execution_id)

    async def resume_execution(self, execution_id: str) -> None:
        async with self._control_plane() as client:
            await client.resume(execution_id)

    async def send_message(self, execution_id: str, text: str) -> None:
        async with self._control_plane() as client:
            await client.send_message(execution_id, text)

    async def whole_question(self, approval_id: str) -> WholeQuestion:
        if self._service is not None:
            return await self._service.whole_question(approval_id)
        if self._engine is not None:
            return self._engine.whole_question(approval_id)
        raise KubiyaError(tr("No worker runs: nothing waits for an answer."))

    async def answer_approval(
        self, approval_id: str, *, allow: bool, scope: Scope, seal: str = "", values: Mapping[str, Any] = NOTHING
    ) -> None:
        if self._service is not None:
            await self._service.ask(
                lambda worker: worker.approve(approval_id, allow=allow, scope=scope, seal=seal, values=values)
            )
        elif self._engine is not None:
            await self._engine.answer_approval(approval_id, allow=allow, scope=scope, seal=seal, values=values)
        else:
            raise KubiyaError(tr("No worker runs: nothing waits for an answer."))

    # --- what the control plane remembers -----------------------------------------------------------------

    async def get_execution(self, execution_id: str) -> ExecutionRecord:
        async with self._control_plane() as client:
            return await client.get_execution(execution_id)

    async def load_session(self, execution_id: str) -> dict[str, Any] | None:
        async with self._control_plane() as client:
            return await client.load_session(execution_id)

    async def list_queues(self) -> list[Queue]:
        async with self._control_plane() as client:
            return await client.list_queues()

    async def queue_workers(self, queue_ids: Sequence[str]) -> dict[str, list[QueueWorker]]:
        async with self._control_plane() as client:
            found = await asyncio.gather(*(client.queue_workers(queue_id) for queue_id in queue_ids))
        return dict(zip(queue_ids, found, strict=True))

    def reconnect(self, reason: str) -> None:
        """The machine woke up, or changed its network. A service watches that by itself."""
        if self._engine is not None and self._snapshot.state not in OVER:
            self._engine.reconnect(reason)
        if self._until is not None:
            self._set_alarm()

    async def close(self) -> None:
        """Let go: a service goes on, an engine must have been stopped before."""
        self._until = None
        self._set_alarm()
        if self._service is not None:
            self._service.close()
        if self._control is not None:
            await asyncio.to_thread(self._control.close)
        self._status.close()
        self._tasks.cancel()

    # --- an engine here -----------------------------------------------------------------------------------

    async def _begin(self) -> None:
        wanted = await self._provide()
        # A second of imports: in a thread, while the window draws.
        await asyncio.to_thread(importlib.import_module, "worker_core.engine.engine")
        from worker_core.control_socket.server import ControlSocket
        from worker_core.engine.engine import Engine

        engine = Engine(
            settings=wanted.settings,
            api_key=wanted.api_key,
            paths=self._paths,
            redactor=self._redactor,
            log_ring=self.log_ring,
        )
        engine.events.listen(self._heard)
        self._engine = engine
        self._over.clear()
        try:
            self._status.enter_context(serving_status(engine, wanted.settings.status_address))
        except ConfigurationError as error:
            log.warning("%s", error.sentence)
        await engine.start()
        self._control = ControlSocket(engine=engine, log_ring=self.log_ring, folder=self._paths.runtime)
        try:
            self._control.open()
        except OSError as error:
            log.warning("The control socket cannot be opened (%s); other commands cannot see this worker.", error)
            self._control = None
        self._tasks.start(self._until_over(engine))

    async def _until_over(self, engine: Engine) -> None:
        final = await engine.wait_stopped()
        if self._control is not None:
            await asyncio.to_thread(self._control.close)
            self._control = None
        self._status.close()
        self._engine = None
        self._over.set()
        self._show(final)

    # --- a service that runs already ----------------------------------------------------------------------

    async def _attach(self) -> bool:
        workers = await asyncio.to_thread(running_workers, self._paths.runtime)
        for worker in workers:
            try:
                attachment = await _Attachment.to(worker, self)
            except KubiyaError as error:
                log.warning("%s", error.sentence)
                continue
            self._service = attachment
            log.info("Attached to the worker with pid %d, which runs already.", worker.pid)
            return True
        return False

    def told(self, news: News) -> None:
        """A service said something."""
        if news.dropped:
            log.warning("%d events of the worker service came too fast to be shown.", news.dropped)
        for event in news.events:
            self._look(event)
            self.events.publish(event)
        self._show(news.snapshot)

    def detached(self, error: KubiyaError | None) -> None:
        """A service ended, or broke off."""
        self._service = None
        before = self._snapshot
        reason = error.sentence if error else tr("The worker service has ended. Start begins a worker here.")
        state = EngineState.FAILED if error else EngineState.STOPPED
        self._show(replace(before, state=state, reason=reason, queues=(), executions=(), health=None, since=_now()))
        if before.state is not state:
            self.events.publish(EngineStateChanged(before=before.state, after=state, reason=reason))

    # --- inside -------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        if isinstance(event, SnapshotReplaced):
            self._snapshot = event.snapshot
        self._look(event)
        self.events.publish(event)

    def _look(self, event: Event) -> None:
        if isinstance(event, EngineStateChanged) and event.before is EngineState.PAUSED:
            self._until = None  # whoever ended the pause, it is over
            self._set_alarm()

    def _show(self, snapshot: EngineSnapshot) -> None:
        self._snapshot = snapshot
        self.events.publish(SnapshotReplaced(snapshot=snapshot))

    def _repeat(self) -> None:
        """What is not in the snapshot changed (a pause's end): whoever draws may draw anew."""
        self.events.publish(SnapshotReplaced(snapshot=self._snapshot))

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._until is not None:
            left = min(max(self._until - _now(), timedelta(0)), RECHECK)
            self._alarm = asyncio.get_running_loop().call_later(left.total_seconds(), self._alarmed)

    def _alarmed(self) -> None:
        if self._until is not None and _now() >= self._until:
            self._tasks.start(self._go_on())
        else:
            self._set_alarm()

    async def _go_on(self) -> None:
        try:
            await self.resume()
        except KubiyaError as error:
            log.error("The pause is over, but the worker could not be resumed: %s", error.sentence)

    @contextlib.asynccontextmanager
    async def _control_plane(self) -> AsyncIterator[ControlPlaneClient]:
        wanted = await self._provide()
        from worker_core.control_plane.client import ControlPlaneClient

        settings = wanted.settings
        client = ControlPlaneClient.of(settings, wanted.api_key)
        try:
            yield client
        finally:
            await client.aclose()


class _Attachment:
    """Two threads that listen to a service: what happens, and what it logs."""

    def __init__(self, worker: RunningWorker, watch: Watch, owner: LocalWorker) -> None:
        self._worker = worker
        self._watch = watch
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._closed = False
        threading.Thread(target=self._listen, name="attached-worker", daemon=True).start()
        threading.Thread(target=self._read_logs, name="attached-logs", daemon=True).start()

    @classmethod
    async def to(cls, worker: RunningWorker, owner: LocalWorker) -> _Attachment:
        """Raises KubiyaError where it does not answer."""
        watch = await asyncio.to_thread(worker.watch)
        try:
            snapshot = await asyncio.to_thread(worker.status)
        except KubiyaError:
            watch.close()
            raise
        attachment = cls(worker, watch, owner)
        owner.told(News(snapshot=snapshot, events=(), dropped=0))
        return attachment

    async def whole_question(self, approval_id: str) -> WholeQuestion:
        return await asyncio.to_thread(self._worker.whole_question, approval_id)

    async def ask(self, call: Callable[[RunningWorker], EngineSnapshot]) -> None:
        snapshot = await asyncio.to_thread(call, self._worker)
        if not self._closed:
            self._owner.told(News(snapshot=snapshot, events=(), dropped=0))

    def close(self) -> None:
        self._closed = True
        self._watch.close()

    def _listen(self) -> None:
        failure: KubiyaError | None = None
        try:
            for news in self._watch:
                self._hand_over(self._owner.told, news)
        except KubiyaError as error:
            failure = error
        except Exception as error:
            log.exception("The watch of the worker service failed.")
            failure = KubiyaError(f"The worker service could not be watched any longer ({type(error).__name__}).")
        self._hand_over(self._owner.detached, failure)

    def _read_logs(self) -> None:
        with contextlib.suppress(KubiyaError):  # what matters is said by the watch
            for answer in self._worker.logs(last=LOGS_AT_FIRST, follow=True):
                if self._closed:
                    return
                for line in answer.get("lines", ()):
                    with contextlib.suppress(msgspec.ValidationError):
                        self._owner.log_ring.append(msgspec.convert(line, LogLine))

    def _hand_over(self, call: Callable[..., None], argument: object) -> None:
        if not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody looks any more
                self._loop.call_soon_threadsafe(call, argument)


def _now() -> datetime:
    return datetime.now(UTC)
