"""The first process of a call's process namespace, seen from outside: what ends it ends everything in there.

The kernel lets it go only when every other process of its namespace has gone (pid_namespaces(7)), whatever these did to
their groups, sessions and environments. bubblewrap itself may be gone before that.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final

from worker_core.sandbox.loans import OpenFile
from worker_core.sandbox.process_handle import ProcessHandle

_TOLD_SECONDS: Final = 10.0
"""bubblewrap says it a millisecond after its start, before it has mounted anything."""

_CHILD_PID: Final = re.compile(rb'"child-pid": ([0-9]{1,10})\b')
_LOOK_EVERY_SECONDS: Final = 0.005


class FirstProcess:
    """Made before bubblewrap is started, which is told to write to `told`; see bwrap(1), `--info-fd`.

    Raises:
        OSError: there are no more descriptors.

    """

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.told = OpenFile(writing)
        self._reading = OpenFile(reading)
        self._pid: int | None = None
        self._handle: ProcessHandle | None = None

    def learn(self, parent: int) -> None:
        """Read who it is. It stays unknown where bubblewrap ended before it made one.

        Args:
            parent: process id of bubblewrap.

        """
        said = b""
        until = time.monotonic() + _TOLD_SECONDS
        while b"}" not in said and (left := until - time.monotonic()) > 0:
            if not select.select([self._reading.descriptor], [], [], left)[0]:
                break
            if not (piece := os.read(self._reading.descriptor, 1000)):
                break
            said += piece
        self._reading.end()
        if found := _CHILD_PID.search(said):
            self._hold(int(found[1]), parent)

    def _hold(self, pid: int, parent: int) -> None:
        self._handle = ProcessHandle.of(pid)
        if _parent_of(pid) == parent:
            self._pid = pid

    @property
    def is_known(self) -> bool:
        return self._pid is not None

    def ask(self) -> None:
        """Ask everything in its group to end. It ignores that itself; the group is the tool's."""
        if sys.platform != "win32" and self._pid is not None and not self._has_gone():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGTERM)

    def kill(self) -> None:
        """End everything in the namespace."""
        if sys.platform != "linux" or self._pid is None:
            return
        if self._handle is not None:
            self._handle.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Whether it has gone, and everything with it."""
        if self._pid is None:
            return True
        if self._handle is not None:
            return self._handle.wait(seconds)
        until = time.monotonic() + seconds
        while not self._has_gone():
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_EVERY_SECONDS)
        return True

    def _has_gone(self) -> bool:
        if self._handle is not None:
            return self._handle.has_gone
        return not Path(f"/proc/{self._pid}").exists()

    def close(self) -> None:
        """Everything is over: nothing is held of it any more."""
        self._reading.end()
        if self._handle is not None:
            self._handle.close()


def _parent_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None
