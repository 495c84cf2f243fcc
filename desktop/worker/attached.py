"""A worker service of this user that runs already: what happens in it is heard, and commands go to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final, Unpack

import msgspec

from desktop.look.language import tr
from desktop.worker.wanted import Provide
from worker_core.basics import typed_json
from worker_core.basics.sentences import worded
from worker_core.basics.threads import apart
from worker_core.control_socket.client import News, RunningWorker, StopName, Watch, WorkerSilent
from worker_core.errors import KubiyaError
from worker_core.events import Event, SnapshotReplaced
from worker_core.logs.ring import LogLine, LogRing
from worker_core.settings import Reloaded
from worker_core.snapshot import AnswerParts, EngineSnapshot, StopMode, WholeQuestion

if TYPE_CHECKING:
    from worker_core.control_plane.connections import HttpAnswer
    from worker_core.control_plane.relay import RelayedCall
    from worker_core.machine.gpu_use import GpuUse

log = logging.getLogger(__name__)

LOGS_AT_FIRST: Final = 500
"""Log lines that a service is asked for when it is attached to."""

_MODES: Final[dict[StopMode, StopName]] = {StopMode.DRAIN: "drain", StopMode.CANCEL: "cancel", StopMode.NOW: "now"}


class Attached:
    """Two threads listen to the service: what happens, and what it logs. All calls come on the loop that made it."""

    attached = True

    def __init__(
        self,
        worker: RunningWorker,
        watch: Watch,
        coming: Iterator[News],
        *,
        log_ring: LogRing,
        publish: Callable[[Event], None],
        ended: Callable[[KubiyaError | None], None],
    ) -> None:
        self._worker, self._watch, self._coming, self._log_ring = worker, watch, coming, log_ring
        self._publish, self._ended = publish, ended
        self._loop = asyncio.get_running_loop()
        self._closed = False
        threading.Thread(target=self._listen, name="attached-worker", daemon=True).start()
        threading.Thread(target=self._read_logs, name="attached-logs", daemon=True).start()

    @classmethod
    async def to(
        cls,
        worker: RunningWorker,
        *,
        log_ring: LogRing,
        publish: Callable[[Event], None],
        ended: Callable[[KubiyaError | None], None],
    ) -> Attached:
        """Attach to it. `ended` is called once when it ends, or breaks off with an error.

        Raises:
            KubiyaError: it does not answer.
        """
        watch = await asyncio.to_thread(worker.watch)
        coming = iter(watch)
        # With its first answer it listens: nothing that happens from then on is missed.
        try:
            first = await asyncio.to_thread(next, coming, None)
        except BaseException:
            watch.close()
            raise
        if first is None:
            raise WorkerSilent(worded("The worker with pid {pid} has just ended.", pid=str(worker.pid)))
        made = cls(worker, watch, coming, log_ring=log_ring, publish=publish, ended=ended)
        made._told(first)
        return made

    async def pause(self, reason: str) -> None:
        await self._ask(lambda worker: worker.pause(reason=reason))

    async def resume(self) -> None:
        await self._ask(lambda worker: worker.resume())

    async def stop(self, mode: StopMode) -> None:
        await self._ask(lambda worker: next(worker.stop(mode=_MODES[mode], wait=False)))

    async def whole_question(self, approval_id: str) -> WholeQuestion:
        return await asyncio.to_thread(self._worker.whole_question, approval_id)

    async def answer_approval(self, approval_id: str, **answer: Unpack[AnswerParts]) -> None:
        await self._ask(lambda worker: worker.approve(approval_id, **answer))

    async def answer_sandbox(self, *, allow: bool) -> None:
        raise KubiyaError(tr("The worker that asks runs elsewhere: answer it there."))

    async def reload(self, provide: Provide) -> Reloaded:
        """It reads them itself."""
        return await asyncio.to_thread(self._worker.reload)

    async def ask_control_plane(self, call: RelayedCall) -> HttpAnswer:
        """With the service's key."""
        return await asyncio.to_thread(self._worker.ask_control_plane, call)

    async def gpus(self) -> GpuUse | None:
        return await apart(self._worker.gpus, name="gpus")

    def reconnect(self, reason: str) -> None:
        """A service watches its machine by itself."""

    async def close(self) -> None:
        """Let go; the service goes on."""
        self._closed = True
        self._watch.close()

    async def _ask(self, call: Callable[[RunningWorker], EngineSnapshot]) -> None:
        snapshot = await asyncio.to_thread(call, self._worker)
        if not self._closed:
            self._publish(SnapshotReplaced(snapshot=snapshot))

    def _told(self, news: News) -> None:
        if news.dropped:
            log.warning("%d events of the worker service came too fast to be shown.", news.dropped)
        for event in news.events:
            self._publish(event)
        self._publish(SnapshotReplaced(snapshot=news.snapshot))

    def _listen(self) -> None:
        failure: KubiyaError | None = None
        try:
            for news in self._coming:
                self._hand_over(partial(self._told, news))
        except KubiyaError as error:
            failure = error
        except Exception as error:
            log.exception("The watch of the worker service failed.")
            kind = type(error).__name__
            failure = KubiyaError(worded("The worker service could not be watched any longer ({kind}).", kind=kind))
        self._hand_over(partial(self._ended, failure))

    def _read_logs(self) -> None:
        with contextlib.suppress(KubiyaError):  # what matters is said by the watch
            for answer in self._worker.logs(last=LOGS_AT_FIRST, follow=True):
                if self._closed:
                    return
                for line in answer.get("lines", ()):
                    with contextlib.suppress(msgspec.ValidationError):
                        self._log_ring.append(typed_json.convert(line, LogLine))

    def _hand_over(self, call: Callable[[], None]) -> None:
        if not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody looks any more
                self._loop.call_soon_threadsafe(call)
