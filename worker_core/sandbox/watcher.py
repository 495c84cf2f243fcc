"""Looks at what the trees of running calls use up, and ends the one that goes too far. It sleeps while nothing runs."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from worker_core.sandbox.folder_use import FolderUse
from worker_core.sandbox.limits import Limits

log = logging.getLogger(__name__)

PERIOD_SECONDS = 0.2
COUNT_SECONDS = 0.01
"""Of each period, for counting what workspaces hold: a twentieth, shared by all calls."""

LEAST_SECONDS = 0.001
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

    _folder: FolderUse | None = field(init=False)

    def __post_init__(self) -> None:
        self._folder = None if self.workspace is None else FolderUse(self.workspace, self.limits)

    def look(self, *, seconds: float) -> None:
        """`seconds` may go into the count of the workspace."""
        if self.exceeded:
            self.kill()  # once more: something was starting while it was ended
        elif reason := self._reason(seconds):
            self.exceeded = reason
            self.kill()

    def close(self) -> None:
        if self._folder is not None:
            self._folder.close()

    def _reason(self, seconds: float) -> str:
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
        return "" if self._folder is None else self._folder.reason(seconds)


class Watcher:
    """One per process."""

    def __init__(self) -> None:
        self._watched: list[Watched] = []
        self._over: list[Watched] = []
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
                self._over.append(watched)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._watched and not self._over:
                    self._changed.wait()
                self._changed.wait_for(lambda: self._over, PERIOD_SECONDS)
                present, over = list(self._watched), list(self._over)
                self._over.clear()
            for one in over:
                one.close()
            for one in present:
                with self._changed:
                    if one not in self._watched:
                        continue
                try:
                    one.look(seconds=max(LEAST_SECONDS, COUNT_SECONDS / len(present)))
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


def _megabytes(size: int) -> str:
    return f"{size // _MEGABYTE} MB"


WATCHER = Watcher()
"""The process's own."""
