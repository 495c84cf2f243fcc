"""Which process trees of calls run in this process of ours, and whose a process of the machine's is.

Whoever asks the machine about a process knows its number there, which is not the one that it has in its sandbox. From
there its parents lead to what we have started, whatever it is called and whatever its environment says; without a
namespace of its own, its session does, where the parents are gone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Collection, Iterable
from typing import Final

from worker_core.sandbox.environment import is_mark_of

_DEEPEST: Final = 200
"""Parents of one process that are looked at."""


class RunningTrees:
    """One per process. Safe to use from any thread."""

    def __init__(self) -> None:
        self._marks: dict[int, str] = {}
        self._lock = threading.Lock()

    def add(self, root: int, mark: str) -> None:
        """A tree runs, or is another call's from now on.

        Args:
            root: process id of a child of ours, which is not waited for yet.
            mark: value of `KUBIYA_TOOL_CALL` in it.

        """
        with self._lock:
            self._marks[root] = mark

    def remove(self, root: int) -> None:
        """It has ended; its id is about to be free for another."""
        with self._lock:
            self._marks.pop(root, None)

    def executions_of(self, processes: Collection[int], *, among: Iterable[str]) -> dict[int, str]:
        """Whose processes these are. It takes a fraction of a millisecond for each: call it in a thread.

        Args:
            processes: their ids, as the machine numbers them.
            among: ids of executions.

        Returns:
            The id of the execution, by process. What is not here is nobody's of them.

        """
        with self._lock:
            marks = dict(self._marks)
        known = tuple(among)
        owners = {
            root: execution_id
            for root, mark in marks.items()
            if (execution_id := next((one for one in known if is_mark_of(mark, one)), ""))
        }
        roots: dict[int, int] = {}
        found = {}
        for process in processes if owners else ():
            if (owner := owners.get(_root_of(process, marks, roots))) is not None:
                found[process] = owner
        return found


def _root_of(process: int, among: Collection[int], known: dict[int, int]) -> int:
    """The tree that a process is in; 0: none. `known` keeps what was found on the way."""
    way: list[int] = []
    found, parent = 0, process
    while parent > 1 and len(way) < _DEEPEST:
        if parent in among:
            found = parent
            break
        if parent in known:
            found = known[parent]
            break
        way.append(parent)
        parent = _parent_of(parent)
    if not found and (session := _session_of(process)) in among:
        found = session
    known |= dict.fromkeys(way, found)
    return found


def _parent_of(process: int) -> int:
    import psutil

    with contextlib.suppress(psutil.Error, OSError, OverflowError, ValueError):
        return psutil.Process(process).ppid()
    return 0


def _session_of(process: int) -> int:
    if sys.platform != "win32":
        with contextlib.suppress(OSError, OverflowError):
            return os.getsid(process)
    return 0


RUNNING: Final = RunningTrees()
"""The process's own."""
