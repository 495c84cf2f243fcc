"""How this machine does, sampled only while somebody looks: processor, memory, disk, network, battery. No Qt."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import field

import psutil

from desktop.system.platforms.ports import Charge
from worker_core.basics.quick_dataclass import dataclass
from worker_core.machine.load import ProcessorMeter
from worker_core.machine.memory import memory
from worker_core.snapshot import SdkView

POINTS = 120
SECONDS_A_POINT = 1.0
"""Whoever samples does so at this distance."""

NO_CHARGE = Charge()
"""Of a machine without a battery, or that does not tell."""

_MEASURES = (
    "cpu", "memory", "process", "disk_read", "disk_write", "received", "sent", "delay", "slots",
    "workflow_slots", "activity_slots", "polls", "polls_empty", "cached", "requests", "failures", "wait",
)  # fmt: skip


@dataclass(slots=True)
class Vitals:
    """Histories by name, in the units of `_MEASURES`' readers: percent, bytes, bytes per second, milliseconds."""

    history: dict[str, deque[float | None]] = field(
        default_factory=lambda: {name: deque(maxlen=POINTS) for name in _MEASURES}
    )
    battery: Charge = NO_CHARGE
    memory_total: int = 0
    _counters: tuple[float, int, int, int, int] | None = None
    _paused_at: float | None = None
    _sdk: tuple[float, int, int, int, int] | None = None
    _processor: ProcessorMeter = field(default_factory=ProcessorMeter)
    _process: psutil.Process = field(default_factory=psutil.Process)
    _clock: Callable[[], float] = time.monotonic

    def last(self, name: str) -> float | None:
        history = self.history[name]
        return history[-1] if history else None

    def sample(
        self, *, delay_ms: float, slots: int, sdk: SdkView | None = None, pid: int = 0, charge: Charge = NO_CHARGE
    ) -> None:
        """One point of each, also of what is not known; a fifth of a millisecond.

        Args:
            delay_ms: how late the event loop was.
            slots: executions at work.
            sdk: what Temporal's SDK counts.
            pid: the worker's process, whose memory is noted; 0: this one.
            charge: of the machine's batteries.
        """
        self._catch_up()
        for history in self.history.values():
            history.append(None)
        there = memory()
        self.memory_total = there.total_bytes
        if (busy := self._processor.percent()) is not None:
            self._note("cpu", busy)
        self._note("memory", there.percent)
        self._note_process(pid or os.getpid())
        self._note("delay", delay_ms)
        self._note("slots", float(slots))
        self._rates()
        self._note_sdk(sdk or SdkView())
        self.battery = charge

    def _note_process(self, pid: int) -> None:
        with contextlib.suppress(psutil.Error):
            if self._process.pid != pid:
                self._process = psutil.Process(pid)
                self.history["process"].clear()
                self.history["process"].append(None)
            self._note("process", float(self._process.memory_info().rss))

    def _note_sdk(self, sdk: SdkView) -> None:
        self._note("workflow_slots", float(sdk.workflow_slots_used))
        self._note("activity_slots", float(sdk.activity_slots_used))
        self._note("cached", float(sdk.cached_workflows))
        if sdk.wait_ms is not None:
            self._note("wait", sdk.wait_ms)
        now = (self._clock(), sdk.polls, sdk.polls_empty, sdk.requests, sdk.failures)
        before, self._sdk = self._sdk, now
        if before is None or now[0] <= before[0] or now[1] < before[1]:
            return
        for place, name in enumerate(("polls", "polls_empty", "requests", "failures"), start=1):
            self._note(name, max(0.0, (now[place] - before[place]) / (now[0] - before[0])))

    def pause(self) -> None:
        """Nobody looks any more: the next rates begin anew, and what was between is a gap as long as it lasted."""
        if self._paused_at is None and any(self.history.values()):
            self._paused_at = self._clock()
        self._counters = self._sdk = None
        self._processor = ProcessorMeter()

    def _catch_up(self) -> None:
        if self._paused_at is None:
            return
        gap, self._paused_at = (self._clock() - self._paused_at) / SECONDS_A_POINT, None
        for history in self.history.values():
            history.extend([None] * min(POINTS, int(gap)))

    def _rates(self) -> None:
        disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
        now = (
            self._clock(),
            disk.read_bytes if disk else 0,
            disk.write_bytes if disk else 0,
            network.bytes_recv if network else 0,
            network.bytes_sent if network else 0,
        )
        before, self._counters = self._counters, now
        if before is None or now[0] <= before[0]:
            return
        seconds = now[0] - before[0]
        for place, name in enumerate(("disk_read", "disk_write", "received", "sent"), start=1):
            self._note(name, max(0.0, (now[place] - before[place]) / seconds))

    def _note(self, name: str, value: float) -> None:
        self.history[name][-1] = value
