"""The events of one execution: numbered, in order, streamed text gathered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from worker_core.control_plane import wire
from worker_core.control_plane.outbox.batching import Batch, ChunkBatcher
from worker_core.events import EventBus, ExecutionEventPublished
from worker_core.logs.redaction import masked_data

if TYPE_CHECKING:
    from worker_core.control_plane.outbox.spool import Row

LAST_EVENTS_LIMIT = timedelta(seconds=5)
"""How long what ends, such as a turn, waits for its events to be delivered, so that viewers see them first."""

MERGED_TEXT_LIMIT = 16_000
"""Characters up to which text waiting behind a slow request is gathered into one event."""


class Numbers:
    """The sequence numbers of a process: microseconds since the epoch, or one more than the last if that is higher."""

    def __init__(self, clock_us: Callable[[], int]) -> None:
        self._clock_us = clock_us
        self.highest = 0

    def next(self, after: int) -> int:
        """One above `after`."""
        number = max(after + 1, self._clock_us())
        self.highest = max(self.highest, number)
        return number


class Item:
    """One event in memory. Text may be added until it is frozen, which happens when it first leaves."""

    __slots__ = ("_body", "batch", "data", "event_type", "important", "sequence", "size", "timestamp")

    def __init__(
        self, *, sequence: int, event_type: str, data: dict[str, Any], important: bool, batch: Batch | None = None
    ) -> None:
        self.sequence = sequence
        self.event_type = event_type
        self.data = data
        self.important = important
        self.batch = batch
        self.size = sum(map(len, batch.pieces)) if batch else 0
        self.timestamp = datetime.now(UTC).isoformat()
        self._body: bytes | None = None

    def absorb(self, batch: Batch, event_type: str) -> bool:
        """Add text of the same message; False where this is something else, full, or on its way."""
        mine = self.batch
        if mine is None or self._body is not None or self.event_type != event_type:
            return False
        size = sum(map(len, batch.pieces))
        if mine.message_id != batch.message_id or mine.extra != batch.extra or self.size + size > MERGED_TEXT_LIMIT:
            return False
        mine.pieces += batch.pieces
        self.size += size
        return True

    def body(self) -> bytes:
        """The JSON that travels (protocol, 8.3); the same bytes from the first call on."""
        if self._body is None:
            data = {**self.data, "sequence": self.sequence}
            if self.batch is not None:
                pieces = self.batch.pieces
                data["content"] = self.batch.text
                if len(pieces) > 1:
                    data["batch_info"] = {"chunk_count": len(pieces), "batch_size": self.size}
            self._body = wire.encode({"event_type": self.event_type, "data": data, "timestamp": self.timestamp})
        return self._body


class Lane:
    """Obtained from `Outbox.lane()`; used from the event loop's thread alone. Nothing here blocks or raises on trouble.

    Each event's `data` gets a `sequence`, strictly rising over the execution's life: microseconds since the epoch, or
    one more than the last, whichever is higher; so it rises over restarts and machines too.
    """

    def __init__(
        self,
        *,
        execution_id: str,
        mask: Callable[[str], str],
        numbers: Numbers,
        bus: EventBus | None,
        window_seconds: float,
        on_gathering: Callable[[Lane], None],
        on_event: Callable[[Lane], None],
    ) -> None:
        """A lane without events.

        Args:
            execution_id: whose events they are.
            mask: applied to every text.
            numbers: of the process.
            bus: hears each event as ExecutionEventPublished.
            window_seconds: streamed text of a message leaves at most once in it.
            on_gathering: hears that there is text which is no event yet.
            on_event: hears that there is one event more; it may be taken back.
        """
        self.execution_id = execution_id
        self.rows: deque[Row] = deque()
        self.spooled = 0
        self.cursor = 0
        self.sending = False
        self.writing = False
        self.task: asyncio.Task[None] | None = None
        self.failures = 0
        self.delivered_before = 0
        self._queue: deque[Item] = deque()
        self._mask = mask
        self._numbers = numbers
        self._bus = bus
        self._on_gathering = on_gathering
        self._on_event = on_event
        self._last = numbers.highest
        self._batcher = ChunkBatcher(window_seconds=window_seconds)
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def last_sequence(self) -> int:
        """The highest number given so far. Text that is still being gathered has none yet: `flush` first."""
        return self._last

    def advance(self, after_sequence: int) -> None:
        """Number later events above `after_sequence`, which another process or machine may have given."""
        self._last = max(self._last, after_sequence)

    def publish(self, event_type: str, data: Mapping[str, Any], *, important: bool = True) -> None:
        """Send one event, behind everything that was published on this lane before.

        Args:
            event_type: see protocol, 8.3.
            data: JSON-like; every text in it is masked.
            important: False lets it be dropped first, when neither server nor disk take anything.
        """
        self._emit(self._batcher.flush(now=_now()))
        told = {key: masked_data(value, self._mask) for key, value in data.items()}
        self._add(event_type, told, important=important)

    def chunk(self, message_id: str, text: str, *, event_type: str = "message_chunk", **extra: Any) -> None:
        """Stream a piece of a message's text: the first at once, then at most one event per window.

        Args:
            message_id: one per assistant message.
            text: already masked, since a secret may lie across two pieces.
            event_type: `message_chunk` or `member_message_chunk`.
            extra: further fields such as `phase`; masked.
        """
        if not text:
            return
        fields = {"event_type": event_type, **masked_data(extra, self._mask)}
        self._on_gathering(self)
        self._emit(self._batcher.add(message_id, text, fields, now=_now()))
        self._arm()

    async def flush(self, limit: timedelta) -> bool:
        """Wait until everything published so far is delivered, or safely on disk.

        Returns False when `limit` passed before.
        """
        self.send_gathered()
        if self.is_settled(self._last):
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._last, waiter)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await waiter
        except TimeoutError:
            return False
        finally:
            if entry in self._waiters:
                self._waiters.remove(entry)
        return True

    # -- for the outbox -------------------------------------------------------------------------------------------

    @property
    def in_memory(self) -> int:
        """Events that are neither delivered nor on disk."""
        return len(self._queue)

    @property
    def idle(self) -> bool:
        return not (self._queue or self.spooled or self.task or self.writing) and self._batcher.empty

    def is_settled(self, sequence: int) -> bool:
        return not self._queue or self._queue[0].sequence > sequence

    def writable(self, most: int) -> tuple[list[Item], list[Exception]]:
        """The first events, ready to leave; and why others were left out, which cannot be written down by a bug:
        everything behind them would wait for ever.
        """
        found: list[Item] = []
        left_out: list[Exception] = []
        for item in tuple(islice(self._queue, most)):
            try:
                item.body()
            except Exception as error:  # noqa: BLE001 - whatever an event holds, the others go on
                self._queue.remove(item)
                left_out.append(error)
            else:
                found.append(item)
        self.settle()
        return found, left_out

    def left(self, number: int) -> None:
        """The first so many are delivered, or on disk."""
        for _ in range(number):
            self._queue.popleft()
        self.settle()

    def take_back(self) -> None:
        """The last event goes nowhere."""
        self._queue.pop()

    def settle(self) -> None:
        """Wake those whose events are no longer in memory alone."""
        for entry in tuple(self._waiters):
            sequence, waiter = entry
            if self.is_settled(sequence):
                self._waiters.remove(entry)
                if not waiter.done():
                    waiter.set_result(None)

    def drop(self, number: int, *, text_alone: bool) -> int:
        """Drop up to `number` of the oldest events, but not the one on its way. Returns how many."""
        on_its_way = 1 if self.sending and not self.spooled else 0
        kept: list[Item] = []
        dropped = 0
        for index, item in enumerate(self._queue):
            if index >= on_its_way and dropped < number and not (text_alone and item.important):
                dropped += 1
            else:
                kept.append(item)
        self._queue = deque(kept)
        self.settle()
        return dropped

    def send_gathered(self) -> None:
        """Let text that is being gathered leave now."""
        self._emit(self._batcher.flush(now=_now()))
        self._disarm()

    # -- below ----------------------------------------------------------------------------------------------------

    def _emit(self, batches: list[Batch]) -> None:
        for batch in batches:
            event_type = str(batch.extra["event_type"])
            fields = {key: value for key, value in batch.extra.items() if key != "event_type"}
            data = {
                "role": "assistant",
                "content": "",
                "is_chunk": True,
                "message_id": batch.message_id,
                **fields,
            }
            text = batch.text  # before `absorb`, which may share the pieces
            if not (self._queue and self._queue[-1].absorb(batch, event_type)):
                self._add(event_type, data, important=False, batch=batch)
            self._tell(event_type, {**data, "content": text})

    def _add(self, event_type: str, data: dict[str, Any], *, important: bool, batch: Batch | None = None) -> None:
        self._last = self._numbers.next(self._last)
        item = Item(sequence=self._last, event_type=event_type, data=data, important=important, batch=batch)
        self._queue.append(item)
        self._on_event(self)
        if batch is None:
            self._tell(event_type, data)

    def _tell(self, event_type: str, data: Mapping[str, Any]) -> None:
        """Let this process's own views see what leaves."""
        if self._bus is not None and self._bus.hears(ExecutionEventPublished):
            self._bus.publish(
                ExecutionEventPublished(
                    execution_id=self.execution_id, type=event_type, payload=data, sequence=self._last
                )
            )

    def _arm(self) -> None:
        due = self._batcher.next_due()
        if due is not None and self._timer is None:
            delay = max(0.0, due - _now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._window_over)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _window_over(self) -> None:
        self._timer = None
        self._emit(self._batcher.due(now=_now()))
        self._arm()


def _now() -> float:
    return asyncio.get_running_loop().time()
