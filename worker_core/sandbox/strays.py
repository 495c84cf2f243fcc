"""Finds and ends processes of a call that left its group (setsid, double fork).

They carry the call's mark in their environment. One that was started with an empty environment is not found; the
operating-system sandbox, where it is active, holds those too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from worker_core.sandbox.environment import CALL_MARK

_PROC_SELF = Path("/proc/self/environ")
_PASSES = 5
"""One may start another while we look; whoever is faster than this many looks is not stopped by more of them."""

_EXEC_SECONDS = 0.5
"""How long to wait for a program that is being loaded: more than a busy machine takes, unless its disk is gone."""

_ENVIRONMENT_END = 51 - 3
"""`env_end`: field 51; those behind the name in brackets begin with field 3."""


def kill_strays(mark: str) -> None:
    """End every process that carries the mark. On Windows the job object has done so already."""
    if not mark or sys.platform == "win32":
        return
    killed: set[int] = set()  # they may be seen dying for a while, and begin nothing any more
    for _ in range(_PASSES):
        found = set(_carrying(mark)) - killed
        for process_id in found:
            with contextlib.suppress(OSError):
                os.kill(process_id, signal.SIGKILL)
        killed |= found
        if not found:
            return


def _carrying(mark: str) -> Iterator[int]:
    if _PROC_SELF.exists():
        # psutil does the same at ten times the cost, and this runs at the end of every call.
        wanted = f"{CALL_MARK}={mark}".encode()
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in _environment(Path(entry.path)):
                        yield int(entry.name)
        return
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(CALL_MARK) == mark:
                yield process.pid


def _environment(folder: Path) -> bytes:
    """Of a process, by its folder in /proc. One that becomes another program just now shows none for a moment."""
    shown = (folder / "environ").read_bytes()
    if not shown:
        until = time.monotonic() + _EXEC_SECONDS
        while _is_in_exec(folder) and time.monotonic() < until:
            time.sleep(0.001)
        shown = (folder / "environ").read_bytes()  # what was opened before belonged to the former program
    return shown


def _is_in_exec(folder: Path) -> bool:
    """Whether a process has a program but no environment yet, not even an empty one (`proc_pid_stat(5)`)."""
    if (folder / "stat").read_bytes().rpartition(b")")[2].split()[_ENVIRONMENT_END] != b"0":
        return False
    return bool((folder / "exe").readlink())  # FileNotFoundError: the kernel's own, or a zombie
