"""MCP over the input and output of a process that runs like every tool process: isolated, watched, killed whole.

The SDK's own transport starts processes through asyncio and leaves what they started behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import queue
import re
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from worker_core.basics.threads import in_thread, uninterrupted
from worker_core.errors import KubiyaError
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.flow import LARGEST_ANSWER_BYTES, Budget, Flow
from worker_core.mcp.folders import ServerFolder
from worker_core.mcp.last_words import telling
from worker_core.mcp.messages import read_message
from worker_core.mcp.program import find
from worker_core.sandbox.call import end_tree
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, Launcher
from worker_core.sandbox.processes.process import ProcessTree
from worker_core.sandbox.processes.watcher import OWN_FOLDER

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

GRACE = timedelta(seconds=1)
"""Between closing a server's input, which asks it to end, and ending it."""

LONGEST_ERROR_LINE = 2000
ERRORS_AT_ONCE = ERRORS_PER_SECOND = 4 * 1024 * 1024
"""Bytes of the error output that are read. A process that prints more waits in its own pipe: nobody reads so fast."""

_LOGGED_AT_ONCE, _LOGGED_PER_SECOND = 100, 5
"""Lines of the error output that the log gets, where it takes such details."""

_ERROR_PAUSE_SECONDS = 0.05
_ERROR_BYTES_KEPT = 32 * 1024
_QUIET = {
    "npm_config_update_notifier": "false",
    "npm_config_fund": "false",
    "npm_config_audit": "false",
    "NO_UPDATE_NOTIFIER": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
"""Programs that fetch programs speak of what was asked, and of nothing else."""

_BROUGHT_BY = {"node": "Node.js", "npx": "Node.js", "npm": "Node.js", "uv": "uv", "uvx": "uv", "docker": "Docker"}
_NOTICE = re.compile(
    rb'\s{0,9}\{\s{0,9}(?:"jsonrpc"\s{0,9}:\s{0,9}"2\.0"\s{0,9},\s{0,9})?"method"\s{0,9}:\s{0,9}"notifications/'
)
"""How a notification begins. Whatever follows, it is none of our answers."""


class Lines:
    """Cuts what a process prints into lines, for a function that may block.

    Args:
        take: one line, without its end.
        longest: bytes of a line.
        counts: says whether so many bytes more may come.
        too_long: a longer line ends the process, and this is called. None: the line is cut.
    """

    def __init__(
        self,
        take: Callable[[bytes], None],
        *,
        longest: int,
        counts: Callable[[int], bool],
        too_long: Callable[[], None] | None = None,
    ) -> None:
        self._take = take
        self._longest = longest
        self._counts = counts
        self._too_long = too_long
        self._held = bytearray()
        self._stopped = False
        self.full = False

    def feed(self, piece: bytes) -> None:
        if not self._counts(len(piece)):
            self.full = True
        *whole, rest = piece.split(b"\n")
        for part in whole:
            if self._stopped or self.full:
                return
            self._hold(part)
            line = bytes(self._held)
            self._held.clear()
            if line.strip():
                self._take(line)
        self._hold(rest)

    def _hold(self, part: bytes) -> None:
        room = self._longest - len(self._held)
        if len(part) > room and self._too_long is not None:
            self._too_long()
            self.full = True
        self._held += part[: max(0, room)]

    def stop(self) -> None:
        self._stopped = True


class ErrorTail:
    """The end of what a process prints on its error output: kept as bytes, and read when somebody asks for it.

    Args:
        log: one line, for the log.
    """

    def __init__(self, log: Callable[[str], None]) -> None:
        self.full = False
        self._log = log
        self._kept = b""
        self._begun = b""
        """A line that has no end yet."""

        self._is_too_long = False
        self._bytes = Budget(ERRORS_AT_ONCE, ERRORS_PER_SECOND)
        self._lines = Budget(_LOGGED_AT_ONCE, _LOGGED_PER_SECOND)
        self._stopped = threading.Event()

    def feed(self, piece: bytes) -> None:
        while not self._bytes.take(min(len(piece), ERRORS_AT_ONCE)) and not self._stopped.wait(_ERROR_PAUSE_SECONDS):
            pass
        kept = self._kept + piece
        if len(kept) > _ERROR_BYTES_KEPT:  # from the beginning of a line: half a secret would not be masked
            kept = kept[-_ERROR_BYTES_KEPT:].partition(b"\n")[2]
        self._kept = kept
        self._log_whole_lines(piece)

    def _log_whole_lines(self, piece: bytes) -> None:
        """Half a secret would not be masked: neither at the end of a piece nor where a line is cut."""
        if self._is_too_long:
            _, end, piece = piece.partition(b"\n")
            self._is_too_long = not end
        whole, end, rest = piece.rpartition(b"\n")
        if end:
            for line in (self._begun + whole).splitlines() if self._lines.has() else ():
                if line.strip() and self._lines.take():
                    self._log(line.decode("utf-8", "replace").rstrip())
            self._begun = b""
        self._is_too_long = self._is_too_long or len(self._begun) + len(rest) > _ERROR_BYTES_KEPT
        self._begun = b"" if self._is_too_long else self._begun + rest

    def stop(self) -> None:
        self._stopped.set()

    def last(self) -> str:
        """The last line that says something, as far as it was printed."""
        kept = self._kept
        if len(kept) > LONGEST_ERROR_LINE:  # from the beginning of a line: half a secret would not be masked
            kept = kept[-LONGEST_ERROR_LINE:].partition(b"\n")[2]
        lines = [line.strip() for line in kept.replace(b"\r", b"\n").splitlines()]
        return next((line for line in reversed(lines) if line), b"").decode("utf-8", "replace")

    def lines(self) -> list[str]:
        """Those that say why it ended, else the last ones."""
        return telling(line.decode("utf-8", "replace") for line in self._kept.splitlines())


class StdioServer:
    """One server process and the threads that talk to it. Lives on the loop of the MCP thread."""

    def __init__(self, config: ServerConfig, *, flow: Flow, log: Callable[[str], None]) -> None:
        """`log` takes a line of what it prints beside messages; called in other threads."""
        self._config = config
        self._flow = flow
        self.errors = ErrorTail(log)
        self._loop = asyncio.get_running_loop()
        self._tree: ProcessTree | None = None
        self._ended = asyncio.Event()
        self._killed = False
        self.in_a_hurry = False
        """It is not asked to end first."""

        self._outbox: queue.SimpleQueue[tuple[bytes, Callable[[], None]] | None] = queue.SimpleQueue()
        self._to_session: MemoryObjectSendStream[SessionMessage | Exception]
        self.incoming: MemoryObjectReceiveStream[SessionMessage | Exception]
        self._to_session, self.incoming = anyio.create_memory_object_stream[Any](0)
        self.outgoing: MemoryObjectSendStream[SessionMessage]
        self._from_session: MemoryObjectReceiveStream[SessionMessage]
        self.outgoing, self._from_session = anyio.create_memory_object_stream[Any](0)

    @property
    def how_it_ended(self) -> str:
        """How the process ended, for a sentence; empty: it runs, never did, or had to be ended by us."""
        if self._tree is None or self._killed or (code := self._tree.process.returncode) is None:
            return ""
        if self._tree.exceeded:
            return f" {self._tree.exceeded}"
        return f" It ended with exit code {code}." if code >= 0 else f" Signal {-code} ended it."

    @property
    def overfull(self) -> bool:
        """It was ended since the folder that it keeps was too full."""
        return self._tree is not None and self._tree.exceeded.startswith(OWN_FOLDER)

    def begin(self, launcher: Launcher, *, workspace: Path, folder: ServerFolder | None, call_mark: str) -> None:
        """Start the process. Called in another thread.

        Raises:
            KubiyaError: there is no such program.
            OSError: it could not be started.
        """
        environment = tool_environment({**_QUIET, **self._config.environment}, call_mark=call_mark)
        name, *args = self._config.command
        program = find(name, search_path=environment.get("PATH", os.defpath))
        if program is None and not (workspace / name).is_file():
            brought = f" {_BROUGHT_BY[name]} brings it." if name in _BROUGHT_BY else ""
            raise KubiyaError(
                f"The MCP server {self._config.alias[:100]!r} needs the program {name[:100]!r}, which is not "
                f"installed on this machine, or not on the PATH of the worker.{brought}"
            )
        if program is not None:
            environment["PATH"] = program.search_path(environment.get("PATH", os.defpath))
        started = Command(
            argv=[name if program is None else str(program.path), *args],
            cwd=workspace,
            environment=environment,
            readable=() if program is None else program.readable,
            home=None if folder is None else folder.use(),
        )
        command = launcher.wrap(started, workspace=workspace)
        self._output = Lines(
            self._take,
            longest=LARGEST_ANSWER_BYTES,
            counts=self._flow.received_bytes,
            too_long=self._flow.sent_too_long,
        )
        self._tree = ProcessTree(command, stdin=None, output=self._output, errors=self.errors, finished=self._finished)
        try:
            threading.Thread(target=self._write, name="mcp input", daemon=True).start()
        except RuntimeError as error:  # no more threads
            if self._tree.process.stdin is not None:
                self._tree.process.stdin.close()
            raise OSError(errno.EAGAIN, str(error)) from error

    async def relay(self) -> None:
        """Hand what the session says to the writing thread, one message at a time, until the session ends."""
        async with self._from_session:
            async for message in self._from_session:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                taken = asyncio.Event()
                self._outbox.put((line.encode() + b"\n", taken.set))
                await taken.wait()

    async def close(self) -> None:
        """End the process and everything that it started."""
        for stream in (self.incoming, self._to_session, self.outgoing, self._from_session):
            stream.close()
        self._outbox.put(None)
        if self._tree is None:
            return
        if not self.in_a_hurry:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE.total_seconds()):
                    await self._ended.wait()
        self._killed = not self._ended.is_set()
        await end_tree(self._tree, self._ended)

    # --- in other threads ---------------------------------------------------------------------------------

    def _take(self, line: bytes) -> None:
        from mcp.shared.message import SessionMessage

        if len(line) > self._flow.largest_message:
            self._flow.sent_too_long()
        too_many = _NOTICE.match(line) is not None and not self._flow.notices.has()
        message = None if too_many or self._flow.violation else read_message(line, waiting=tuple(self._flow.waiting))
        if message is not None:
            # Wait until the session has taken it: a server that floods is held up by its own pipe.
            sending = self._to_session.send(SessionMessage(message))
            with contextlib.suppress(
                RuntimeError, anyio.ClosedResourceError, anyio.BrokenResourceError, CancelledError
            ):
                asyncio.run_coroutine_threadsafe(sending, self._loop).result()
            return
        if not too_many:
            shown = line  # to the end of a word: half a secret would not be masked
            if len(line) > LONGEST_ERROR_LINE:
                shown = line[:LONGEST_ERROR_LINE].rpartition(b" ")[0]
            self.errors.feed(b"(no message) " + shown + b"\n")
        if not self._flow.received_message():
            self._output.full = True  # ends the process

    def _write(self) -> None:
        assert self._tree is not None
        pipe = self._tree.process.stdin
        assert pipe is not None
        try:
            with pipe:
                while (item := self._outbox.get()) is not None:
                    line, taken = item
                    pipe.write(line)
                    pipe.flush()
                    self._call_soon(taken)
        except (OSError, ValueError):  # it no longer reads: nobody can talk to it
            self._call_soon(self._flow.over.set)

    def _finished(self) -> None:
        def over() -> None:
            self._ended.set()
            self._to_session.close()  # the session reads the end of the stream
            self._flow.over.set()

        self._outbox.put(None)
        self._call_soon(over)

    def _call_soon(self, function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone
            self._loop.call_soon_threadsafe(function)


@asynccontextmanager
async def running(
    server: StdioServer, launcher: Launcher, *, workspace: Path, folder: ServerFolder | None, call_mark: str
) -> AsyncIterator[None]:
    """The process runs in here; nothing of it is left afterwards.

    Args:
        server: not started yet.
        launcher: isolates it.
        workspace: where it runs.
        folder: where it keeps what it keeps; None: nowhere.
        call_mark: marks its processes.

    Raises:
        KubiyaError: there is no such program.
        OSError: it could not be started.
    """
    starting = in_thread(partial(server.begin, launcher, workspace=workspace, folder=folder, call_mark=call_mark))
    relaying: asyncio.Task[None] | None = None
    try:
        await asyncio.shield(starting)
        relaying = asyncio.create_task(server.relay())
        yield
    finally:
        await uninterrupted(_finish(server, starting, relaying))


async def _finish(server: StdioServer, starting: asyncio.Future[None], relaying: asyncio.Task[None] | None) -> None:
    with contextlib.suppress(Exception):  # once the thread runs it cannot be held back
        await starting
    if relaying is not None:
        relaying.cancel()
        await asyncio.wait([relaying])
    server.outgoing.close()
    await server.close()
