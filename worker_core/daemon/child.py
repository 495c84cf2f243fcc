"""One worker process: started in a group of its own, its output gathered, and ended with all that it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from worker_core.basics.console import background_flags

if TYPE_CHECKING:
    from worker_core.daemon.brief import Brief

ABORT_SECONDS: Final = 5.0
"""For a worker that hangs to write down where."""

OUTPUT_KEPT_BYTES: Final = 64 * 1024
"""Of what is not recorded yet; beyond it, the oldest goes."""

_READ_BYTES: Final = 16 * 1024
_ERROR: Final = b"error: "
_LONGEST_SENTENCE: Final = 500


class Child:
    """Its number is never given to another process before `reap` was called: until then, it may be signalled."""

    def __init__(self, brief: Brief, *, ended: Callable[[], None]) -> None:
        """Start it.

        Args:
            brief: what is started.
            ended: called in another thread once it has ended.

        Raises:
            OSError: it cannot be started.
        """
        self._ended = ended
        self.started = time.monotonic()
        self.started_at = time.time()
        self._process = subprocess.Popen(
            brief.worker,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd=brief.folder if Path(brief.folder).is_dir() else None,
            env=brief.environment,
            start_new_session=True,  # no word of it on Windows, whose flags are these
            creationflags=background_flags(),
        )
        self.pid = self._process.pid
        self._job: Any = None
        if sys.platform == "win32":
            from worker_core.sandbox.windows_job import Job

            self._job = Job(self._process)
        self._lock = threading.Lock()
        self._output = bytearray()
        self._left_out = 0
        self.sentence = ""
        """Why it ended, in its own words, as far as its output was taken."""

        self._reader = threading.Thread(target=self._read, name="output", daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, name="end", daemon=True).start()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already
            self._process.stdin.write(json.dumps({"keys": brief.keys}).encode() + b"\n")

    def take_output(self) -> tuple[bytes, int]:
        """What it printed since the last time, and how many bytes before that are lost."""
        with self._lock:
            output, self._output = bytes(self._output), bytearray()
            left_out, self._left_out = self._left_out, 0
        for line in output.splitlines():
            if line.startswith(_ERROR):
                self.sentence = line[len(_ERROR) :].decode("utf-8", "replace").strip()[:_LONGEST_SENTENCE]
        return output, left_out

    def ask_to_leave(self) -> None:
        """For one that has no control socket (yet): as a service manager would."""
        with contextlib.suppress(OSError):
            self._process.terminate()

    def hang_up(self) -> None:
        """Pass on what was meant for it."""
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGHUP)

    def abort(self) -> None:
        """End it so that it writes down where it is, if it can; `kill` comes behind."""
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGABRT)
                os.kill(self.pid, signal.SIGCONT)  # one that was stopped could not

    def kill(self) -> None:
        """End it and its group, at once."""
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        elif self._job is not None:
            self._job.terminate()

    def reap(self) -> int:
        """Once it has ended: end what is left of its group, and say how it ended (negative: by which signal)."""
        self.kill()
        code = self._process.wait()
        self._reader.join(ABORT_SECONDS)  # something outside of the group may hold the other end
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._job = None
        return code

    def _wait(self) -> None:
        if sys.platform != "win32" and hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:  # macOS before Python 3.13; numbers come round there only after some 99 000 others
            self._process.wait()
        self._ended()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            while piece := stream.read(_READ_BYTES):
                self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        with self._lock:
            self._output += piece
            if (too_many := len(self._output) - OUTPUT_KEPT_BYTES) > 0:
                del self._output[:too_many]
                self._left_out += too_many
