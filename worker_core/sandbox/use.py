"""What a running call uses: processes, memory, processor time, and files that no folder shows."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from worker_core.basics.quick_dataclass import dataclass
from worker_core.sandbox import tree
from worker_core.sandbox.control_groups import CONTROLLERS, MEMORY, TIME, CallGroup
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


class CallUse:
    """Of a process and all that it started, looked at again and again.

    Args:
        root: the process.
        limits: beyond them it need not count.
        disk: whose deleted files count; None: nobody's.
        group: the control group that it enters; what that counts is asked there.

    """

    def __init__(self, root: int, *, limits: Limits, disk: Path | None, group: CallGroup | None = None) -> None:
        self._root = root
        self._limits = limits
        self._group = group
        self._time = tree.ProcessorTime()
        self._memory = TreeMemory()
        self._held = OpenFilesLook(disk=_device(disk))
        self._last_look = time.monotonic()

    def now(self) -> Use | None:
        """None: it is gone, or its use cannot be asked.

        Raises:
            OSError: its control group is gone.

        """
        if not tree.IS_LINUX:
            return _elsewhere(self._root)
        if self._group is not None and all(map(self._group.counts, CONTROLLERS)):
            return self._of_group(self._group)
        return self._of_tree()

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel has ended one of its processes for that; false where it does not count it."""
        with contextlib.suppress(OSError):
            return self._group is not None and self._group.ran_out_of_memory()
        return False

    def _of_group(self, group: CallGroup) -> Use:
        return Use(
            processes=group.processes(),
            memory_bytes=0,  # the kernel sees to it
            cpu_seconds=group.cpu_seconds(),
            deleted_bytes=self._held.look(group.process_ids).deleted_bytes,
        )

    def _of_tree(self) -> Use | None:
        now = time.monotonic()
        processes = tree.look(self._root, most=2 * self._limits.processes)
        if not processes:
            return None
        held = self._held.look(lambda: [one.id for one in processes if not one.is_zombie])
        seconds = self._time.seconds(processes, since_last=now - self._last_look)
        self._last_look = now
        counts = self._group.counts if self._group is not None else lambda _: False
        return Use(
            processes=sum(one.threads for one in processes),
            memory_bytes=0 if counts(MEMORY) else self._memory.used(processes, held, enough=self._limits.memory_bytes),
            cpu_seconds=self._group.cpu_seconds() if self._group is not None and counts(TIME) else seconds,
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
