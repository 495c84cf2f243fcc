"""Whether this worker takes new executions: the slot supplier of the queue's first activity.

A pause, a drain and a full machine all close the same gate; executions that are under way go on, since their
activities run on the home queue, which has slots of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from temporalio.worker import (
    CustomSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)


class AdmissionGate:
    """Open when the worker wants work. Shared by all queues of an engine; belongs to its event loop."""

    def __init__(self, *, has_room: Callable[[int], bool]) -> None:
        self._has_room = has_room
        self._open = True
        self._changed: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.reserved = 0

    @property
    def admits(self) -> bool:
        return self._open and self._has_room(self.reserved)

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

    async def wait(self) -> None:
        """Return when another execution may be taken, having reserved its place."""
        self._loop = asyncio.get_running_loop()
        if self._changed is None:
            self._changed = asyncio.Event()
        while not self.admits:
            self._changed.clear()
            await self._changed.wait()
        self.reserved += 1

    def give_back(self) -> None:
        self.reserved = max(0, self.reserved - 1)
        self.look_again()


class _Permit(SlotPermit):
    def __init__(self) -> None:
        self.counted = True


class AdmissionSlots(CustomSlotSupplier):
    """Reserves a slot for `begin_execution` only while the gate admits one."""

    def __init__(self, gate: AdmissionGate) -> None:
        self._gate = gate

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:  # noqa: ARG002
        await self._gate.wait()
        return _Permit()

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:  # noqa: ARG002
        if not self._gate.admits:
            return None
        self._gate.reserved += 1
        return _Permit()

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        # From here on the tracker counts the execution itself.
        self._uncount(ctx.permit)

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        self._uncount(ctx.permit)

    def _uncount(self, permit: SlotPermit) -> None:
        if isinstance(permit, _Permit) and permit.counted:
            permit.counted = False
            self._gate.give_back()
