"""How GPUs did while somebody looked: the last two minutes of each. No Qt."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Final

from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from worker_core.machine.gpu_use import GpuUse

SECONDS_A_LOOK: Final = 3.0
"""Whoever asks does so at this distance: each time a program is started."""

LOOKS: Final = 40
"""Two minutes of them."""


def _looks() -> deque[float | None]:
    return deque(maxlen=LOOKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCourse:
    """Of one GPU, at equal distances, the newest last; None: it was not known."""

    busy: deque[float | None] = field(default_factory=_looks)
    """Percent."""

    memory: deque[float | None] = field(default_factory=_looks)
    """Bytes in use."""


class GpuHistory:
    """By the place of each among its machine's. What came before a pause, or of another card in its place, is a gap."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self._courses: list[tuple[str, GpuCourse]] = []

    def note(self, use: GpuUse) -> list[GpuCourse]:
        """One more look; the courses, in the order of the look's GPUs."""
        now = self._clock()
        missed = 0 if self._last is None else max(0, min(LOOKS, round((now - self._last) / SECONDS_A_LOOK) - 1))
        self._last = now
        before = dict(self._courses)
        self._courses = []
        for one in use.gpus:
            key = one.gpu.uuid or f"{one.gpu.index}"
            course = before.get(key) or GpuCourse()
            for values, value in ((course.busy, one.gpu.busy_percent), (course.memory, one.gpu.used_bytes)):
                values.extend([None] * missed)
                values.append(None if value is None else float(value))
            self._courses.append((key, course))
        return [course for _, course in self._courses]
