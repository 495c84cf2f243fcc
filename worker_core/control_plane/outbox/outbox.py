"""Events out: in order per execution, many executions side by side, kept on disk while the control plane is away.

Online, a lane's task sends its events one by one and ends when there are none. The first failure that is the server's
makes the outbox offline: a writer moves everything to the spool, a prober tries one event now and then, and the first
success sends all lanes on their way again, each first through what it has on disk.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from worker_core.basics.sentences import worded
from worker_core.control_plane.errors import ControlPlaneError, CredentialsRefused
from worker_core.control_plane.outbox.lane import Item, Lane, Numbers
from worker_core.control_plane.outbox.spool import SPOOL_LIMIT_BYTES, Row
from worker_core.control_plane.outbox.spool_thread import SpoolThread
from worker_core.errors import KubiyaError
from worker_core.events import EventDeliveryInterrupted, EventDeliveryResumed
from worker_core.network.backoff import Backoff
from worker_core.network.outage import OutageLog
from worker_core.snapshot import OutboxView

if TYPE_CHECKING:
    from worker_core.events import EventBus

log = logging.getLogger(__name__)

CHUNK_WINDOW = timedelta(milliseconds=100)
REQUESTS_AT_ONCE = 10
MEMORY_LIMIT = 10_000
"""Events in memory, whatever they are; beyond it the oldest are dropped, streamed text first."""

TEXT_MEMORY_LIMIT = 2_000
"""Events in memory above which streamed text is dropped, while the disk takes nothing."""

REFUSED_RETRY_SECONDS = 15.0
"""With refused credentials, tries are rare: somebody has to do something first."""

_WRITE_ROWS = 500
_READ_ROWS = 100
_POISON_TRIES = 8
_LAST_SENDS_SECONDS = 5.0


class EventSink(Protocol):
    """What the outbox needs of the client."""

    async def publish_event(self, execution_id: str, event: bytes, /) -> None: ...


class Outbox:
    """All events of one worker process. Belongs to one event loop."""

    def __init__(
        self,
        *,
        client: EventSink,
        folder: Path,
        mask: Callable[[str], str],
        bus: EventBus | None = None,
        chunk_window: timedelta = CHUNK_WINDOW,
        backoff: Backoff | None = None,
        spool_limit_bytes: int = SPOOL_LIMIT_BYTES,
        memory_limit: int = MEMORY_LIMIT,
        text_memory_limit: int = TEXT_MEMORY_LIMIT,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """Nothing is opened or written before it is needed.

        Args:
            client: delivers one event.
            folder: holds the spool files of all workers of this user; made when needed.
            mask: applied to every text before it leaves, even to disk.
            bus: hears EventDeliveryInterrupted and EventDeliveryResumed, and each event as ExecutionEventPublished.
            chunk_window: streamed text of a message leaves at most once in it.
            backoff: between probes while the server is away; 0.5 s to 15 s by default.
            spool_limit_bytes: size limit of the file on disk.
            memory_limit: see MEMORY_LIMIT.
            text_memory_limit: see TEXT_MEMORY_LIMIT.
            clock_us: wall clock in microseconds.
        """
        self._mask = mask
        self._client = client
        self._disk = SpoolThread(folder, limit_bytes=spool_limit_bytes)
        self._bus = bus
        self._window = chunk_window
        self._backoff = backoff or Backoff(first=timedelta(seconds=0.5), limit=timedelta(seconds=15))
        self._memory_limit = memory_limit
        self._text_limit = text_memory_limit
        self._numbers = Numbers(clock_us)
        self._outage = OutageLog(log=log, what="Delivery of events")
        self._lanes: WeakValueDictionary[str, Lane] = WeakValueDictionary()
        self._busy: dict[str, Lane] = {}
        self._inherited: frozenset[str] = frozenset()
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._online = True
        self._closed = False
        self._interrupted = False
        self._has_stumbled = False
        self._reason = ""
        self._error: KubiyaError | None = None
        self._nudged = asyncio.Event()
        self._emptied = asyncio.Event()
        self._prober: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._in_flight: set[asyncio.Future[None]] = set()
        self._pending = 0
        self._spooled = 0
        self._dropped = 0
        self._delivered = 0
        self._replayed = 0

    # -- public ---------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Replay what earlier workers of this machine left behind; call it once, before publishing."""
        left = await self._disk.adopt()
        if not left:
            return
        self._inherited = frozenset(left)
        for execution_id, (rows, highest) in left.items():
            lane = self.lane(execution_id)
            lane.advance(highest)
            lane.spooled += rows
            self._spooled += rows
            self._numbers.highest = max(self._numbers.highest, highest)
            self._busy[execution_id] = lane
        log.info("%d events that an earlier worker could not deliver are sent now.", self._spooled)
        self._interrupted = True
        self._go_online()

    def lane(self, execution_id: str) -> Lane:
        """The lane of an execution: always the same one while anybody holds it or it has something to send."""
        lane = self._lanes.get(execution_id)
        if lane is None:
            lane = Lane(
                execution_id=execution_id,
                mask=self._mask,
                numbers=self._numbers,
                bus=self._bus,
                window_seconds=self._window.total_seconds(),
                on_gathering=self._keep,
                on_event=self._accept,
            )
            self._lanes[execution_id] = lane
        return lane

    def inherited(self, execution_id: str) -> bool:
        """Whether an earlier worker left events of this execution. Those before them were delivered."""
        return execution_id in self._inherited

    def nudge(self) -> None:
        """Try at once, if the server was away: the network changed, or the machine woke up."""
        self._backoff.reset()
        self._nudged.set()

    def view(self) -> OutboxView:
        return OutboxView(
            pending=self._pending,
            spooled=self._spooled,
            dropped=self._dropped,
            delivered=self._delivered,
            interrupted_reason=self._reason or self._disk.trouble,
        )

    async def close(self, *, limit: timedelta) -> None:
        """Deliver what is in memory within `limit`, put the rest on disk, and end."""
        for lane in tuple(self._busy.values()):
            lane.send_gathered()
        try:
            async with asyncio.timeout(limit.total_seconds()):
                while self._pending:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            log.info("%d events could not be delivered in time; they are kept on disk.", self._pending)
        self._online = False
        self._closed = True
        if self._in_flight:
            # One that the server has taken must not be sent again by the next worker: its row goes first.
            await asyncio.wait(self._in_flight, timeout=_LAST_SENDS_SECONDS)
        await self._end_tasks()
        await self._write_all()
        if self._pending:
            self._dropped += self._pending
            log.error("%d events are lost: neither the server nor the disk took them.", self._pending)
        await self._disk.close(delete=self._spooled == 0)

    # -- from lanes -----------------------------------------------------------------------------------------------

    def _keep(self, lane: Lane) -> None:
        self._busy[lane.execution_id] = lane

    def _accept(self, lane: Lane) -> None:
        if self._closed:
            lane.take_back()
            self._dropped += 1
            log.warning("An event of execution %s came after the end and is dropped.", lane.execution_id)
            return
        self._keep(lane)
        self._pending += 1
        if self._pending > self._memory_limit or (self._disk.trouble and self._pending > self._text_limit):
            self._make_room()
        if self._online:
            self._start(lane)
        elif not self._disk.trouble:
            self._wake_writer()

    def _writable(self, lane: Lane, most: int) -> list[Item]:
        items, left_out = lane.writable(most)
        for error in left_out:
            sentence = worded(
                "An event of execution {id} cannot be written down; it is left out.", id=lane.execution_id
            )
            self._stumbled(sentence, error)
            self._dropped += 1
            self._forget_pending(1)
        return items

    # -- online ---------------------------------------------------------------------------------------------------

    def _start(self, lane: Lane) -> None:
        if lane.task is None and (lane.in_memory or lane.spooled):
            lane.task = asyncio.get_running_loop().create_task(self._drain(lane), name=f"events {lane.execution_id}")

    async def _drain(self, lane: Lane) -> None:
        try:
            while self._online and (lane.in_memory or lane.spooled):
                while lane.writing and self._writer is not None:
                    await asyncio.wait([self._writer])
                async with self._slots:
                    error = await self._deliver_next(lane) if self._may_send(lane) else None
                if error is not None:
                    self._interrupt(error)
        finally:
            lane.task = None
            self._look_at(lane)

    def _may_send(self, lane: Lane) -> bool:
        return self._online and not lane.writing

    def _look_at(self, lane: Lane) -> None:
        """What follows for a lane whose task ended."""
        if not self._online:
            self._wake_writer()
        elif lane.in_memory or lane.spooled:
            self._start(lane)
        if lane.idle:
            self._busy.pop(lane.execution_id, None)

    async def _deliver_next(self, lane: Lane) -> KubiyaError | None:
        """Send the lane's first event. Returns the error that says that the server is away, else None."""
        lane.sending = True
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._in_flight.add(ended)
        try:
            return await self._deliver_first(lane)
        except Exception as error:  # noqa: BLE001 - a bug must not end the delivery of everything else, nor spin
            return self._stumbled(
                worded("Events could not be delivered on an internal error ({kind}).", kind=type(error).__name__), error
            )
        finally:
            lane.sending = False
            self._in_flight.discard(ended)
            ended.cancel()
            self._resume_if_done()

    async def _deliver_first(self, lane: Lane) -> KubiyaError | None:
        row = await self._first_row(lane) if lane.spooled else None
        items = [] if row else self._writable(lane, 1)
        if row is None and not items:
            return None
        sequence, body = (row.sequence, row.body) if row else (items[0].sequence, items[0].body())
        try:
            await self._client.publish_event(lane.execution_id, body)
            self._delivered += 1
            self._replayed += row is not None
        except ControlPlaneError as error:
            if isinstance(error, CredentialsRefused) or (error.retryable and not self._is_poison(lane, error)):
                return error
            self._dropped += 1
            log.warning("An event of execution %s is dropped: %s", lane.execution_id, error.sentence)
        except KubiyaError as error:
            return error
        except Exception as error:  # noqa: BLE001
            lane.failures += 1
            said = self._stumbled(
                worded("An event could not be sent on an internal error ({kind}).", kind=type(error).__name__), error
            )
            if lane.failures < _POISON_TRIES:
                return said
            self._dropped += 1
        lane.failures = 0
        if row is None:
            lane.left(1)
            self._forget_pending(1)
        else:
            await self._forget_row(lane, row, sequence)
            lane.settle()
        if not self._online:
            self._nudged.set()
        return None

    def _stumbled(self, sentence: str, error: Exception) -> KubiyaError:
        """Over a bug of this program. It is told once; what it costs is in the numbers."""
        level = logging.DEBUG if self._has_stumbled else logging.ERROR
        log.log(level, "%s This is a bug of the worker; it is reported once.", sentence, exc_info=error)
        self._has_stumbled = True
        return KubiyaError(sentence)

    def _is_poison(self, lane: Lane, error: ControlPlaneError) -> bool:
        """Whether it is this one event that the server fails on (protocol, 12), while it takes others."""
        if error.status in {None, 429}:
            return False
        if lane.failures == 0:
            lane.delivered_before = self._delivered
        lane.failures += 1
        return lane.failures >= _POISON_TRIES and self._delivered > lane.delivered_before

    async def _first_row(self, lane: Lane) -> Row | None:
        if not lane.rows:
            lane.rows.extend(await self._disk.read(lane.execution_id, after=lane.cursor, limit=_READ_ROWS))
            if not lane.rows:
                self._spooled -= lane.spooled
                lane.spooled = 0
                return None
        return lane.rows[0]

    async def _forget_row(self, lane: Lane, row: Row, sequence: int) -> None:
        lane.rows.popleft()
        lane.cursor = sequence
        lane.spooled -= 1
        self._spooled -= 1
        await self._disk.remove(row)

    def _forget_pending(self, number: int) -> None:
        self._pending -= number
        if not self._pending:
            self._emptied.set()

    def _resume_if_done(self) -> None:
        if not (self._interrupted and self._online and self._spooled == 0):
            return
        self._interrupted = False
        replayed, self._replayed = self._replayed, 0
        self._reason = ""
        self._outage.recovered()
        if self._bus is not None:
            self._bus.publish(EventDeliveryResumed(replayed=replayed))

    # -- offline --------------------------------------------------------------------------------------------------

    def _interrupt(self, error: KubiyaError) -> None:
        self._error, self._reason = error, error.said
        if not self._online:
            return
        self._online = False
        if not self._interrupted:
            self._interrupted = True
            self._replayed = 0
            if self._bus is not None:
                self._bus.publish(EventDeliveryInterrupted(sentence=f"{error.sentence} Events are kept on disk."))
        self._nudged.clear()
        if self._prober is None:
            self._prober = asyncio.get_running_loop().create_task(self._probe(), name="events probe")

    async def _probe(self) -> None:
        try:
            while not self._online:
                await self._pause()
                lane = self._next_to_probe()
                if lane is None:
                    if any(lane.sending or lane.writing for lane in self._busy.values()):
                        continue
                    break
                async with self._slots:
                    error = await self._deliver_next(lane)
                if error is None:
                    break
                self._error, self._reason = error, error.said
                self._wake_writer()
        finally:
            self._prober = None
        self._go_online()

    async def _pause(self) -> None:
        error = self._error
        asked = error.retry_after_seconds if isinstance(error, ControlPlaneError) else None
        seconds = self._backoff.next_delay(retry_after_seconds=asked).total_seconds()
        if isinstance(error, CredentialsRefused):
            seconds = max(seconds, REFUSED_RETRY_SECONDS)
        self._outage.failed(self._reason, retry_in_seconds=seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._nudged.wait()
        except TimeoutError:
            pass
        self._nudged.clear()

    def _next_to_probe(self) -> Lane | None:
        """In turns, so that one event which the server fails on does not speak for all."""
        for execution_id, lane in tuple(self._busy.items()):
            if not (lane.sending or lane.writing) and (lane.in_memory or lane.spooled):
                del self._busy[execution_id]
                self._busy[execution_id] = lane
                return lane
        return None

    def _go_online(self) -> None:
        if self._closed:
            return
        self._online = True
        self._backoff.reset()
        for execution_id, lane in tuple(self._busy.items()):
            self._start(lane)
            if lane.idle:
                del self._busy[execution_id]
        self._resume_if_done()

    def _wake_writer(self) -> None:
        if self._writer is None and not self._closed:
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="events to disk")

    async def _write(self) -> None:
        try:
            while not self._online and await self._write_some():
                pass
        except Exception as error:  # noqa: BLE001
            self._stumbled(worded("Events could not be kept on disk on an internal error."), error)
        finally:
            self._writer = None

    async def _write_some(self) -> bool:
        """Move a batch of events to disk. False: nothing to move, or the disk does not take it."""
        lanes: list[tuple[Lane, int]] = []
        rows: list[Row] = []
        for lane in self._busy.values():
            if not lane.in_memory or lane.sending:
                continue
            items = self._writable(lane, _WRITE_ROWS - len(rows))
            rows += [Row(lane.execution_id, item.sequence, item.body()) for item in items]
            lanes.append((lane, len(items)))
            lane.writing = True
            if len(rows) >= _WRITE_ROWS:
                break
        if not rows:
            return False
        try:
            taken = await self._disk.append(rows)
        finally:
            for lane, _ in lanes:
                lane.writing = False
        if not taken:
            return False
        for lane, number in lanes:
            lane.spooled += number
            lane.left(number)
            self._spooled += number
            self._forget_pending(number)
        return True

    def _make_room(self) -> None:
        """Drop a tenth of what may be kept: streamed text first, and anything else only above the last limit."""
        number = max(1, self._text_limit // 10)
        dropped = self._drop(number, text_alone=True)
        if not dropped and self._pending > self._memory_limit:
            dropped = self._drop(number, text_alone=False)
        if dropped:
            self._dropped += dropped
            log.warning("%d events were dropped to save memory, %d so far.", dropped, self._dropped)

    def _drop(self, number: int, *, text_alone: bool) -> int:
        dropped = 0
        for lane in tuple(self._busy.values()):
            if dropped < number and not lane.writing:
                dropped += lane.drop(number - dropped, text_alone=text_alone)
        self._forget_pending(dropped)
        return dropped

    # -- end ------------------------------------------------------------------------------------------------------

    async def _end_tasks(self) -> None:
        tasks = [lane.task for lane in self._busy.values() if lane.task is not None]
        if self._prober is not None:
            tasks.append(self._prober)
        for task in tasks:
            task.cancel()
        writing = [] if self._writer is None else [self._writer]
        await asyncio.gather(*tasks, *writing, return_exceptions=True)

    async def _write_all(self) -> None:
        while self._pending and await self._write_some():
            pass
