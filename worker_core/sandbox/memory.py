"""The memory of a tree of processes, where no control group counts it.

`/proc/PID/statm` says in 7 microseconds what a process has at most; only where that is too much, `/proc/PID/smaps` is
asked, which takes the longer the more there is. Memory that several processes share counts once.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Collection
from typing import Final

from worker_core.sandbox.open_files import OpenFiles, memory_device
from worker_core.sandbox.tree import Process, read

FREE_SOCKETS: Final = 64
"""What more sockets than these may hold in their buffers counts, whether they do or not: of those between processes the
kernel tells nobody outside their network."""

_SHARE: Final = 10
"""Times as long as an exact look took, until the next."""

_KILOBYTE: Final = 1024


class TreeMemory:
    """One tree, looked at again and again."""

    def __init__(self) -> None:
        self._exact_bytes = 0
        self._next_exact = 0.0

    def used(self, processes: Collection[Process], held: OpenFiles, *, enough: int) -> int:
        """Bytes: at least what they use where that is not more than `enough`, else what they use.

        Args:
            processes: the tree.
            held: by all of them.
            enough: the exact figure matters only above it.

        """
        nameless = sum(held.memory.values()) + held.queued_bytes + _socket_bytes(held.sockets)
        at_most = sum(one.resident_bytes for one in processes) + nameless
        if at_most + _swapped_bytes() <= enough:
            return at_most
        began = time.monotonic()
        if began >= self._next_exact:
            self._exact_bytes = sum(_exact_bytes(one.id, held) for one in processes)
            now = time.monotonic()
            self._next_exact = now + _SHARE * (now - began)
        return self._exact_bytes + nameless


def _exact_bytes(process_id: int, held: OpenFiles) -> int:
    """A process's part of what it maps, without pages of files and without what `held` has already."""
    try:
        lines = read(f"/proc/{process_id}/smaps").splitlines()
    except OSError:
        return 0
    total = 0
    counts, own_pages_only = False, False
    proportional = anonymous = 0
    for line in lines:
        name, _, rest = line.partition(b":")
        if not name[:1].isupper():  # an area begins: addresses, rights, offset, device, inode, path
            total += min(proportional, anonymous) if own_pages_only else proportional if counts else 0
            proportional = anonymous = 0
            counts, own_pages_only = _kind(line, held)
        elif name == b"Pss":
            proportional = int(rest.split()[0]) * _KILOBYTE
        elif name == b"Anonymous":
            anonymous = int(rest.split()[0]) * _KILOBYTE
        elif name == b"SwapPss":
            total += int(rest.split()[0]) * _KILOBYTE
    return total + (min(proportional, anonymous) if own_pages_only else proportional if counts else 0)


def _kind(line: bytes, held: OpenFiles) -> tuple[bool, bool]:
    """Whether an area counts, and whether only with the pages that are no file's any more."""
    fields = line.split(None, 5)
    inode = int(fields[4])
    if inode == 0:
        return True, False
    if sys.platform == "win32":
        return True, True
    major, _, minor = fields[3].partition(b":")
    device = os.makedev(int(major, 16), int(minor, 16))
    if device != memory_device():
        return True, True
    return (device, inode) not in held.memory, False


def _socket_bytes(sockets: int) -> int:
    if sockets <= FREE_SOCKETS:
        return 0
    most = 212_992  # the kernel's own default
    with contextlib.suppress(OSError, ValueError):
        most = int(read("/proc/sys/net/core/wmem_default"))
    return (sockets - FREE_SOCKETS) * most


def _swapped_bytes() -> int:
    """Of the whole machine."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        found = dict(line.split(b":", 1) for line in read("/proc/meminfo").splitlines() if line.startswith(b"Swap"))
        return (int(found[b"SwapTotal"].split()[0]) - int(found[b"SwapFree"].split()[0])) * _KILOBYTE
    return 0
