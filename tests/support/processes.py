"""What the tests of real processes share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import psutil

POLL_SECONDS = 0.01
LIMIT_SECONDS = 60.0


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(POLL_SECONDS)


async def eventually(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(POLL_SECONDS)


def written_pid(file: Path) -> int | None:
    """The process id in a file, once it is there as a whole."""
    text = file.read_text() if file.exists() else ""
    return int(text) if text.endswith("\n") else None


def pid_in(file: Path) -> int:
    pid = written_pid(file)
    assert pid is not None
    return pid


OF_THE_C_LIBRARY = 0b11 << 31
"""Signals 32 and 33 are glibc's own, and its posix_spawn leaves them ignored: so what `make` starts ignores them, and
no program may change that."""


def ignored_or_blocked(status: str) -> int:
    """The signals, bit by bit, that the lines `SigBlk` and `SigIgn` of a /proc/PID/status name, but for those."""
    found = [line.split()[1] for line in status.splitlines() if line.startswith(("SigBlk:", "SigIgn:"))]
    assert len(found) == 2, status
    return (int(found[0], 16) | int(found[1], 16)) & ~OF_THE_C_LIBRARY


def zombies() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]
