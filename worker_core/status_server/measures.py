"""One look at an engine, from any thread: how it is, and everything that is measured of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Protocol

import psutil

from worker_core.basics.pulse import Pulse
from worker_core.basics.quick_dataclass import dataclass
from worker_core.events import EventBus
from worker_core.snapshot import EngineSnapshot
from worker_core.status_server.counts import Counts
from worker_core.status_server.families import Family, of_the_sdk
from worker_core.status_server.readiness import Patience, Readiness, readiness
from worker_core.status_server.report import ProcessView, measured
from worker_core.temporal.connection import metrics as sdk_metrics


class Watched(Protocol):
    """What is needed of an engine."""

    snapshot: EngineSnapshot
    events: EventBus


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen at one moment."""

    snapshot: EngineSnapshot
    clock: float
    """By `time.monotonic`."""

    silent_seconds: float
    why: Readiness
    alive: bool


class Measures:
    """Made and closed on the engine's event loop."""

    def __init__(self, engine: Watched, *, patience: Patience | None = None) -> None:
        """Counts from now on.

        Args:
            engine: what is looked at.
            patience: when the worker counts as stalled.
        """
        self._engine = engine
        self._patience = patience or Patience()
        self._loop = asyncio.get_running_loop()
        self._pulse = Pulse(self._loop)
        self._process = psutil.Process()
        self._counts = Counts()
        self._unlisten: Callable[[], None] = self._counts.listen(engine.events)
        sdk_metrics().keep_series()

    def close(self) -> None:
        """Count no more. May be called twice."""
        self._unlisten()

    def look(self) -> Look:
        silent = self._pulse.silent_seconds()
        snapshot, clock = self._engine.snapshot, time.monotonic()
        return Look(
            snapshot=snapshot,
            clock=clock,
            silent_seconds=silent,
            why=readiness(snapshot, clock=clock, silent_seconds=silent, patience=self._patience),
            alive=silent < self._patience.healthy.total_seconds(),
        )

    def families(self) -> list[Family]:
        """Ours, then the SDK's."""
        seen = self.look()
        ours = measured(
            seen.snapshot,
            clock=seen.clock,
            ready=seen.why == "serving",
            silent_seconds=seen.silent_seconds,
            counts=self._counts,
            process=self._look_at_process(),
        )
        return [*ours, *sdk_metrics().series(of_the_sdk)]

    def _look_at_process(self) -> ProcessView:
        with self._process.oneshot():
            times = self._process.cpu_times()
            open_fds: int | None = None
            if sys.platform != "win32":
                open_fds = self._process.num_fds()
            return ProcessView(
                cpu_seconds=times.user + times.system,
                resident_bytes=self._process.memory_info().rss,
                threads=self._process.num_threads(),
                started_at=self._process.create_time(),
                tasks=len(asyncio.all_tasks(self._loop)),
                open_fds=open_fds,
            )
