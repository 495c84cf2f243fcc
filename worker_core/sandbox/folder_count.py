"""What a folder holds, counted a piece at a time, whatever stands in it and whoever changes it meanwhile.

Every step begins at an open folder, as in `anchored.py`: no link is followed, no depth is out of reach of the longest
path, and a folder whose owner took away his own right to look is given it for the moment of the count.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

from worker_core.sandbox.limits import is_root
from worker_core.workspaces import anchored

_HELD: Final = 40
"""Folders above the one that is counted are kept open down to this depth; below it the way back is by `..`."""

_LOOK: Final = stat.S_IRUSR | stat.S_IXUSR
_BLOCK_BYTES: Final = 512
"""The unit of `st_blocks`, on every system that has it."""

_BETWEEN_LOOKS_AT_THE_CLOCK: Final = 32

Identity = tuple[int, int]
"""Device and inode."""


class FolderCount:
    """One count of a folder and all that is below it.

    Files with several names count once. What it finds changes while it counts: what is moved from a place that it has
    not seen to one that it has is not in it.

    Args:
        folder: it, and what is on the same disk below it.

    """

    def __init__(self, folder: Path) -> None:
        self.bytes = 0
        """Disk space, that of folders included."""

        self.entries = 0
        """Files, folders, links and whatever else has a name."""

        self.done = False
        self._several_names: set[Identity] = set()
        self._steps = self._by_descriptors(folder) if anchored.HAS_DESCRIPTORS else self._by_paths(folder)

    def go_on(self, *, seconds: float, bytes_enough: int, entries_enough: int) -> bool:
        """Count for a while; whether there is nothing left to count, or enough was found."""
        until = time.monotonic() + seconds
        for number, _ in enumerate(self._steps):
            if self.bytes > bytes_enough or self.entries > entries_enough:
                return True
            if number % _BETWEEN_LOOKS_AT_THE_CLOCK == 0 and time.monotonic() > until:
                return False
        self.done = True
        return True

    def close(self) -> None:
        """Count no further."""
        self._steps.close()

    def _add(self, facts: os.stat_result) -> None:
        self.entries += 1
        if facts.st_nlink > 1 and not stat.S_ISDIR(facts.st_mode):
            identity = (facts.st_dev, facts.st_ino)
            if identity in self._several_names:
                return
            self._several_names.add(identity)
        self.bytes += disk_bytes(facts)

    def _by_paths(self, folder: Path) -> Generator[None, None, None]:
        waiting = [str(folder)]
        while waiting:
            with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    yield
                    with contextlib.suppress(OSError):
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        self._add(entry.stat(follow_symlinks=False))

    def _by_descriptors(self, folder: Path) -> Generator[None, None, None]:
        """Depth first; of each folder on the way, the names of those that wait in it."""
        levels: list[_Level] = []
        try:
            with contextlib.suppress(OSError):
                levels.append(_top(folder))
                yield from self._list(levels[0])
            while levels:
                level = levels[-1]
                yield
                if not level.names:
                    _leave(levels)
                    continue
                with contextlib.suppress(OSError):
                    levels.append(_Level.below(level.descriptor, level.names.pop()))
                    if len(levels) > _HELD:
                        level.let_go()
                    yield from self._list(levels[-1])
        finally:
            for level in levels:
                level.close()

    def _list(self, level: _Level) -> Iterator[None]:
        with os.scandir(level.descriptor) as entries:
            for entry in entries:
                yield
                with contextlib.suppress(OSError):
                    facts = entry.stat(follow_symlinks=False)
                    self._add(facts)
                    if stat.S_ISDIR(facts.st_mode) and facts.st_dev == level.identity[0]:
                        level.names.append(entry.name)


class _Level:
    """A folder on the way down. `descriptor` is -1 where it is not kept open."""

    def __init__(self, descriptor: int, *, mode_before: int | None = None) -> None:
        self.descriptor = descriptor
        self.names: list[str] = []
        facts = os.fstat(descriptor)
        self.identity: Identity = (facts.st_dev, facts.st_ino)
        self._mode_before = mode_before
        if sys.platform != "win32" and not is_root() and facts.st_mode & _LOOK != _LOOK:
            if mode_before is None:
                self._mode_before = stat.S_IMODE(facts.st_mode)
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, stat.S_IMODE(facts.st_mode) | _LOOK)

    @classmethod
    def below(cls, parent: int, name: str) -> _Level:
        """Raises OSError: it is gone, became something else, or is not ours to look at."""
        try:
            return cls(os.open(name, anchored.FOLDER, dir_fd=parent))
        except PermissionError:
            mode = stat.S_IMODE(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
            anchored.allow(name, parent)
            return cls(os.open(name, anchored.FOLDER, dir_fd=parent), mode_before=mode)

    def let_go(self) -> None:
        os.close(self.descriptor)
        self.descriptor = -1

    def return_from(self, child: _Level) -> bool:
        """Open it anew from below; false where the way up leads to another one by now."""
        try:
            descriptor = os.open("..", anchored.FOLDER, dir_fd=child.descriptor)
        except OSError:
            return False
        facts = os.fstat(descriptor)
        if (facts.st_dev, facts.st_ino) != self.identity:
            os.close(descriptor)
            return False
        self.descriptor = descriptor
        return True

    def close(self) -> None:
        if self.descriptor < 0:
            return
        if sys.platform != "win32" and self._mode_before is not None:
            with contextlib.suppress(OSError):
                os.fchmod(self.descriptor, self._mode_before)
        self.let_go()


def _top(folder: Path) -> _Level:
    parent = os.open(folder.parent, anchored.FOLDER)
    try:
        return _Level.below(parent, folder.name)
    finally:
        os.close(parent)


def _leave(levels: list[_Level]) -> None:
    left = levels.pop()
    if levels and levels[-1].descriptor < 0 and not levels[-1].return_from(left):
        while levels[-1].descriptor < 0:  # it was moved away: what waits in between is not found again
            levels.pop()
    left.close()


def disk_bytes(facts: os.stat_result) -> int:
    if sys.platform == "win32":
        return (facts.st_size + _BLOCK_BYTES - 1) // _BLOCK_BYTES * _BLOCK_BYTES
    return facts.st_blocks * _BLOCK_BYTES
