"""A hold on a process that means nothing to whoever gets its number later: a pidfd, where the kernel has them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from typing import Self

from worker_core.sandbox.loans import OpenFile


class ProcessHandle:
    """Of a process that may be gone at any time. Safe to use from any thread.

    Args:
        descriptor: a pidfd; it belongs to this object from now on.

    """

    def __init__(self, descriptor: int) -> None:
        self._file: OpenFile | None = OpenFile(descriptor)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """None: it has gone, there are no descriptors left, or a kernel before 5.3."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                return cls(os.pidfd_open(pid))
        return None

    def kill(self) -> None:
        """End the process. One that has gone is left alone."""
        if sys.platform == "linux":
            with self._lock, contextlib.suppress(ProcessLookupError, PermissionError):
                if self._file is not None:
                    signal.pidfd_send_signal(self._file.descriptor, signal.SIGKILL)

    @property
    def has_gone(self) -> bool:
        """Also where it was let go."""
        with self._lock:
            return self._file is None or _ends_within(self._file, 0)

    def wait(self, seconds: float) -> bool:
        """Whether it has gone. For the thread that lets go of it: nobody else may meanwhile."""
        return self._file is None or _ends_within(self._file, seconds)

    def close(self) -> None:
        """Let go of it. May be called again."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                file.end()


def _ends_within(file: OpenFile, seconds: float) -> bool:
    if sys.platform == "win32":  # for the type checkers: there is no such file
        return True
    poll = select.poll()
    poll.register(file.descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
