"""Runs one tool process from its start to its result: bounded in time and output, killed as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.threads import in_thread, uninterrupted
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.processes import process
from worker_core.sandbox.processes.output import OutputKeeper
from worker_core.sandbox.processes.process import ProcessTree
from worker_core.sandbox.spares import CommandOfSpares

log = logging.getLogger(__name__)

WHOLE_OUTPUT_LIMIT_BYTES = 50 * 1024 * 1024
"""A process that prints more is ended: nobody reads it, and the disk is not its."""


NEXT_SECONDS = 0.05
"""From a call's end until a sandbox is made for the next: first its outcome goes to whoever waits for it."""


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


async def run_process(
    command: Command,
    *,
    timeout: timedelta,
    output_limit_bytes: int,
    stdin: bytes = b"",
    before_start: Callable[[], None] = lambda: None,
    on_output: Callable[[OutputKeeper], None] = lambda output: None,  # noqa: ARG005
) -> ProcessResult:
    """Run a command to its end.

    Args:
        command: what to start.
        timeout: then the tree is asked to end, and killed two seconds later.
        output_limit_bytes: kept in memory of the merged output (standard output and error, in order).
        stdin: what the process may read; nothing by default.
        before_start: called in the starting thread right before the process exists. What it raises is passed on.
        on_output: called first of all, with what takes the output.

    Raises:
        OSError: the process could not be started.
        asyncio.CancelledError: cancelled; the tree is gone when this leaves.

    """
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    given_up = threading.Event()
    output = OutputKeeper(limit_bytes=output_limit_bytes, whole_limit_bytes=WHOLE_OUTPUT_LIMIT_BYTES)
    on_output(output)

    def finished() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits for the result
            loop.call_soon_threadsafe(ended.set)

    def begin() -> ProcessTree | None:
        if given_up.is_set():
            return None
        before_start()
        if isinstance(command, CommandOfSpares):
            return command.start(stdin=stdin, output=output, finished=finished)
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
    if isinstance(command, CommandOfSpares):
        loop.call_later(NEXT_SECONDS, _prepare, command)
    return ProcessResult(
        exit_code=-signal.SIGTERM if tree.process.returncode is None else tree.process.returncode,
        output=output,
        timed_out=timed_out,
        too_much_output=output.full,
        duration=timedelta(seconds=time.monotonic() - started),
        exceeded=tree.exceeded,
    )


def _prepare(command: CommandOfSpares) -> None:
    with contextlib.suppress(RuntimeError):  # there are no threads any more
        in_thread(command.prepare)


async def end_tree(tree: ProcessTree, ended: asyncio.Event) -> None:
    """Ask it to end, then kill it. `ended` is set by the tree's `finished`."""
    if ended.is_set():
        return
    tree.terminate()
    if await _within(ended, process.TERM_GRACE):
        return
    tree.kill()
    if not await _within(ended, process.KILL_LIMIT):
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
