"""One tool process and its tree: what is done to one is done to all.

Threads instead of asyncio subprocesses: the same code runs on stock asyncio and on qasync, on every system.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import IO, Protocol

from worker_core.basics.shortage import before_a_start
from worker_core.sandbox.environment import CALL_MARK
from worker_core.sandbox.keeper import Keeper
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.loans import nameless
from worker_core.sandbox.processes.running import RUNNING
from worker_core.sandbox.processes.shield import shield_worker
from worker_core.sandbox.processes.strays import end_strays
from worker_core.sandbox.processes.warden import WARDEN
from worker_core.sandbox.processes.watcher import WATCHER, Watched
from worker_core.sandbox.windows_job import Job, start_flags

log = logging.getLogger(__name__)

TERM_GRACE = timedelta(seconds=2)
"""Between asking a process to end and killing it."""

_PIPE_GRACE_SECONDS = 2.0
"""How long what is left in the pipe may take to be read when everything that wrote to it is gone."""

KILL_LIMIT = timedelta(seconds=10)
"""A killed process that waits for a device ends when the device answers."""


class OutputSink(Protocol):
    """Takes what a process prints, from a thread of its own."""

    @property
    def full(self) -> bool:
        """The process is to be ended."""
        ...

    def feed(self, piece: bytes) -> None:
        """May block: then the process waits as well."""
        ...

    def stop(self) -> None:
        """What still comes is dropped; a `feed` that blocks must return."""
        ...


class ProcessTree:
    """A started process, its group (POSIX) or job (Windows), and the threads that attend to it.

    Args:
        command: what to start.
        stdin: what it may read; None: a pipe, `process.stdin`, that the caller writes to and closes.
        output: is fed from a thread, and stopped before `finished` is called.
        finished: called from a thread when the whole tree is gone.
        errors: takes the standard error; None: `output` takes it as well.
        waits: it is a gate that waits. What it uses up is watched once it `becomes` something.

    Raises:
        OSError: it could not be started, or could not be watched and was ended.

    """

    def __init__(
        self,
        command: Command,
        *,
        stdin: bytes | None,
        output: OutputSink,
        finished: Callable[[], None],
        errors: OutputSink | None = None,
        waits: bool = False,
    ) -> None:
        if not command.argv:
            raise OSError(errno.EINVAL, "there is no command")
        self._command = command
        self._sinks = (output,) if errors is None else (output, errors)
        self._finished = finished
        self._ended = threading.Event()
        self._ending = threading.Lock()
        self._asked_to_end = False
        self._first = command.first
        # Behind a keeper that waits nothing carries a mark: nobody could find it by that, nor need.
        is_marked = not (waits and isinstance(command.first, Keeper))
        self._mark = command.environment.get(CALL_MARK, "") if is_marked else ""
        self._loans = command.loans
        self._group = command.group
        self._scratch = command.scratch
        self._watched: Watched | None = None
        self._exceeded = ""
        shield_worker()
        try:
            self._announce()
            with _as_file(stdin) as given:
                before_a_start()
                self.process = subprocess.Popen(
                    list(command.argv),
                    cwd=command.cwd,
                    env=self._environment(),
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT if errors is None else subprocess.PIPE,
                    start_new_session=sys.platform != "win32",
                    creationflags=start_flags() if sys.platform == "win32" else 0,
                    pass_fds=[loan.descriptor for loan in self._loans],
                )
        except BaseException:
            self._announced()
            self._end_loans()
            self._tidy()
            raise
        for loan in self._loans:
            loan.given()
        RUNNING.add(self.process.pid, self._mark)
        try:
            if self._first is not None:
                self._first.learn(self.process.pid)
            if sys.platform == "win32":
                self._job = Job(self.process, limits=command.limits)
                self._job.resume()
            elif not isinstance(self._first, Keeper):  # it hears of the worker's end, and ends the group before itself
                WARDEN.watch(self.process.pid, self._mark)
                self._announced()
            pipes = (self.process.stdout, self.process.stderr)
            self._readings = [
                threading.Thread(target=self._read, args=(pipe, sink), name="tool output", daemon=True)
                for pipe, sink in zip(pipes, self._sinks, strict=False)
            ]
            if not waits:
                self._watch()
            threading.Thread(target=self._wait, name="tool wait", daemon=True).start()
        except (OSError, RuntimeError) as error:  # RuntimeError: no more threads
            self.process.kill()
            self.kill()
            self._wait_without_reaping()
            self._wait_for_the_rest()
            self.process.communicate()
            self._unwatch()
            self._announced()
            self._unward()
            raise _unwatchable(error) from error

    def _environment(self) -> dict[str, str]:
        variables = dict(self._command.environment)
        if isinstance(self._first, Keeper):
            # The warden ends what carries the mark: its keeper would be dead before it has ended what carries none.
            variables.pop(CALL_MARK, None)
        return variables

    def _watch(self) -> None:
        command = self._command
        if command.limits is not None:
            self._watched = Watched(
                root=self.process.pid,
                limits=command.limits,
                workspace=command.workspace,
                home=command.home,
                folders=command.folders,
                scratch=None if command.scratch is None else command.scratch.folder,
                kill=self.kill,
                group=command.group,
            )
            WATCHER.add(self._watched)

    def becomes(self, mark: str) -> bool:
        """A gate that waited is about to become a tool.

        Args:
            mark: value of `KUBIYA_TOOL_CALL` in the tool.

        Returns:
            False where it has gone, or would not be found if the worker died now.

        """
        with self._ending:
            if self._ended.is_set() or self._has_ended() or self._first is None or not self._first.is_known:
                return False
            with contextlib.suppress(OSError):
                if isinstance(self._first, Keeper):
                    WARDEN.watch(None, mark)
                else:
                    WARDEN.watch(self.process.pid, mark)
                    WARDEN.release(self.process.pid, self._mark)
                self._mark = mark
                RUNNING.add(self.process.pid, mark)
                self._watch()
                return True
            return False

    def _has_ended(self) -> bool:
        """The process itself, whether anybody has noticed it or not."""
        if sys.platform == "win32" or not hasattr(os, "waitid"):
            return False
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        return True

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, and everything with it."""
        return self._ended.wait(seconds)

    def _announce(self) -> None:
        """Before the start: the worker may be killed before it knows the process id."""
        if self._mark:
            try:
                WARDEN.watch(None, self._mark)
            except OSError as error:
                raise _unwatchable(error) from error

    def _announced(self) -> None:
        if self._mark:
            WARDEN.release(None, self._mark)

    def _unward(self) -> None:
        RUNNING.remove(self.process.pid)
        if isinstance(self._first, Keeper):
            self._announced()
        else:
            WARDEN.release(self.process.pid, self._mark)

    def _wait(self) -> None:
        try:
            for reading in self._readings:
                reading.start()
        except RuntimeError:  # no more threads: nobody could read what it prints
            self.kill()
            for pipe, reading in zip((self.process.stdout, self.process.stderr), self._readings, strict=False):
                if pipe is not None and reading.ident is None:
                    pipe.close()
        self._wait_without_reaping()
        if self._asked_to_end:
            self._join_reading(TERM_GRACE.total_seconds())  # its children were asked as well, and may tidy up
        # What the command left behind ends with it; this also closes the pipe.
        self.kill()
        if not self._wait_for_the_rest():
            log.error(
                "Something that the process %s of a tool started did not end within %g s although it was killed. The "
                "worker goes on without it.",
                self.process.pid,
                KILL_LIMIT.total_seconds(),
            )
        self._join_reading(_PIPE_GRACE_SECONDS)
        for sink in self._sinks:
            sink.stop()
        # Before the process id is free for somebody else: whoever wakes up then must not know it any more.
        with self._ending:
            self._unwatch()
            self._unward()
            self._ended.set()
        self.process.wait()
        # Whoever is told may know us: in a circle, what is held open here would stay so until the collector has looked.
        finished, self._finished = self._finished, _nobody_waits
        finished()

    def _wait_for_the_rest(self) -> bool:
        """Whether everything that was killed is dead: whoever looks behind a call must not see it any more."""
        seconds = KILL_LIMIT.total_seconds()
        if self._first is not None and self._first.is_known:
            gone = self._first.wait(seconds)
            if not isinstance(self._first, Keeper) or self._first.has_ended_all:
                return gone
        return end_strays(self._mark, session=self.process.pid, seconds=seconds)

    @property
    def exceeded(self) -> str:
        """The limit that it was ended for; empty: none."""
        watched = self._watched
        return self._exceeded if watched is None else watched.exceeded

    def _unwatch(self) -> None:
        if self._watched is not None:
            WATCHER.remove(self._watched)
            self._exceeded = self._watched.exceeded
            # It holds us, to end us: in a circle, what was printed would stay until the collector looks at everything.
            self._watched = None
        self._tidy()

    def _join_reading(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        for reading in self._readings:
            if reading.ident is not None:
                reading.join(max(0.0, until - time.monotonic()))

    def _read(self, pipe: IO[bytes], sink: OutputSink) -> None:
        with pipe, contextlib.suppress(OSError):
            descriptor = pipe.fileno()
            while piece := os.read(descriptor, 65536):
                sink.feed(piece)
                if sink.full:
                    self.kill()
                    return

    def _wait_without_reaping(self) -> None:
        """Until then the process id, and with it the group's, cannot be given to somebody else."""
        if sys.platform != "win32" and hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        else:
            self.process.wait()

    def terminate(self) -> None:
        """Ask the whole tree to end."""
        self._asked_to_end = True
        if self._ended.is_set():
            return
        if sys.platform == "win32":
            try:
                self.process.send_signal(signal.CTRL_BREAK_EVENT)
            except OSError:  # it has no console in common with us, so there is no way to ask
                self.kill()
        elif self._first is not None and self._first.is_known:
            self._first.ask()
        else:
            self._signal_group(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole tree."""
        self._end_loans()
        if self._ended.is_set():
            return
        if sys.platform == "win32":
            with contextlib.suppress(AttributeError):  # it is being made
                self._job.terminate()
        elif self._first is not None and self._first.is_known:
            self._first.kill()  # bubblewrap, or the keeper, ends by itself then
        else:
            self._signal_group(signal.SIGKILL)

    def _tidy(self) -> None:
        if self._first is not None:
            self._first.close()
        if self._group is not None:
            self._group.end()
        if self._scratch is not None:
            self._scratch.remove()

    def _end_loans(self) -> None:
        for loan in self._loans:
            loan.end()

    def _signal_group(self, number: int) -> None:
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)


def _nobody_waits() -> None:
    """Everybody has been told."""


def _unwatchable(error: Exception) -> OSError:
    return OSError(getattr(error, "errno", None) or errno.EAGAIN, f"it cannot be watched: {error}")


@contextlib.contextmanager
def _as_file(content: bytes | None) -> Iterator[IO[bytes] | int]:
    """A file rather than a pipe: a child that does not read cannot block the one who writes."""
    if not content:
        yield subprocess.PIPE if content is None else subprocess.DEVNULL
        return
    with os.fdopen(nameless(), "w+b") as file:
        file.write(content)
        file.seek(0)
        yield file
