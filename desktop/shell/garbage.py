"""Cyclic garbage, collected in the GUI's thread alone.

Python's collector runs in whatever thread happens to allocate. A Qt object in a cycle is then destroyed there, and its
timers and its children with it, which Qt does not survive ("Timers cannot be stopped from another thread"). So the
collector is off while the loop runs, and the loop looks after each turn, by Python's thresholds: nothing ticks for it.
"""

from __future__ import annotations

import gc
import sys
from types import TracebackType
from typing import Final

GROWTH: Final = 1.25
"""A full collection is worth its pause when this many times the blocks are in use that were after the last one. Python
has such a rule too, which does not hold for collections that are asked for."""


class GarbageKeeper:
    """A context manager; may be entered again inside itself, as loops may."""

    def __init__(self) -> None:
        self._depth = 0
        self._was_on = False
        self._blocks_after_full = 0

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._was_on = gc.isenabled()
            self._blocks_after_full = self._blocks_after_full or sys.getallocatedblocks()
            gc.disable()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth and self._was_on:
            gc.enable()

    def settle(self) -> None:
        """What there is now stays for the program's life: later collections need not look at it. Takes one full one."""
        gc.collect()
        gc.freeze()
        self._blocks_after_full = sys.getallocatedblocks()

    def look(self) -> int:
        """Collect what is due. In the GUI's thread only.

        Returns:
            The generation that was collected; -1: nothing was due.
        """
        if not self._depth:
            return -1
        counts, limits = gc.get_count(), gc.get_threshold()
        if not limits[0] or counts[0] <= limits[0]:
            return -1
        generation = 0 if counts[1] <= limits[1] else 1 if counts[2] <= limits[2] or not self._has_grown() else 2
        gc.collect(generation)
        if generation == 2:
            self._blocks_after_full = sys.getallocatedblocks()
        return generation

    def _has_grown(self) -> bool:
        return sys.getallocatedblocks() > GROWTH * self._blocks_after_full
