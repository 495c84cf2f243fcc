"""The one way out of a sandbox without a network: an HTTP proxy inside the worker that refuses what it should.

A tool's own network namespace has a loopback interface and nothing else. Before the tool starts, a gate in there
(`gate_child`) listens on 127.0.0.1 and hands that socket to the worker; from then on the worker accepts what the
tool connects to. It is handed over on a connected pair that belongs to this call alone: the gate inherits one end as an
open descriptor, one message is taken, and the pair is shut. Neither the pair nor the listener has a name, and both are
closed in the sandbox before the tool begins: what the worker's thread waits on is shared with nobody.

It runs in a thread of its own with its own loop, so that a busy tool does not delay the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Collection
from typing import Final

from worker_core.sandbox.gatekeeper import HEAD_LIMIT_BYTES, Gatekeeper

log = logging.getLogger(__name__)

PORT: Final = 3128
"""Inside the sandbox."""

MOST_CONNECTIONS: Final = 256
"""At the same time, of all calls. Then the call that has most of them gives one up for a call that has fewer."""

MOST_OF_ONE_CALL: Final = 64
"""What connects beyond that waits in the kernel until one has ended."""

CROWDED_IDLE_SECONDS: Final = 60.0
"""A call that has all its connections in use loses one that has been silent for so long."""

BURST: Final = 300
CONNECTIONS_PER_SECOND: Final = 20.0
"""New connections of one call, after a burst: what comes faster waits in the kernel, and costs the worker nothing. One
that is refused costs it half a millisecond."""

LEAVE_SECONDS: Final = 2.0
"""What a call that is over has said may still go out."""

_FIRST_DESCRIPTOR: Final = 10
"""Shells name those below by a digit, and may use them."""

_AFTER_AN_ERROR_SECONDS: Final = 0.1
_CLOSE_ON_EXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Lease:
    """The network of one call: the descriptor that its gate inherits, and the end of it all."""

    def __init__(self, egress: Egress, gate: int, call: _Call) -> None:
        self._egress = egress
        self._call = call
        self.descriptor = gate
        # Also where the process is never started: then the worker's end reads the end of the pair.
        self._let_go = weakref.finalize(self, os.close, gate)

    def given(self) -> None:
        """The process has its copy."""
        self._let_go()

    def end(self) -> None:
        """Nothing connects any more; what has connected has a moment to say what it has said. May be called again."""
        self._let_go()
        self._egress.end(self._call)


class _Call:
    """Belongs to the loop of the thread."""

    def __init__(self, doors: Collection[int]) -> None:
        self.doors = frozenset(doors)
        self.attending: asyncio.Task[None] | None = None
        self.pair: socket.socket | None = None
        self.listener: socket.socket | None = None
        self.over = False
        self.connections: dict[asyncio.Task[None], float] = {}
        """When each was last heard, by the loop's clock."""

        self._tokens = float(BURST)
        self._counted_at = 0.0

    def most_silent(self) -> tuple[asyncio.Task[None], float]:
        return min(self.connections.items(), key=lambda one: one[1])

    async def keep_pace(self, now: float) -> None:
        """Wait until one more may come."""
        if self._counted_at:
            self._tokens = min(BURST, self._tokens + (now - self._counted_at) * CONNECTIONS_PER_SECOND)
        self._counted_at = now
        self._tokens -= 1
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / CONNECTIONS_PER_SECOND)


class Egress:
    """The thread that answers. Its methods may be called from any thread."""

    def __init__(self, *, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: set[_Call] = set()

    def start(self) -> None:
        """Begin to answer.

        Raises:
            RuntimeError: there is no thread for it.

        """
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._main(ready)), name="egress", daemon=True).start()
        ready.wait()

    async def _main(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()
        ready.set()
        await self._closed.wait()

    def close(self) -> None:
        """Stop answering; what is connected is cut."""
        with contextlib.suppress(OSError):  # it is closed already
            self._soon(lambda: self._closed.set())

    def lease(self, *, doors: Collection[int] = ()) -> Lease:
        """The way out for one call.

        Args:
            doors: ports of the worker's own 127.0.0.1 that this call, and no other, reaches under the name `WORKER`.

        Raises:
            OSError: there are no more descriptors, or it is closed.

        """
        if sys.platform == "win32":
            raise OSError(errno.EAFNOSUPPORT, "Windows' Python has no Unix sockets")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                gate = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
            call = _Call(doors)
            lease = Lease(self, gate, call)
            ours.settimeout(0)
            self._soon(lambda: self._begin(call, ours))
        except OSError:
            ours.close()
            raise
        return lease

    def end(self, call: _Call) -> None:
        """A call is over: see `Lease.end`."""

        def over() -> None:
            if call.attending is not None and not call.over:
                call.over = True
                self._take_what_waits(call)
                asyncio.get_running_loop().call_soon(call.attending.cancel)  # not before it has begun

        with contextlib.suppress(OSError):  # everything is over
            self._soon(over)

    def _soon(self, what: Callable[[], object]) -> None:
        try:
            if self._loop is None:
                raise RuntimeError("it was not started")
            self._loop.call_soon_threadsafe(what)
        except RuntimeError as error:
            raise OSError(errno.ESHUTDOWN, "the proxy of the sandbox is closed") from error

    # --- in the thread ------------------------------------------------------------------------------------

    def _begin(self, call: _Call, ours: socket.socket) -> None:
        self._calls.add(call)
        call.pair = ours
        call.attending = asyncio.create_task(self._attend(call, ours))
        call.attending.add_done_callback(lambda _: self._calls.discard(call))
        call.attending.add_done_callback(lambda _: ours.close())  # it may be cancelled before it has begun

    async def _attend(self, call: _Call, ours: socket.socket) -> None:
        try:
            with ours:
                await _readable(ours)
                call.listener = _taken(ours)
            if call.listener is not None:
                await self._accept(call, call.listener)
        except OSError as error:
            log.debug("A sandbox did not hand over its network: %s", error)
        finally:
            if call.listener is not None:
                call.listener.close()
            if call.connections and not self._closed.is_set():
                await asyncio.wait(call.connections, timeout=LEAVE_SECONDS)
            for connection in call.connections:
                connection.cancel()

    async def _accept(self, call: _Call, listener: socket.socket) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await _readable(listener)
            await call.keep_pace(loop.time())
            await self._make_room(call)
            try:
                connection, _ = listener.accept()
            except OSError as error:  # who wanted to connect has gone, or there are no more descriptors
                log.debug("A connection out of a sandbox could not be taken: %s", error)
                await asyncio.sleep(_AFTER_AN_ERROR_SECONDS)
                continue
            self._take(call, connection)

    def _take(self, call: _Call, connection: socket.socket) -> None:
        task = asyncio.create_task(self._serve(call, connection))
        call.connections[task] = asyncio.get_running_loop().time()
        task.add_done_callback(call.connections.pop)

    def _take_what_waits(self, call: _Call) -> None:
        """A call may be over before this thread has looked at it, or at what it connected to last."""
        with contextlib.suppress(OSError):  # there is nothing, or nothing more
            if call.listener is None and call.pair is not None:
                call.listener = _taken(call.pair)
            while call.listener is not None and self._crowd(call) is None:
                self._take(call, call.listener.accept()[0])

    async def _make_room(self, call: _Call) -> None:
        """Wait until `call` may have one more connection. Its own and those of greedier ones are what it waits for."""
        loop = asyncio.get_running_loop()
        while (crowd := self._crowd(call)) is not None:
            silent, heard_at = crowd.most_silent()
            if crowd is not call or loop.time() - heard_at >= CROWDED_IDLE_SECONDS:
                silent.cancel()
                await asyncio.wait({silent})
            else:
                await asyncio.wait(call.connections, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)

    def _crowd(self, call: _Call) -> _Call | None:
        """Whose connections are too many for one more of `call`."""
        own = len(call.connections)
        if own >= MOST_OF_ONE_CALL:
            return call
        if not own or sum(len(one.connections) for one in self._calls) < MOST_CONNECTIONS:
            return None
        greediest = max(self._calls, key=lambda one: len(one.connections))
        return greediest if len(greediest.connections) > own + 1 else call

    async def _serve(self, call: _Call, connection: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=HEAD_LIMIT_BYTES)
        except BaseException:
            connection.close()
            raise
        own, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert own is not None

        def heard() -> None:
            call.connections[own] = loop.time()

        await self._gatekeeper.serve(reader, writer, doors=call.doors, heard=heard, asker=call)


async def _readable(one: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(one, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(one)


def _taken(pair: socket.socket) -> socket.socket | None:
    """What the one message carries. None: there is none, or it is no listening socket."""
    if sys.platform == "win32":
        return None
    _, ancillary, _, _ = pair.recvmsg(1, socket.CMSG_LEN(4), _CLOSE_ON_EXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptor = int.from_bytes(data[:4], sys.byteorder)
            try:
                handed = socket.socket(fileno=descriptor)
            except OSError:  # no socket at all
                os.close(descriptor)
                return None
            if _listens(handed):
                handed.settimeout(0)
                return handed
            handed.close()
    return None


def _listens(one: socket.socket) -> bool:
    return (
        one.family == socket.AF_INET
        and one.type == socket.SOCK_STREAM
        and bool(one.getsockopt(socket.SOL_SOCKET, getattr(socket, "SO_ACCEPTCONN", 30)))
    )
