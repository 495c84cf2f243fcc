"""What a running call uses: processes, memory, processor time, and files that no folder shows."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from worker_core.sandbox import tree
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.memory import TreeMemory
from worker_core.sandbox.open_files import OpenFilesLook


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """At one moment. Memory counts what is no page of a file with a name."""

    processes: int
    """Threads are processes, too."""

    memory_bytes: int
    cpu_seconds: float
    deleted_bytes: int = 0
    """Of files that are open and have no name any more, on the workspace's disk."""


class TreeUse:
    """Of a process and its descendants, looked at again and again.

    Args:
        root: the process.
        limits: beyond them it need not count.
        disk: whose deleted files count; None: nobody's.

    """

    def __init__(self, root: int, *, limits: Limits, disk: Path | None) -> None:
        self._root = root
        self._limits = limits
        self._time = tree.ProcessorTime()
        self._memory = TreeMemory()
        self._held = OpenFilesLook(disk=_device(disk))
        self._last_look = time.monotonic()

    def now(self) -> Use | None:
        """None: it is gone."""
        if not tree.IS_LINUX:
            return _elsewhere(self._root)
        now = time.monotonic()
        processes = tree.look(self._root, most=2 * self._limits.processes)
        if not processes:
            return None
        held = self._held.look(one.id for one in processes if not one.is_zombie)
        seconds = self._time.seconds(processes, since_last=now - self._last_look)
        self._last_look = now
        return Use(
            processes=sum(one.threads for one in processes),
            memory_bytes=self._memory.used(processes, held, enough=self._limits.memory_bytes),
            cpu_seconds=seconds,
            deleted_bytes=held.deleted_bytes,
        )


def _device(folder: Path | None) -> int:
    with contextlib.suppress(OSError):
        if folder is not None:
            return folder.stat().st_dev
    return -1


def _elsewhere(root: int) -> Use | None:
    import psutil

    try:
        processes = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    except psutil.Error:
        return None
    memory, seconds = 0, 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            memory += process.memory_info().rss
            times = process.cpu_times()
            seconds += times.user + times.system
    return Use(processes=len(processes), memory_bytes=memory, cpu_seconds=seconds)
