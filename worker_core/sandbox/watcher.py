"""Looks at what the trees of running calls use up, and ends the one that goes too far. It sleeps while nothing runs."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from worker_core.sandbox.limits import Limits

log = logging.getLogger(__name__)

PERIOD_SECONDS = 0.2
FOLDER_PERIOD_SECONDS = 5.0
"""Between two looks at the size of a workspace, unless the disk fills quickly; longer where a look takes long."""

_FILLS_QUICKLY_BYTES = 256 * 1024 * 1024
_DISK_RESERVE_BYTES = 256 * 1024 * 1024
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Of a process tree. Memory counts what is its own, not the pages of files."""

    processes: int
    memory_bytes: int
    cpu_seconds: float


@dataclass(slots=True, kw_only=True, eq=False)
class Watched:
    """One running call."""

    root: int
    limits: Limits
    workspace: Path | None
    kill: Callable[[], None]
    exceeded: str = ""
    """Why it was ended, as a sentence for the model."""

    _next_folder_look: float = field(default_factory=lambda: time.monotonic() + FOLDER_PERIOD_SECONDS)
    _free_at_last_look: int = -1

    def look(self) -> None:
        if self.exceeded:
            self.kill()  # once more: something was starting while it was ended
        elif reason := self._reason():
            self.exceeded = reason
            self.kill()

    def _reason(self) -> str:
        used = tree_usage(self.root, most_processes=self.limits.processes)
        if used is not None:
            if used.processes > self.limits.processes:
                return f"It started more than {self.limits.processes} processes and was stopped, with all of them."
            if used.memory_bytes > self.limits.memory_bytes:
                return f"It used more than {_megabytes(self.limits.memory_bytes)} of memory and was stopped."
            if used.cpu_seconds > self.limits.cpu_time.total_seconds():
                return (
                    f"It used more than {self.limits.cpu_time.total_seconds():g} s of processor time and was stopped."
                )
        return self._folder_reason()

    def _folder_reason(self) -> str:
        if self.workspace is None:
            return ""
        free = _free_bytes(self.workspace)
        if self._free_at_last_look < 0:
            self._free_at_last_look = free
        shrunk = self._free_at_last_look - free
        now = time.monotonic()
        if now < self._next_folder_look and shrunk < _FILLS_QUICKLY_BYTES:
            return ""
        self._free_at_last_look = free
        if 0 <= free < _DISK_RESERVE_BYTES and shrunk > 0:
            return f"The disk has only {_megabytes(free)} left, so it was stopped. Delete what is not needed."
        size = folder_bytes(self.workspace, enough=self.limits.workspace_bytes)
        self._next_folder_look = time.monotonic() + max(FOLDER_PERIOD_SECONDS, 20 * (time.monotonic() - now))
        if size > self.limits.workspace_bytes:
            return (
                f"The workspace holds more than {_megabytes(self.limits.workspace_bytes)}, so it was stopped. "
                "Delete what is not needed before you go on."
            )
        return ""


class Watcher:
    """One per process."""

    def __init__(self) -> None:
        self._watched: list[Watched] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, watched: Watched) -> None:
        """Watch a call from now on."""
        with self._changed:
            self._watched.append(watched)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="tool limits", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, watched: Watched) -> None:
        """It ended. Its process id is not looked at once this returns."""
        with self._changed:
            if watched in self._watched:
                self._watched.remove(watched)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._watched:
                    self._changed.wait()
                self._changed.wait(PERIOD_SECONDS)
                present = list(self._watched)
            for one in present:
                with self._changed:
                    if one not in self._watched:
                        continue
                try:
                    one.look()
                except Exception:
                    log.exception("The use of resources of a tool could not be looked at.")


def tree_usage(root: int, *, most_processes: int) -> Usage | None:
    """What a process and its descendants use; None where it is gone. It stops counting above `most_processes`."""
    if not Path("/proc/self/task").exists():
        return _tree_usage_elsewhere(root)
    processes, memory, ticks = 0, 0, 0
    for process_id in _descendants(root):
        try:
            fields = Path(f"/proc/{process_id}/stat").read_bytes().rpartition(b")")[2].split()
            pages = Path(f"/proc/{process_id}/statm").read_bytes().split()
        except OSError:
            continue
        processes += int(fields[17])  # threads: the kernel counts them as well
        ticks += sum(map(int, fields[11:15]))  # its own, and that of children which ended
        memory += max(0, int(pages[1]) - int(pages[2])) * _PAGE_BYTES
        if processes > 2 * most_processes:
            break
    if not processes:
        return None
    return Usage(processes=processes, memory_bytes=memory, cpu_seconds=ticks / _TICKS)


_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def _descendants(root: int) -> Iterator[int]:
    waiting = [root]
    while waiting:
        process_id = waiting.pop()
        yield process_id
        waiting.extend(children_of(process_id))


def children_of(process_id: int) -> list[int]:
    """Linux: the children of all its threads."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{process_id}/task"):  # noqa: PTH208 -- five times a second
            with contextlib.suppress(OSError):
                found += map(int, Path(f"/proc/{process_id}/task/{thread}/children").read_bytes().split())
    return found


def _tree_usage_elsewhere(root: int) -> Usage | None:
    import psutil

    try:
        tree = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    except psutil.Error:
        return None
    memory, seconds = 0, 0.0
    for process in tree:
        with contextlib.suppress(psutil.Error):
            memory += process.memory_info().rss
            times = process.cpu_times()
            seconds += times.user + times.system
    return Usage(processes=len(tree), memory_bytes=memory, cpu_seconds=seconds)


def folder_bytes(folder: Path, *, enough: int) -> int:
    """Disk space of a folder and all below it, links not followed; it stops counting above `enough`."""
    total = 0
    waiting = [str(folder)]
    while waiting and total <= enough:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        status = entry.stat(follow_symlinks=False)
                        total += getattr(status, "st_blocks", (status.st_size + 511) // 512) * 512
    return total


def _free_bytes(folder: Path) -> int:
    if sys.platform == "win32":
        return -1
    try:
        status = os.statvfs(folder)
    except OSError:
        return -1
    return status.f_bavail * status.f_frsize


def _megabytes(size: int) -> str:
    return f"{size // _MEGABYTE} MB"


WATCHER = Watcher()
"""The process's own."""
