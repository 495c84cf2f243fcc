"""Whether this worker takes new executions: the slot supplier of each queue's first activity.

A pause, a drain and a full machine all close the same gate; executions that are under way go on, since their
activities run on the home queue, which has slots of its own.

A poll for work may wait for a minute, and a queue that nobody polls is not served. So each queue may have one poll
under way as long as one place is free, even where the polls together are more than the places; what a poll brings
after the last place was given to another queue goes back (`has_room`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Final

from temporalio.worker import (
    CustomSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)

PRECEDENCE_SECONDS: Final = 1.0
"""How long a queue waits for each rank above it once that one brought work, or a place became free: more may come."""


class AdmissionGate:
    """Open when the worker wants work. Shared by all queues of an engine; belongs to its event loop.

    Args:
        limit: executions in the middle of a turn at the same time.
        running: how many there are, by queue.
        now: seconds of a clock that never goes back.
    """

    def __init__(
        self,
        *,
        limit: Callable[[], int],
        running: Callable[[], Mapping[str, int]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._running = running
        self._now = now
        self._open = True
        self._full = True  # as far as precedence goes, all places become free at the start
        self._freed = float("-inf")
        self._queues: list[QueueGate] = []
        self._changed: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def of(self, queue_id: str, *, limit: int | None = None, priority: int = 0) -> QueueGate:
        """A queue's own part of the gate.

        Args:
            queue_id: as `running` counts it.
            limit: executions of this queue at the same time; None: as many as there are places.
            priority: while places are short, a queue with more of it comes first.
        """
        made = QueueGate(self, queue_id, limit=limit, priority=priority, now=self._now)
        self._queues.append(made)
        return made

    @property
    def is_open(self) -> bool:
        return self._open

    def close(self) -> None:
        self._open = False

    def open(self) -> None:
        self._open = True
        self.look_again()

    def look_again(self) -> None:
        """Something may have made room. Callable from any thread."""
        if self._loop is not None and self._changed is not None:
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                self._loop.call_soon_threadsafe(self._changed.set)

    def has_room(self, queue: QueueGate) -> bool:
        """Whether one more execution of a queue may be in mid-turn."""
        running = self._running()
        return sum(running.values()) < self._limit() and running.get(queue.queue_id, 0) < queue.limit

    def admits(self, queue: QueueGate) -> bool:
        """Whether a queue may poll for one more execution."""
        running = self._running()
        free = self._limit() - sum(running.values())
        if free > 0 and self._full:
            self._freed = self._now()
        self._full = free <= 0
        polls = sum(one.polls for one in self._queues)
        return (
            self._open
            and queue.is_open
            and (polls < free or (free > 0 and queue.polls == 0))
            and running.get(queue.queue_id, 0) + queue.polls < queue.limit
            and self.waits_for_others(queue) <= 0
        )

    def waits_for_others(self, queue: QueueGate) -> float:
        """Seconds until a queue may poll, for the sake of those with a higher priority; 0 where it need not wait."""
        higher = [one for one in self._queues if one.priority > queue.priority]
        if not higher:
            return 0.0
        ranks = len({one.priority for one in higher})
        last = max(self._freed, *(one.last_brought for one in higher))
        return max(0.0, last + ranks * PRECEDENCE_SECONDS - self._now())

    async def wait(self, queue: QueueGate) -> None:
        """Return when a queue may poll for another execution."""
        self._loop = asyncio.get_running_loop()
        if self._changed is None:
            self._changed = asyncio.Event()
        while not self.admits(queue):
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.waits_for_others(queue) or None):
                    await self._changed.wait()


class QueueGate:
    """One queue's part of the gate: its limit, its priority, and its polls."""

    def __init__(
        self, gate: AdmissionGate, queue_id: str, *, limit: int | None, priority: int, now: Callable[[], float]
    ) -> None:
        self._gate = gate
        self._now = now
        self.queue_id = queue_id
        self.limit = limit if limit is not None else float("inf")
        self.priority = priority
        self.polls = 0
        """Under way."""

        self._is_open = True

        self.last_brought = float("-inf")
        """When a poll brought an execution."""

    @property
    def is_open(self) -> bool:
        """Whether this queue wants this worker's work, whatever the others do."""
        return self._is_open

    def set_open(self, *, is_open: bool) -> None:
        """Callable from any thread."""
        if is_open != self._is_open:
            self._is_open = is_open
            self._gate.look_again()

    @property
    def admits(self) -> bool:
        return self._gate.admits(self)

    @property
    def takes(self) -> bool:
        """Whether an execution that a poll brought may begin."""
        return self._gate.is_open and self._is_open and self._gate.has_room(self)

    async def wait(self) -> None:
        """Return when a poll may begin, having counted it."""
        await self._gate.wait(self)
        self.polls += 1

    def poll_ended(self, *, brought: bool) -> None:
        self.polls -= 1
        if brought:
            self.last_brought = self._now()
        self._gate.look_again()


class _Permit(SlotPermit):
    def __init__(self) -> None:
        self.counted = True


class AdmissionSlots(CustomSlotSupplier):
    """Reserves a slot for `begin_execution` only while the gate admits one."""

    def __init__(self, gate: QueueGate) -> None:
        self._gate = gate

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:  # noqa: ARG002
        await self._gate.wait()
        return _Permit()

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:  # noqa: ARG002
        if not self._gate.admits:
            return None
        self._gate.polls += 1
        return _Permit()

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        # From here on the tracker counts the execution itself.
        self._uncount(ctx.permit, brought=True)

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        self._uncount(ctx.permit, brought=False)

    def _uncount(self, permit: SlotPermit, *, brought: bool) -> None:
        if isinstance(permit, _Permit) and permit.counted:
            permit.counted = False
            self._gate.poll_ended(brought=brought)
