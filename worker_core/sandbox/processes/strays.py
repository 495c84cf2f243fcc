"""Finds and ends what a call left behind: in its session, and outside of it (setsid, double fork).

What left the session carries the call's mark in its environment. One that was started with an empty environment is not
found; the operating-system sandbox, where it is active, holds those too.
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
from worker_core.sandbox.process_handle import ProcessHandle

_PROC_SELF = Path("/proc/self/environ")
_PASSES = 5
"""One may start another while we look; whoever is faster than this many looks is not stopped by more of them."""

_LOOKS = 5
"""At a process without an environment, before it is believed to have none."""

_EXEC_SECONDS = 5.0
"""How long to wait for a program that is being loaded: more than a busy machine takes, unless its disk is gone."""

_ENVIRONMENT_END = 51 - 3
"""`env_end`: field 51; those behind the name in brackets begin with field 3."""


def end_strays(mark: str, *, session: int | None = None, seconds: float) -> bool:
    """End every process that carries the mark, or is in the session, and wait until they are dead.

    On Windows the job object has ended them already.

    Args:
        mark: value of `KUBIYA_TOOL_CALL`; empty: none.
        session: its leader, a child of ours that has ended and is not waited for yet; it is left alone.
        seconds: how long to wait, at most.

    Returns:
        False: something that was killed is not dead yet.

    """
    if sys.platform == "win32" or not (mark or session):
        return True
    until = time.monotonic() + seconds
    killed: dict[int, ProcessHandle | None] = {}
    try:
        for _ in range(_PASSES):
            found = [process_id for process_id in _left(mark, session) if process_id not in killed]
            for process_id in found:
                killed[process_id] = ProcessHandle.of(process_id)
                with contextlib.suppress(OSError):
                    os.kill(process_id, signal.SIGKILL)
            if not found:
                break
        dead = [_wait(process_id, handle, until) for process_id, handle in killed.items()]
        return all(dead)
    finally:
        for handle in filter(None, killed.values()):
            handle.close()


def _wait(process_id: int, handle: ProcessHandle | None, until: float) -> bool:
    if handle is not None:
        return handle.wait(max(0.0, until - time.monotonic()))
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(process_id)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)
    return True


def _left(mark: str, session: int | None) -> Iterator[int]:
    if _PROC_SELF.exists():
        # psutil does the same at ten times the cost, and this runs at the end of every call without a sandbox.
        wanted = f"{CALL_MARK}={mark}".encode() if mark else None
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit() or (process_id := int(entry.name)) == session:
                continue
            with contextlib.suppress(OSError):
                # One that dies shows no environment any more, but is in its session to the end.
                if _is_in(session, process_id) or (wanted is not None and wanted in _environment(Path(entry.path))):
                    yield process_id
        return
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == session:
                continue
            if _is_in(session, process.pid) or (mark and process.environ().get(CALL_MARK) == mark):
                yield process.pid


def _is_in(session: int | None, process_id: int) -> bool:
    return sys.platform != "win32" and session is not None and os.getsid(process_id) == session


def _environment(folder: Path) -> bytes:
    """Of a process, by its folder in /proc. One that becomes another program just now shows none for a moment."""
    until = time.monotonic() + _EXEC_SECONDS
    at_rest, pause = 0, 0.0002
    while not (shown := (folder / "environ").read_bytes()) and time.monotonic() < until:
        # It may be between two programs again as soon as it was seen with one: only a rest that lasts is one.
        if _is_in_exec(folder):
            at_rest, pause = 0, min(pause * 1.3, 0.01)  # never in step with one that does it over and over
            time.sleep(pause)
        elif (at_rest := at_rest + 1) == _LOOKS:
            break
    return shown


def _is_in_exec(folder: Path) -> bool:
    """Whether a process has a program but no environment yet, not even an empty one (`proc_pid_stat(5)`)."""
    if (folder / "stat").read_bytes().rpartition(b")")[2].split()[_ENVIRONMENT_END] != b"0":
        return False
    return bool((folder / "exe").readlink())  # FileNotFoundError: the kernel's own, or a zombie
