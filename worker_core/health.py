"""This machine and this process: load, memory, disk; whether the machine slept; which networks it is in."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import psutil

from worker_core import __version__
from worker_core.claude.installation import supported_runtimes
from worker_core.control_plane.models import SystemInfo
from worker_core.snapshot import Health

SLEPT_FOR: Final = timedelta(seconds=20)
"""A gap this much longer than the interval between two looks means that the machine, or this process, was away."""

_CGROUP: Final = Path("/sys/fs/cgroup")


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
        memory = psutil.virtual_memory()
        disk = shutil.disk_usage(_existing(self._disk_path))
        return Health(
            cpu_percent=psutil.cpu_percent(interval=None),
            memory_percent=memory.percent,
            memory_total_bytes=memory.total,
            memory_used_bytes=memory.used,
            disk_percent=round(100.0 * disk.used / disk.total, 1) if disk.total else 0.0,
            disk_total_bytes=disk.total,
            disk_used_bytes=disk.used,
            process_rss_bytes=self._process.memory_info().rss,
            sampled_at=datetime.now(UTC),
        )


class SleepDetector:
    """Compares clocks between two looks. A wall clock that was set forward looks like sleep too, which is harmless:
    connections are then checked, no more.
    """

    def __init__(
        self,
        *,
        interval: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`interval` is the time between two looks when nothing happens."""
        self._interval = interval.total_seconds()
        self._monotonic, self._wall = monotonic, wall
        self._seen = (monotonic(), wall())

    def woke_up(self) -> bool:
        """Whether the machine slept, or the process stood still, since the last look."""
        before, self._seen = self._seen, (self._monotonic(), self._wall())
        # On Linux and macOS the monotonic clock stands still during sleep, on Windows it goes on: the longer one tells.
        away = max(self._seen[0] - before[0], self._seen[1] - before[1]) - self._interval
        return away > SLEPT_FOR.total_seconds()


def network_fingerprint() -> frozenset[tuple[str, str]]:
    """Interfaces that are up, with their addresses; loopback and link-local addresses left out."""
    try:
        states, addresses = psutil.net_if_stats(), psutil.net_if_addrs()
    except (OSError, psutil.Error):
        return frozenset()
    return frozenset(
        (name, entry.address)
        for name, entries in addresses.items()
        if name in states and states[name].isup
        for entry in entries
        if entry.family in {socket.AF_INET, socket.AF_INET6}
        and not entry.address.startswith(("127.", "169.254.", "fe80:", "::1"))
    )


def available_memory_bytes() -> int:
    """Memory that new work may take: of the machine, or of the container where that is less."""
    available = psutil.virtual_memory().available
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        return available if limit == "max" else max(0, min(available, int(limit) - used))
    except (OSError, ValueError):  # no cgroup v2 here
        return available


def system_info(sample: Health | None = None) -> SystemInfo:
    """What the control plane shows of this machine (protocol, 2.2); with a sample, its load as well."""
    known = SystemInfo(
        hostname=socket.gethostname(),
        platform=platform.platform(),
        os_name=platform.system(),
        os_version=platform.release(),
        python_version=platform.python_version(),
        cli_version=__version__,
        sdk_version=__version__,
        pid=os.getpid(),
        supported_runtimes=supported_runtimes(),
        docker_available=shutil.which("docker") is not None,
        cpu_count=os.cpu_count(),
        uptime_seconds=round(time.time() - psutil.boot_time(), 1),
    )
    if sample is None:
        return known
    return msgspec.structs.replace(
        known,
        cpu_percent=sample.cpu_percent,
        memory_total=sample.memory_total_bytes,
        memory_used=sample.memory_used_bytes,
        memory_percent=sample.memory_percent,
        disk_total=sample.disk_total_bytes,
        disk_used=sample.disk_used_bytes,
        disk_percent=sample.disk_percent,
    )


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
