"""Finds and ends processes of a call that left its group (setsid, double fork).

They carry the call's mark in their environment. One that was started with an empty environment is not found; the
operating-system sandbox, where it is active, holds those too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from worker_core.sandbox.environment import CALL_MARK

_PROC_SELF = Path("/proc/self/environ")
_PASSES = 5
"""One may start another while we look; whoever is faster than this many looks is not stopped by more of them."""


def kill_strays(mark: str) -> None:
    """End every process that carries the mark. On Windows the job object has done so already."""
    if not mark or sys.platform == "win32":
        return
    for _ in range(_PASSES):
        found = list(_carrying(mark))
        for process_id in found:
            with contextlib.suppress(OSError):
                os.kill(process_id, signal.SIGKILL)
        if not found:
            return


def _carrying(mark: str) -> Iterator[int]:
    if _PROC_SELF.exists():
        # psutil does the same at ten times the cost, and this runs at the end of every call.
        wanted = f"{CALL_MARK}={mark}".encode()
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in Path(entry.path, "environ").read_bytes():
                        yield int(entry.name)
        return
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(CALL_MARK) == mark:
                yield process.pid
