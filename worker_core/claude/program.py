"""The program behind the SDK, run like every tool process: isolated, watched, killed whole.

The SDK's own way of starting it hands over the worker's whole environment and leaves behind what it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from claude_agent_sdk import CLIConnectionError, Transport

from worker_core.basics.foreign_json import DEEPEST, shallow
from worker_core.basics.threads import in_thread, uninterrupted
from worker_core.mcp.stdio import ErrorTail, Lines
from worker_core.sandbox.call import end_tree
from worker_core.sandbox.launcher import Command, Launcher
from worker_core.sandbox.processes.process import ProcessTree

log = logging.getLogger(__name__)

LONGEST_LINE_BYTES = 32 * 1024 * 1024
MOST_OUTPUT_BYTES = 1024 * 1024 * 1024
"""Of one turn."""

GRACE = timedelta(seconds=1)
_UNREAD_MESSAGES = 256
"""Then the program waits until the SDK has read some."""


class Program(Transport):
    """One process that speaks JSON, a message a line. Lives on the loop that connects it."""

    def __init__(self, command: Command, *, launcher: Launcher, workspace: Path) -> None:
        self._command = command
        self._launcher = launcher
        self._workspace = workspace
        self._tree: ProcessTree | None = None
        self._inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_UNREAD_MESSAGES)
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ended = asyncio.Event()
        self._stopping = threading.Event()
        self._received = 0
        self.errors = ErrorTail(lambda _: None)
        """The end of what it wrote to its standard error."""

    @property
    def exceeded(self) -> str:
        """The limit that it was ended for, as a sentence; empty: none."""
        return self._tree.exceeded if self._tree is not None else ""

    async def connect(self) -> None:
        self._loop = asyncio.get_running_loop()
        starting = in_thread(self._start)
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await uninterrupted(self._finish(starting))
            raise
        except OSError as error:
            raise CLIConnectionError(f"Claude Code could not be started: {error.strerror or error}.") from error

    async def _finish(self, starting: asyncio.Future[None]) -> None:
        with contextlib.suppress(Exception):
            await starting
        await self.close()

    async def write(self, data: str) -> None:
        if self._ended.is_set():
            raise CLIConnectionError("Claude Code has ended.")
        self._outbox.put(data.encode())

    async def end_input(self) -> None:
        self._outbox.put(None)

    async def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        while (message := await self._inbox.get()) is not None:
            yield message

    async def close(self) -> None:
        """End it and everything that it started.

        In a task of its own: the one that asks is most often being cancelled, and before Python 3.11.3 a time limit in
        such a task (`asyncio.timeout`) cancels it once more instead of raising TimeoutError.
        """
        self._stopping.set()
        self._outbox.put(None)
        if self._tree is not None:
            await uninterrupted(self._end(self._tree))

    async def _end(self, tree: ProcessTree) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE.total_seconds()):
                while not self._ended.is_set():
                    _emptied(self._inbox)  # a reading thread may wait for room
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.05):
                            await self._ended.wait()
        await end_tree(tree, self._ended)

    def is_ready(self) -> bool:
        return self._tree is not None and not self._ended.is_set()

    # --- in other threads ---------------------------------------------------------------------------------

    def _start(self) -> None:
        command = self._launcher.wrap(self._command, workspace=self._workspace)
        self._tree = ProcessTree(
            command,
            stdin=None,
            output=Lines(self._take, longest=LONGEST_LINE_BYTES, counts=self._counts, too_long=lambda: None),
            errors=self.errors,
            finished=self._finished,
        )
        try:
            threading.Thread(target=self._write, name="claude input", daemon=True).start()
        except RuntimeError as error:  # no more threads
            raise OSError(errno.EAGAIN, str(error)) from error

    def _counts(self, size: int) -> bool:
        self._received += size
        return self._received <= MOST_OUTPUT_BYTES

    def _take(self, line: bytes) -> None:
        try:
            message = _read(line)
        except ValueError:
            self.errors.feed(line + b"\n")
            return
        if isinstance(message, dict) and not self._stopping.is_set():
            with contextlib.suppress(RuntimeError):  # the loop is gone
                asyncio.run_coroutine_threadsafe(self._inbox.put(message), self._loop).result()

    def _write(self) -> None:
        assert self._tree is not None
        pipe = self._tree.process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError), pipe:  # it reads no more: its end follows
            while (data := self._outbox.get()) is not None:
                pipe.write(data)
                pipe.flush()

    def _finished(self) -> None:
        self._outbox.put(None)
        self._call_soon(self._over)

    def _over(self) -> None:
        self._ended.set()
        if self._inbox.full():
            self._inbox.get_nowait()
        self._inbox.put_nowait(None)

    def _call_soon(self, function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)


def _read(line: bytes) -> Any:
    """A message. Where it nests too deep it is cut: a call whose arguments do is answered, as too deep, not lost."""
    text = line.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except RecursionError:
        return json.loads(shallow(text, deepest=2 * DEEPEST))


def _emptied(inbox: asyncio.Queue[dict[str, Any] | None]) -> None:
    while not inbox.empty():
        inbox.get_nowait()
