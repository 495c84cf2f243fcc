"""How loaded this machine is, and this process: processor, memory, disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from worker_core.basics.files import nearest_existing
from worker_core.machine.memory import memory
from worker_core.snapshot import Health

LEAST_SECONDS = 0.2
"""Of all processors together. The system counts in hundredths: of less, a share would be chance."""


class ProcessorMeter:
    """How busy all processors were from one look to the next.

    Not `psutil.cpu_percent`: since 5.9.6 it remembers the look before by thread, and says 0 at each thread's first one,
    so that a sampler in a pool of threads is told 0 now and again.
    """

    def __init__(self, *, times: Callable[[], Any] = psutil.cpu_times) -> None:
        """`times` gives seconds since the system's start, by their kind."""
        self._times = times
        self._before = _busy_and_all(times())

    def percent(self) -> float | None:
        """0 to 100, since the look before; None where that was a moment ago. Then it is measured from there on."""
        now, (busy, whole) = _busy_and_all(self._times()), self._before
        if now[1] - whole < LEAST_SECONDS:
            return None
        self._before = now
        return min(100.0, max(0.0, round(100 * (now[0] - busy) / (now[1] - whole), 1)))


def _busy_and_all(times: Any) -> tuple[float, float]:
    """As psutil counts them: what guests took is in `user` and `nice` already, and waiting for a disk is idle."""
    counted = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return counted - times.idle - getattr(times, "iowait", 0.0), counted


def _gpu_labels(program: str | None) -> Mapping[str, str]:
    from worker_core.machine import gpu_facts

    return gpu_facts.labels(gpu_facts.look(program).gpus)


class HealthSampler:
    """Reads psutil. A sample costs about a millisecond; percentages of the processor are since the sample before."""

    def __init__(self, *, disk_path: Path) -> None:
        """`disk_path` need not exist yet: the disk is that of its nearest folder which does."""
        self._disk_path = disk_path
        self._process = psutil.Process()
        self._processor = ProcessorMeter()
        self._learning: asyncio.Future[Mapping[str, str]] | None = None
        self.gpu_labels: Mapping[str, str] = {}
        """What is said of this machine's GPUs; empty: nothing is known of any."""

    async def learn_gpus(self, *, driver: Path = Path("/dev/nvidiactl"), program: str | None = None) -> None:
        """Ask for them, once, where there is a driver. It may take seconds; nothing is imported where there is none.

        Args:
            driver: the node that says so; on Windows the program does.
            program: is asked; None: `nvidia-smi`.
        """
        if self._learning is None:
            if not (sys.platform == "win32" or os.path.exists(driver)):  # noqa: ASYNC240, PTH110
                return
            self._learning = asyncio.ensure_future(asyncio.to_thread(_gpu_labels, program))
        self.gpu_labels = await asyncio.shield(self._learning)

    async def sample(self) -> Health:
        """A fresh sample; in a thread, since a network drive that hangs would hold up everything.

        Raises:
            OSError, psutil.Error: the system does not tell.
        """
        return await asyncio.to_thread(self._sample)

    def _sample(self) -> Health:
        there = memory()
        disk = shutil.disk_usage(nearest_existing(self._disk_path))
        return Health(
            cpu_percent=self._processor.percent(),
            memory_percent=there.percent,
            memory_total_bytes=there.total_bytes,
            memory_used_bytes=there.used_bytes,
            disk_percent=round(100.0 * disk.used / disk.total, 1) if disk.total else 0.0,
            disk_total_bytes=disk.total,
            disk_used_bytes=disk.used,
            process_rss_bytes=self._process.memory_info().rss,
            sampled_at=datetime.now(UTC),
        )
