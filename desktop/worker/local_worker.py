"""The worker of this machine: an engine in this process, or a service that runs already and is attached to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Unpack

from desktop.look.language import tr
from desktop.worker.attached import Attached
from desktop.worker.control_plane import ControlPlane, ShownService
from desktop.worker.here import Here
from desktop.worker.pauses import TimedPause
from desktop.worker.wanted import Provide
from worker_core.basics.tasks import TaskKeeper
from worker_core.control_socket.client import running_workers
from worker_core.errors import KubiyaError
from worker_core.events import EngineStateChanged, Event, EventBus, SnapshotReplaced
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogRing
from worker_core.paths import Paths
from worker_core.secrets import KeychainTimeout
from worker_core.snapshot import (
    AnswerParts,
    EngineSnapshot,
    EngineState,
    StopMode,
    Trouble,
    WholeQuestion,
)

if TYPE_CHECKING:
    from worker_core.control_plane.models import Agent, ExecutionRecord, Queue, QueueWorker
    from worker_core.machine.gpu_use import GpuUse
    from worker_core.settings import Reloaded

log = logging.getLogger(__name__)


class Nobody:
    """No worker runs: steering does nothing, and there are no questions."""

    attached = False

    async def pause(self, reason: str) -> None: ...

    async def resume(self) -> None: ...

    async def stop(self, mode: StopMode) -> None: ...

    async def whole_question(self, approval_id: str) -> WholeQuestion:
        raise KubiyaError(tr("No worker runs: nothing waits for an answer."))

    async def answer_approval(self, approval_id: str, **answer: Unpack[AnswerParts]) -> None:
        raise KubiyaError(tr("No worker runs: nothing waits for an answer."))

    async def answer_sandbox(self, *, allow: bool) -> None:
        raise KubiyaError(tr("No worker runs: nothing waits for an answer."))

    async def reload(self, provide: Provide) -> None:
        return None

    async def gpus(self) -> None:
        return None

    def reconnect(self, reason: str) -> None: ...

    async def close(self) -> None: ...


NOBODY: Final = Nobody()


class LocalWorker:
    """Implements `WorkerFace`. Belongs to one event loop."""

    def __init__(
        self, *, provide: Provide, paths: Paths, redactor: Redactor, log_ring: LogRing, beginning: str = ""
    ) -> None:
        """Nothing is opened. `beginning` says what a start does before there is an engine."""
        self._beginning = beginning or tr("Reading settings and key.")
        self._unlocking = TaskKeeper()
        self.events = EventBus()
        self._provide, self._paths, self._redactor, self._log_ring = provide, paths, redactor, log_ring
        self._plane = ControlPlane(provide, service=self._service)
        self._snapshot = EngineSnapshot()
        self._serving: Here | Attached | Nobody = NOBODY
        self._pause = TimedPause(resume=self.resume)
        self._starting = asyncio.Lock()
        self._over = asyncio.Event()
        self._over.set()
        self._tasks = TaskKeeper()

    # --- what there is ------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> EngineSnapshot:
        return self._snapshot

    @property
    def attached(self) -> bool:
        return self._serving.attached

    @property
    def paused_until(self) -> datetime | None:
        return self._pause.until

    async def wait_over(self) -> EngineSnapshot:
        """Until the engine in this process has stopped; at once where there is none."""
        await self._over.wait()
        return self._snapshot

    # --- commands -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        self._unlocking.cancel()
        async with self._starting:
            if self._snapshot.state in {EngineState.STOPPED, EngineState.FAILED}:
                await self._over.wait()  # it says so a moment before the last of it has gone
            if self._serving is not NOBODY or await self._attach():
                return
            now = datetime.now(UTC)
            beginning = replace(
                self._snapshot,
                state=EngineState.STARTING,
                reason=self._beginning,
                repair="",
                since=now,
                queues=(),
                trouble=None,
                exit_code=0,
            )
            self._show(beginning)
            try:
                await self._begin()
            except KeychainTimeout as error:
                log.warning("%s", error.sentence)
                self._show(replace(beginning, trouble=Trouble(what="keychain", sentence=error.said, since=now)))
                self._unlocking.start(self._once_unlocked(error), name="until the keychain is unlocked")
            except KubiyaError as error:
                self._failed(error)
                raise

    async def _once_unlocked(self, error: KeychainTimeout) -> None:
        """The answer that comes late begins the worker; it is not asked for a second time."""
        try:
            if error.answered is not None:
                await error.answered()
        except KubiyaError as refused:
            self._failed(refused)
            return
        log.info("The keychain has answered.")
        self._tasks.start(self._start_again(), name="start with an unlocked keychain")

    async def _start_again(self) -> None:
        with contextlib.suppress(KubiyaError):  # it is told by the snapshot, as any start that fails
            await self.start()

    def _failed(self, error: KubiyaError) -> None:
        """A start that came to nothing is told as a worker that failed is."""
        before, code = self._snapshot.state, int(error.exit_code)
        self._show(
            replace(
                self._snapshot,
                state=EngineState.FAILED,
                reason=error.said,
                repair=error.repair,
                queues=(),
                trouble=None,
                exit_code=code,
            )
        )
        changed = EngineStateChanged(before=before, after=EngineState.FAILED, reason=error.said, repair=error.repair)
        self._publish(changed)

    async def pause(self, *, reason: str, until: datetime | None = None) -> None:
        await self._serving.pause(reason)
        self._pause.set(until if self._snapshot.state is EngineState.PAUSED else None)
        self._repeat()

    async def resume(self) -> None:
        self._pause.set(None)
        await self._serving.resume()
        self._repeat()

    async def stop(self, mode: StopMode) -> None:
        self._pause.set(None)
        if len(self._unlocking):
            self._unlocking.cancel()
            self._show(replace(self._snapshot, state=EngineState.STOPPED, reason=tr("Stopped."), trouble=None))
        await self._serving.stop(mode)

    async def whole_question(self, approval_id: str) -> WholeQuestion:
        return await self._serving.whole_question(approval_id)

    async def answer_approval(self, approval_id: str, **answer: Unpack[AnswerParts]) -> None:
        await self._serving.answer_approval(approval_id, **answer)

    async def answer_sandbox(self, *, allow: bool) -> None:
        await self._serving.answer_sandbox(allow=allow)

    async def reload(self) -> Reloaded | None:
        return await self._serving.reload(self._provide)

    async def gpus(self) -> GpuUse | None:
        return await self._serving.gpus()

    def reconnect(self, reason: str) -> None:
        """The machine woke up, or changed its network."""
        self._serving.reconnect(reason)
        self._pause.look()
        self._plane.renew()

    async def close(self) -> None:
        """Let go: a service goes on, an engine must have been stopped before."""
        self._pause.close()
        await self._serving.close()
        await self._plane.close()
        self._unlocking.cancel()
        self._tasks.cancel()

    # --- by way of the control plane ----------------------------------------------------------------------

    async def cancel_execution(self, execution_id: str) -> None:
        async with self._plane.client() as client:
            await client.cancel(execution_id)

    async def pause_execution(self, execution_id: str) -> None:
        async with self._plane.client() as client:
            await client.pause(execution_id)

    async def resume_execution(self, execution_id: str) -> None:
        async with self._plane.client() as client:
            await client.resume(execution_id)

    async def send_message(self, execution_id: str, text: str) -> None:
        async with self._plane.client() as client:
            await client.send_message(execution_id, text)

    async def list_agents(self) -> list[Agent]:
        async with self._plane.client() as client:
            return await client.list_agents()

    async def begin_execution(self, *, agent_id: str, queue_id: str, prompt: str, folder: str = "") -> str:
        from worker_core.control_plane.models import Execute

        wish = Execute(
            prompt=prompt,
            worker_queue_id=queue_id,
            execution_environment={"working_dir": folder} if folder else None,
        )
        async with self._plane.client() as client:
            return (await client.execute_agent(agent_id, wish)).execution_id

    async def get_execution(self, execution_id: str) -> ExecutionRecord:
        async with self._plane.client() as client:
            return await client.get_execution(execution_id)

    async def load_session(self, execution_id: str) -> dict[str, Any] | None:
        async with self._plane.client() as client:
            return await client.load_session(execution_id)

    async def queue_executions(self, queue_ids: Sequence[str], *, limit: int) -> dict[str, list[ExecutionRecord]]:
        async with self._plane.client() as client:
            asked = (client.queue_executions(queue_id, limit=limit) for queue_id in queue_ids)
            answers = await asyncio.gather(*asked, return_exceptions=True)
        found = {}
        refused: KubiyaError | None = None
        for queue_id, answer in zip(queue_ids, answers, strict=True):
            if isinstance(answer, KubiyaError):
                refused = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found[queue_id] = answer
        if refused is not None and not found:
            raise refused
        return found

    async def list_queues(self) -> list[Queue]:
        async with self._plane.client() as client:
            return await client.list_queues()

    async def queue_workers(self, queue_ids: Sequence[str]) -> dict[str, list[QueueWorker]]:
        async with self._plane.client() as client:
            found = await asyncio.gather(*(client.queue_workers(queue_id) for queue_id in queue_ids))
        return dict(zip(queue_ids, found, strict=True))

    def _service(self) -> ShownService | None:
        if not isinstance(self._serving, Attached):
            return None
        return ShownService(control_plane_url=self._snapshot.control_plane_url, carry=self._serving.ask_control_plane)

    # --- who serves ---------------------------------------------------------------------------------------

    async def _attach(self) -> bool:
        """To a service that runs already."""
        for worker in await asyncio.to_thread(running_workers, self._paths.runtime):
            try:
                self._serving = await Attached.to(
                    worker, log_ring=self._log_ring, publish=self._publish, ended=self._detached
                )
            except KubiyaError as error:
                log.warning("%s", error.sentence)
                continue
            log.info("Attached to the worker with pid %d, which runs already.", worker.pid)
            return True
        return False

    async def _begin(self) -> None:
        here = await Here.make(
            await self._provide(),
            paths=self._paths,
            redactor=self._redactor,
            log_ring=self._log_ring,
            publish=self._publish,
        )
        self._serving = here
        self._over.clear()
        await here.begin()
        self._tasks.start(self._until_over(here), name="worker here")

    async def _until_over(self, here: Here) -> None:
        final = await here.over()
        self._serving = NOBODY
        self._over.set()
        self._show(final)

    def _detached(self, error: KubiyaError | None) -> None:
        """A service ended, or broke off."""
        self._serving = NOBODY
        before = self._snapshot
        reason = error.said if error else tr("The worker service has ended. Start begins a worker here.")
        state = EngineState.FAILED if error else EngineState.STOPPED
        now = datetime.now(UTC)
        left = replace(before, state=state, reason=reason, queues=(), executions=(), approvals=(), health=None)
        self._show(replace(left, since=now))
        if before.state is not state:
            self._publish(EngineStateChanged(before=before.state, after=state, reason=reason))

    # --- what is told -------------------------------------------------------------------------------------

    def _publish(self, event: Event) -> None:
        if isinstance(event, SnapshotReplaced):
            self._snapshot = event.snapshot
        elif isinstance(event, EngineStateChanged) and event.before is EngineState.PAUSED:
            self._pause.set(None)  # whoever ended the pause, it is over
        self.events.publish(event)

    def _show(self, snapshot: EngineSnapshot) -> None:
        self._publish(SnapshotReplaced(snapshot=snapshot))

    def _repeat(self) -> None:
        """What is not in the snapshot changed (a pause's end): whoever draws may draw anew."""
        self._show(self._snapshot)
