"""The processes of a running call: who they are, and what they use of the processor and of memory."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Collection, Mapping
from typing import Final

from worker_core.basics.quick_dataclass import dataclass

IS_LINUX: Final = sys.platform == "linux"
PAGE_BYTES, TICKS = 4096, 100
"""Of a page, and of the kernel's clock in a second."""

if sys.platform != "win32":
    PAGE_BYTES, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")

_LONGEST = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One look at a process (`proc_pid_stat(5)`)."""

    id: int
    started: int
    """Ticks after the machine's start: with the id, it names one process for good."""

    is_zombie: bool
    threads: int
    own_ticks: int
    waited_ticks: int
    """Of children that ended and were waited for, and theirs."""

    resident_bytes: int


def look(root: int, *, most: int) -> list[Process]:
    """A process and its descendants; empty where it is gone. Where it sees more than `most` threads, it looks no
    further.
    """
    found: list[Process] = []
    threads = 0
    waiting = [root]
    while waiting and threads <= most:
        process_id = waiting.pop()
        with contextlib.suppress(OSError):
            folder = f"/proc/{process_id}"
            fields = read(f"{folder}/stat").rpartition(b")")[2].split()
            pages = read(f"{folder}/statm").split()
            resident = int(pages[1])
            found.append(
                Process(
                    id=process_id,
                    started=int(fields[19]),
                    is_zombie=fields[0] in {b"Z", b"X"},
                    threads=int(fields[17]),  # the kernel counts them as processes, too
                    own_ticks=int(fields[11]) + int(fields[12]),
                    waited_ticks=int(fields[13]) + int(fields[14]),
                    resident_bytes=resident * PAGE_BYTES,
                )
            )
            threads += found[-1].threads
            waiting.extend(children_of(process_id))
    return found


def read(path: str) -> bytes:
    """A file of /proc. `pathlib` takes three times as long."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        pieces = []
        while piece := os.read(descriptor, _LONGEST):  # the kernel gives whole lines, and fewer than would fit
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def children_of(process_id: int) -> list[int]:
    """Linux: the children of all its threads."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{process_id}/task"):  # noqa: PTH208 -- five times a second
            with contextlib.suppress(OSError):
                found += map(int, read(f"/proc/{process_id}/task/{thread}/children").split())
    return found


class ProcessorTime:
    """What a tree has used in all, also by children that nobody waits for.

    Of a child that was waited for, the kernel adds the time to its parent's; of others it forgets it. So what is gone
    is held against what the others were given: what is missing there is the tree's all the same. How much a process
    used after the last look at it is estimated from its share until then.
    """

    def __init__(self) -> None:
        self._before: Mapping[tuple[int, int], tuple[Process, float]] = {}
        """Those of the last look, and the share of the processor that each had."""

        self._met_before: Collection[tuple[int, int]] = ()
        self._gone = 0.0
        self._gone_until_last_look = 0.0
        self._given = 0.0

    def seconds(self, processes: Collection[Process], *, since_last: float) -> float:
        """In all until now.

        Args:
            processes: the tree.
            since_last: seconds since the last look.

        """
        now = _machine_seconds()
        present = {(one.id, one.started): one for one in processes}
        # A parent that waits is seen to have been given the time a look later, so the newest losses wait for one.
        self._gone_until_last_look = self._gone
        for key, (one, share) in self._before.items():
            if key not in present:
                unseen = since_last if key not in self._met_before else since_last / 2
                self._gone += (one.own_ticks + one.waited_ticks) / TICKS + share * unseen
            else:
                self._given += (present[key].waited_ticks - one.waited_ticks) / TICKS
        self._met_before = self._before.keys()
        self._before = {key: (one, _share(one, now)) for key, one in present.items()}
        seen = sum(one.own_ticks + one.waited_ticks for one in processes) / TICKS
        return seen + max(0.0, self._gone_until_last_look - self._given)


def _machine_seconds() -> float:
    """Since the machine's start, by the clock that processes are dated with."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "/proc is Linux's")
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _share(one: Process, now: float) -> float:
    """Of one processor, since it began."""
    age = max(now - one.started / TICKS, 1 / TICKS)
    used = one.own_ticks / TICKS
    if age < 1.0:  # ticks are too coarse for it
        with contextlib.suppress(OSError, ValueError, IndexError):
            used = max(used, int(read(f"/proc/{one.id}/schedstat").split()[0]) / 1e9)
    return min(used / age, float(one.threads))
