"""How loaded this machine is, and this process: processor, memory, disk."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path

import psutil

from worker_core.basics.files import nearest_existing
from worker_core.machine.memory import memory
from worker_core.snapshot import Health


class HealthSampler:
    """Reads psutil. A sample costs about a millisecond; percentages of the processor are since the sample before."""

    def __init__(self, *, disk_path: Path) -> None:
        """`disk_path` need not exist yet: the disk is that of its nearest folder which does."""
        self._disk_path = disk_path
        self._process = psutil.Process()
        psutil.cpu_percent(interval=None)

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
            cpu_percent=psutil.cpu_percent(interval=None),
            memory_percent=there.percent,
            memory_total_bytes=there.total_bytes,
            memory_used_bytes=there.used_bytes,
            disk_percent=round(100.0 * disk.used / disk.total, 1) if disk.total else 0.0,
            disk_total_bytes=disk.total,
            disk_used_bytes=disk.used,
            process_rss_bytes=self._process.memory_info().rss,
            sampled_at=datetime.now(UTC),
        )
