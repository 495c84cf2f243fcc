"""Ends tool processes when the worker dies without a word (kill -9, out of memory).

POSIX: one small shell per worker waits on a pipe. It is told which process groups live; when the pipe closes, because
the worker is gone, it kills those that are left. It costs about 1 MB and nothing per call. On Windows the job object of
each call does the same by itself.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading

_SCRIPT = r"""
trap '' INT TERM HUP QUIT
live=' '
while read -r what group; do
  case "$what" in
    +) live="$live$group " ;;
    -) before="${live%% $group *}"; after="${live#* $group }"; live="$before $after" ;;
  esac
done
for group in $live; do kill -KILL -- "-$group" 2>/dev/null; done
"""


class Warden:
    """One per process; starts its shell at the first call."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def watch(self, group: int) -> None:
        """A process group lives."""
        self._tell(f"+ {group}\n")

    def release(self, group: int) -> None:
        """A process group has ended."""
        self._tell(f"- {group}\n")

    def close(self) -> None:
        """End the shell. Groups that still live are killed."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()
                self._process.wait(timeout=10)
                self._process = None

    def _tell(self, line: str) -> None:
        if os.name != "posix":
            return
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _SCRIPT],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    env={},
                    cwd="/",
                )
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


WARDEN = Warden()
"""The process's own."""
