"""Whether a disk that a call may write on is nearly full.

What a workspace holds is counted (`folder_use.py`). A folder of the owner's is not: what was in it before is not the
call's, others write there as well, and a count gives itself rights that an owner took away. What its disk has left is
known at once, where it is one of this machine: a network's may not answer, and every call's watcher would wait for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from worker_core.sandbox.launcher import GrantedFolder
from worker_core.sandbox.mount_table import mounted

RESERVE_BYTES: Final = 256 * 1024 * 1024
"""What is left on a disk for others."""

_MEGABYTE: Final = 1024 * 1024
_OF_THIS_MACHINE: Final = frozenset(
    {"bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "ntfs3", "overlay", "ramfs", "reiserfs",
     "tmpfs", "vfat", "xfs", "zfs"}
)  # fmt: skip
"""File systems that answer without a network and without a program of somebody's."""


class DiskRoom:
    """The disk of one folder while a call runs that may write there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._free_before = free_bytes(folder)

    def reason(self) -> str:
        """Why the call must end, as a sentence for the model; empty: it need not."""
        free = free_bytes(self._folder)
        if not is_nearly_full(free, before=self._free_before):
            return ""
        return (
            f"The disk of {self._folder} has only {free // _MEGABYTE} MB left, so it was stopped. Delete what is not "
            "needed of what it wrote there."
        )


def rooms(folders: Iterable[GrantedFolder], *, besides: Path | None) -> list[DiskRoom]:
    """Of the disks that folders of the owner's are on, each once.

    Args:
        folders: that a call may use.
        besides: whose disk is looked at anyway.
    """
    written = [one.path for one in folders if one.writable]
    if not written or sys.platform != "linux":
        return []
    mounts = tuple(mounted())
    seen = {None if besides is None else device(besides)}
    found = []
    for folder in written:
        if _is_of_this_machine(folder, mounts) and (disk := device(folder)) not in seen:
            seen.add(disk)
            found.append(DiskRoom(folder))
    return found


def is_nearly_full(free: int, *, before: int) -> bool:
    """Whether it has less than others need, and less than it had. -1: it is not known."""
    return 0 <= free < RESERVE_BYTES and free < before


def free_bytes(folder: Path) -> int:
    """What its disk has left; -1 where that cannot be asked."""
    if sys.platform == "win32":
        return -1
    try:
        status = os.statvfs(folder)
    except OSError:
        return -1
    return status.f_bavail * status.f_frsize


def device(folder: Path) -> int | None:
    """The number of its disk; None: it cannot be asked."""
    with contextlib.suppress(OSError):
        return folder.stat().st_dev
    return None


def _is_of_this_machine(folder: Path, mounts: Iterable[tuple[Path, str]]) -> bool:
    found, deepest = "", -1
    for place, kind in mounts:
        if len(place.parts) >= deepest and folder.is_relative_to(place):  # of several at one place the last is seen
            found, deepest = kind, len(place.parts)
    return found in _OF_THIS_MACHINE
