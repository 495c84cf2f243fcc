"""The keeper of a call without a process namespace, seen from outside: the gate, which stays when the tool begins.

It is the tool's parent, and becomes the parent of whatever the tool leaves behind (`PR_SET_CHILD_SUBREAPER`, prctl(2)).
When the tool ends, when the worker lets go of the leash, or when there is no worker any more, it ends everything of the
call and then itself. So a call is over when its keeper is, whatever the tool did to groups, sessions and environments.
See gate_child.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import Final

from worker_core.sandbox.loans import OpenFile
from worker_core.sandbox.process_handle import ProcessHandle

_LOOK_EVERY_SECONDS: Final = 0.005


class Keeper:
    """Made before it is started; it inherits `leash`.

    Raises:
        OSError: there are no more descriptors.

    """

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.leash = OpenFile(reading)
        self._held = OpenFile(writing)
        self._pid: int | None = None
        self._handle: ProcessHandle | None = None

    def learn(self, child: int) -> None:
        """It has been started, as our own child."""
        self._pid = child
        self._handle = ProcessHandle.of(child)

    @property
    def is_known(self) -> bool:
        return self._pid is not None

    def ask(self) -> None:
        """Ask everything in its group to end. It takes no such signal itself."""
        if sys.platform != "win32" and self._pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGTERM)

    def kill(self) -> None:
        """Have it end everything."""
        self._held.end()
        if sys.platform != "win32" and self._pid is not None and not self._has_ended():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, signal.SIGCONT)  # where nothing keeps a tool from stopping it

    def wait(self, seconds: float) -> bool:
        """Whether it has gone."""
        until = time.monotonic() + seconds
        if self._pid is None:
            return True
        if self._handle is not None and not self._handle.wait(seconds):
            return False
        while not self._has_ended():
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_EVERY_SECONDS)
        return True

    def close(self) -> None:
        """Everything is over: nothing is held of it any more."""
        self._held.end()
        if self._handle is not None:
            self._handle.close()

    def _has_ended(self) -> bool:
        return self._end() is not None

    @property
    def has_ended_all(self) -> bool:
        """Whether it ended by itself. Where somebody else ended it, something of the call may be left."""
        return sys.platform != "linux" or self._end() in {os.CLD_EXITED, 0}

    def _end(self) -> int | None:
        """How it ended, as `si_code` of waitid(2); 0: somebody has waited for it already."""
        assert self._pid is not None
        if sys.platform != "linux":
            return 0
        try:
            found = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return 0
        return None if found is None else found.si_code
