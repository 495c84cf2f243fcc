"""Runs one tool process and its tree: bounded in time and output, killed as a whole.

Threads instead of asyncio subprocesses: the same code runs on stock asyncio and on qasync, on every system.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any, Protocol, TypeVar

from worker_core.sandbox.environment import CALL_MARK
from worker_core.sandbox.keeper import Keeper
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.processes.output import OutputKeeper
from worker_core.sandbox.processes.shield import shield_worker
from worker_core.sandbox.processes.strays import end_strays
from worker_core.sandbox.processes.warden import WARDEN
from worker_core.sandbox.processes.watcher import WATCHER, Watched

log = logging.getLogger(__name__)
_Given = TypeVar("_Given")

WHOLE_OUTPUT_LIMIT_BYTES = 50 * 1024 * 1024
"""A process that prints more is ended: nobody reads it, and the disk is not its."""

TERM_GRACE = timedelta(seconds=2)
"""Between asking a process to end and killing it."""

_PIPE_GRACE_SECONDS = 2.0
"""How long what is left in the pipe may take to be read when everything that wrote to it is gone."""

_KILL_LIMIT = timedelta(seconds=10)
"""A killed process that waits for a device ends when the device answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """How a process ended. `exit_code` is negative for a signal (POSIX)."""

    exit_code: int
    """-15 where the process did not end in spite of everything."""

    output: OutputKeeper
    timed_out: bool
    too_much_output: bool
    duration: timedelta
    exceeded: str = ""
    """The limit that it was ended for, as a sentence for the model."""


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
    ) -> None:
        self._sinks = (output,) if errors is None else (output, errors)
        self._finished = finished
        self._ended = threading.Event()
        self._asked_to_end = False
        self._mark = command.environment.get(CALL_MARK, "")
        self._first = command.first
        self._loans = command.loans
        self._group = command.group
        self._scratch = command.scratch
        self._watched: Watched | None = None
        self._exceeded = ""
        shield_worker()
        try:
            self._announce()
            with _as_file(stdin) as given:
                self.process = subprocess.Popen(
                    list(command.argv),
                    cwd=command.cwd,
                    env=dict(command.environment),
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT if errors is None else subprocess.PIPE,
                    start_new_session=sys.platform != "win32",
                    creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows only
                    pass_fds=[loan.descriptor for loan in self._loans],
                )
        except BaseException:
            self._announced()
            self._end_loans()
            self._tidy()
            raise
        for loan in self._loans:
            loan.given()
        try:
            if self._first is not None:
                self._first.learn(self.process.pid)
            if sys.platform == "win32":
                from worker_core.sandbox.windows_job import Job

                self._job = Job(self.process, limits=command.limits)
            elif not isinstance(self._first, Keeper):  # it hears of the worker's end, and ends the group before itself
                WARDEN.watch(self.process.pid, self._mark)
                self._announced()
            pipes = (self.process.stdout, self.process.stderr)
            self._readings = [
                threading.Thread(target=self._read, args=(pipe, sink), name="tool output", daemon=True)
                for pipe, sink in zip(pipes, self._sinks, strict=False)
            ]
            if command.limits is not None:
                self._watched = Watched(
                    root=self.process.pid,
                    limits=command.limits,
                    workspace=command.workspace,
                    home=command.home,
                    scratch=None if command.scratch is None else command.scratch.folder,
                    kill=self.kill,
                    group=command.group,
                )
                WATCHER.add(self._watched)
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
                _KILL_LIMIT.total_seconds(),
            )
        self._join_reading(_PIPE_GRACE_SECONDS)
        for sink in self._sinks:
            sink.stop()
        # Before the process id is free for somebody else: whoever wakes up then must not know it any more.
        self._unwatch()
        self._unward()
        self._ended.set()
        self.process.wait()
        self._finished()

    def _wait_for_the_rest(self) -> bool:
        """Whether everything that was killed is dead: whoever looks behind a call must not see it any more."""
        seconds = _KILL_LIMIT.total_seconds()
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
            with contextlib.suppress(OSError):
                self.process.send_signal(signal.CTRL_BREAK_EVENT)
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
        before_start: called in the starting thread right before the process exists. What it raises is passed on.

    Raises:
        OSError: the process could not be started.
        asyncio.CancelledError: cancelled; the tree is gone when this leaves.

    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    given_up = threading.Event()
    output = OutputKeeper(limit_bytes=output_limit_bytes, whole_limit_bytes=WHOLE_OUTPUT_LIMIT_BYTES)

    def finished() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits for the result
            loop.call_soon_threadsafe(ended.set)

    def begin() -> ProcessTree | None:
        if given_up.is_set():
            return None
        before_start()
        return ProcessTree(command, stdin=stdin, output=output, finished=finished)

    async def end() -> None:
        with contextlib.suppress(Exception):  # it did not start, and whoever cancelled does not ask why
            if (tree := await starting) is not None:
                await end_tree(tree, ended)

    started = time.monotonic()
    starting = in_thread(begin)
    timed_out = False
    try:
        tree = await asyncio.shield(starting)
        assert tree is not None
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await ended.wait()
        except TimeoutError:
            timed_out = True
            await uninterrupted(end())
    except BaseException:
        given_up.set()
        # Once the thread runs it cannot be held back: let it finish, then end what it began.
        await uninterrupted(end())
        output.close()
        raise
    return ProcessResult(
        exit_code=-signal.SIGTERM if tree.process.returncode is None else tree.process.returncode,
        output=output,
        timed_out=timed_out,
        too_much_output=output.full,
        duration=timedelta(seconds=time.monotonic() - started),
        exceeded=tree.exceeded,
    )


async def end_tree(tree: ProcessTree, ended: asyncio.Event) -> None:
    """Ask it to end, then kill it. `ended` is set by the tree's `finished`."""
    if ended.is_set():
        return
    tree.terminate()
    if await _within(ended, TERM_GRACE):
        return
    tree.kill()
    if not await _within(ended, _KILL_LIMIT):
        log.error(
            "The process %s of a tool did not end although it was killed; it most likely waits for a disk or network "
            "drive. The worker goes on without it.",
            tree.process.pid,
        )


async def _within(event: asyncio.Event, limit: timedelta) -> bool:
    try:
        async with asyncio.timeout(limit.total_seconds()):
            await event.wait()
    except TimeoutError:
        return False
    return True


def in_thread(work: Callable[[], _Given]) -> asyncio.Future[_Given]:
    """Begin something in a thread, where nothing holds it back.

    It is no task, as one of `asyncio.to_thread` would be: the end of a loop cancels every task, and then nobody would
    learn what the thread began.
    """
    return asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, work)


async def uninterrupted(work: Coroutine[Any, Any, _Given]) -> _Given:
    """Let something short come to its end even if we are cancelled meanwhile, however often; then be cancelled."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()


def _unwatchable(error: Exception) -> OSError:
    return OSError(getattr(error, "errno", None) or errno.EAGAIN, f"it cannot be watched: {error}")


@contextlib.contextmanager
def _as_file(content: bytes | None) -> Iterator[IO[bytes] | int]:
    """A file rather than a pipe: a child that does not read cannot block the one who writes."""
    if not content:
        yield subprocess.PIPE if content is None else subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file
