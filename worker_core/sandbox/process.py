"""Runs one tool process and its tree: bounded in time and output, killed as a whole.

Threads instead of asyncio subprocesses: the same code runs on stock asyncio and on qasync, on every system.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

from worker_core.sandbox.environment import CALL_MARK
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.output import OutputKeeper
from worker_core.sandbox.warden import WARDEN

WHOLE_OUTPUT_LIMIT_BYTES = 50 * 1024 * 1024
"""A process that prints more is ended: nobody reads it, and the disk is not its."""

TERM_GRACE = timedelta(seconds=2)
PIPE_GRACE_SECONDS = 0.5
"""How long output may still come from the pipe when the process and its group are gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """How a process ended. `exit_code` is negative for a signal (POSIX)."""

    exit_code: int
    output: OutputKeeper
    timed_out: bool
    too_much_output: bool
    duration: timedelta


class ProcessTree:
    """A started process, its group (POSIX) or job (Windows), and the threads that attend to it."""

    def __init__(self, command: Command, *, stdin: bytes, output: OutputKeeper) -> None:
        self._output = output
        self._ended = threading.Event()
        self._mark = command.environment.get(CALL_MARK, "")
        with _as_file(stdin) as given:
            self.process = subprocess.Popen(
                list(command.argv),
                cwd=command.cwd,
                env=dict(command.environment),
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows only
            )
        if os.name == "nt":
            from worker_core.sandbox.windows_job import Job

            self._job = Job(self.process)
        else:
            WARDEN.watch(self.process.pid)

    def attend(self, finished: Callable[[], None]) -> None:
        """Read the output and wait for the end, in threads; `finished` is called from one of them."""
        reading = threading.Thread(target=self._read, name="tool output", daemon=True)
        reading.start()

        def wait() -> None:
            self._wait_without_reaping()
            # What the command left behind in its group ends with it; this also closes the pipe.
            self.kill()
            reading.join(PIPE_GRACE_SECONDS)
            if reading.is_alive():
                self.kill_strays()
                reading.join(PIPE_GRACE_SECONDS)
            self.process.wait()
            if os.name != "nt":
                WARDEN.release(self.process.pid)
            self._ended.set()
            finished()

        threading.Thread(target=wait, name="tool wait", daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            descriptor = pipe.fileno()
            with contextlib.suppress(OSError):
                while piece := os.read(descriptor, 65536):
                    if self._ended.is_set():
                        return
                    self._output.feed(piece)
                    if self._output.full:
                        self.kill()
                        return

    def _wait_without_reaping(self) -> None:
        """Until then the process id, and with it the group's, cannot be given to somebody else."""
        if hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        else:
            self.process.wait()

    def terminate(self) -> None:
        """Ask the whole tree to end."""
        if self._ended.is_set():
            return
        if os.name == "nt":
            with contextlib.suppress(OSError):
                self.process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
        else:
            self._signal_group(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole tree."""
        if self._ended.is_set():
            return
        if os.name == "nt":
            self._job.terminate()
        else:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def kill_strays(self) -> None:
        """End processes of this call that left its group (setsid, double fork): they carry the call's mark."""
        import psutil

        if not self._mark:
            return
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(CALL_MARK) == self._mark:
                    process.kill()


async def run_process(
    command: Command,
    *,
    timeout: timedelta,
    output_limit_bytes: int,
    stdin: bytes = b"",
    before_start: Callable[[], None] = lambda: None,
) -> ProcessResult:
    """Run a command to its end.

    Args:
        command: what to start.
        timeout: then the tree is asked to end, and killed two seconds later.
        output_limit_bytes: kept in memory of the merged output (standard output and error, in order).
        stdin: what the process may read; nothing by default.
        before_start: called in the starting thread right before the process exists.

    Raises:
        OSError: the process could not be started.
        asyncio.CancelledError: cancelled; the tree is gone when this leaves.

    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    output = OutputKeeper(limit_bytes=output_limit_bytes, whole_limit_bytes=WHOLE_OUTPUT_LIMIT_BYTES)

    def begin() -> ProcessTree:
        before_start()
        return ProcessTree(command, stdin=stdin, output=output)

    def finished() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits for the result
            loop.call_soon_threadsafe(ended.set)

    started = time.monotonic()
    starting = asyncio.ensure_future(asyncio.to_thread(begin))
    try:
        tree = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Once the thread runs it cannot be held back: let it finish, then end what it began.
        with contextlib.suppress(Exception):
            tree = await starting
            tree.attend(finished)
            await _end(tree, ended)
        raise
    tree.attend(finished)
    timed_out = False
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            await ended.wait()
    except TimeoutError:
        timed_out = True
        await _end(tree, ended)
    except asyncio.CancelledError:
        await asyncio.shield(asyncio.ensure_future(_end(tree, ended)))
        raise
    return ProcessResult(
        exit_code=tree.process.returncode,
        output=output,
        timed_out=timed_out,
        too_much_output=output.full,
        duration=timedelta(seconds=time.monotonic() - started),
    )


async def _end(tree: ProcessTree, ended: asyncio.Event) -> None:
    tree.terminate()
    try:
        async with asyncio.timeout(TERM_GRACE.total_seconds()):
            await ended.wait()
    except TimeoutError:
        tree.kill()
        await ended.wait()
    await asyncio.to_thread(tree.kill_strays)


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[IO[bytes] | int]:
    """A file rather than a pipe: a child that does not read cannot block the one who writes."""
    if not content:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file
