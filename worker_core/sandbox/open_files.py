"""What processes hold open that has no name and so is in no folder: deleted files, memory as a file, sockets."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.sandbox.folder_count import Identity, disk_bytes
from worker_core.sandbox.tree import read

_SHARE: Final = 20
"""Times as long as a look took, until the next."""


_FEW_SOCKETS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFiles:
    """Of a whole tree. What several processes hold counts once."""

    deleted_bytes: int = 0
    """Of files on the disk that was asked for."""

    memory: Mapping[Identity, int] = field(default_factory=dict)
    """Bytes of each file that is memory (memfd_create(2)), whether or not it is mapped."""

    sockets: int = 0
    queued_bytes: int = 0
    """What TCP connections hold that was said and not read yet, where their network is the tree's own."""


class OpenFilesLook:
    """Looks again and again, as often as a twentieth of a processor allows."""

    def __init__(self, *, disk: int) -> None:
        """`disk`: the device of the files that count as `deleted_bytes`."""
        self._disk = disk
        self._last = OpenFiles()
        self._next = 0.0

    def look(self, process_ids: Callable[[], Iterable[int]]) -> OpenFiles:
        """What is held, or was when it was looked at last."""
        began = time.monotonic()
        if sys.platform == "linux" and began >= self._next:
            self._last = open_files(process_ids(), disk=self._disk)
            now = time.monotonic()
            self._next = now + _SHARE * (now - began)
        return self._last


def open_files(process_ids: Iterable[int], *, disk: int) -> OpenFiles:
    """One look. What a process lets go of meanwhile, or does not let this worker see, is left out."""
    deleted: dict[Identity, int] = {}
    memory: dict[Identity, int] = {}
    sockets: set[int] = set()
    of_memory = memory_device()
    process_ids = list(process_ids)
    for process_id in process_ids:
        folder = f"/proc/{process_id}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208 -- five times a second
                with contextlib.suppress(OSError):
                    facts = os.stat(f"{folder}/{name}")  # noqa: PTH116
                    if stat.S_ISSOCK(facts.st_mode):
                        sockets.add(facts.st_ino)
                    elif stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
                        if facts.st_dev == disk:
                            deleted[facts.st_dev, facts.st_ino] = disk_bytes(facts)
                        elif facts.st_dev == of_memory:
                            memory[facts.st_dev, facts.st_ino] = disk_bytes(facts)
    return OpenFiles(
        deleted_bytes=sum(deleted.values()),
        memory=memory,
        sockets=len(sockets),
        queued_bytes=_queued_bytes(process_ids) if len(sockets) > _FEW_SOCKETS else 0,
    )


def _queued_bytes(process_ids: Iterable[int]) -> int:
    """See "proc_net_tcp" in the kernel's documents: the fifth column is what waits to leave and to be read."""
    queued = 0
    with contextlib.suppress(OSError):
        own = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116
        for process_id in process_ids:
            with contextlib.suppress(OSError, ValueError, IndexError):
                if os.stat(f"/proc/{process_id}/ns/net").st_ino == own:  # noqa: PTH116
                    continue
                for name in ("tcp", "tcp6"):
                    for line in read(f"/proc/{process_id}/net/{name}").splitlines()[1:]:
                        leaving, _, arrived = line.split()[4].partition(b":")
                        queued += int(leaving, 16) + int(arrived, 16)
                break
    return queued


@functools.cache
def memory_device() -> int:
    """The device of memory that has no file system: memfd_create(2), shared anonymous memory, System V's segments."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            descriptor = os.memfd_create("kubiya")
            try:
                return os.fstat(descriptor).st_dev
            finally:
                os.close(descriptor)
    return -1
