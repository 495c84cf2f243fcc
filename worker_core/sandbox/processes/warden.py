"""Ends tool processes when the worker dies without a word (kill -9, out of memory).

POSIX: one small shell per worker waits on a pipe. It is told which process groups live; when the pipe closes, because
the worker is gone, it kills those that are left and, on Linux, what left them but carries their call's mark. It costs
about 1 MB and nothing per call. On Windows the job object of each call does the same by itself.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import threading

from worker_core.basics.shortage import before_a_start
from worker_core.sandbox.environment import CALL_MARK

# Dash knows no `kill -KILL -- -GROUP`.
_SCRIPT = rf"""
trap '' INT TERM HUP QUIT
live=' '
while read -r what call; do
  case "$what$live" in
    +*) live="$live$call " ;;
    -*" $call "*) live="${{live%% $call *}} ${{live#* $call }}" ;;
  esac
done
for call in $live; do
  [ -z "${{call%%:*}}" ] || kill -s KILL -- "-${{call%%:*}}"
done
# Three times: what becomes another program just now shows no environment for a moment.
for again in 0 0.1 0.3; do
  sleep "$again"
  for call in $live; do
    for found in $(grep -alsF -- "{CALL_MARK}=${{call#*:}}" /proc/[0-9]*/environ); do
      found="${{found#/proc/}}"
      kill -s KILL "${{found%/environ}}"
    done
  done
done
"""

_END_SECONDS = 10


class Warden:
    """One per process; starts its shell at the first call, and another where that one was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._live: set[str] = set()
        self._lock = threading.Lock()

    def watch(self, group: int | None, mark: str) -> None:
        """A process group lives, or is about to.

        Args:
            group: its id; None: it is started now, and by its mark alone it can be found, on Linux.
            mark: value of `KUBIYA_TOOL_CALL` in it; no spaces, nothing that a shell expands.

        Raises:
            OSError: the shell cannot be started.

        """
        try:
            self._note("+", _call(group, mark))
        except OSError:
            self._live.discard(_call(group, mark))
            raise

    def release(self, group: int | None, mark: str) -> None:
        """A process group has ended, or was not started, or is watched by its id now."""
        with contextlib.suppress(OSError):
            self._note("-", _call(group, mark))

    def close(self) -> None:
        """End the shell. Groups that still live are killed."""
        with self._lock:
            process, self._process = self._process, None
            self._live.clear()
        atexit.unregister(self.close)
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_END_SECONDS)

    def _note(self, what: str, call: str) -> None:
        if os.name != "posix":
            return
        with self._lock:
            if what == "+":
                self._live.add(call)
            else:
                self._live.discard(call)
            if self._process is not None and self._process.poll() is None:
                self._tell(f"{what} {call}\n")
            elif self._live:
                self._start()

    def _start(self) -> None:
        if self._process is None:
            atexit.register(self.close)
        else:
            assert self._process.stdin is not None
            self._process.stdin.close()
        before_a_start()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "kubiya-worker-warden"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            env={"PATH": "/usr/bin:/bin"},
            cwd="/",
        )
        self._tell("".join(f"+ {call}\n" for call in self._live))

    def _tell(self, lines: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it was killed just now: the next call starts another
            self._process.stdin.write(lines.encode())


def _call(group: int | None, mark: str) -> str:
    return f"{'' if group is None else group}:{mark or '!'}"


WARDEN = Warden()
"""The process's own."""
