"""The one way out of a sandbox without a network: an HTTP proxy inside the worker that refuses what it should.

A tool's own network namespace has a loopback interface and nothing else. Before the tool starts, a gate in there
(`gate_child`) listens on 127.0.0.1 and hands that socket to the worker; from then on the worker accepts what the
tool connects to. It is handed over on a connected pair that belongs to this call alone: the gate inherits one end as an
open descriptor, one message is taken, and the pair is shut. Neither the pair nor the listener has a name, and both are
closed in the sandbox before the tool begins: what the worker's thread waits on is shared with nobody. Where there is no
network namespace, it is the listener of a system-call filter that is handed over in the same way (`answered.py`).

Programs that know no proxy connect to where names are said to be: see `named.py`.

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
import struct
import sys
import threading
import weakref
from collections.abc import Callable, Collection
from typing import Final

from worker_core.sandbox.egress.answered import Answered
from worker_core.sandbox.egress.arrivals import TokenBucket, readable
from worker_core.sandbox.egress.named import NamedWay, Ports, reset
from worker_core.sandbox.gatekeeper import HEAD_LIMIT_BYTES, Gatekeeper
from worker_core.sandbox.launcher import PROXY_PORT

log = logging.getLogger(__name__)

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

READY_SECONDS: Final = 2
"""Longer than this the gate waits for nobody; then programs that know no proxy have no network at first."""

LEAVE_SECONDS: Final = 2.0
"""What a call that is over has said may still go out."""

_FIRST_DESCRIPTOR: Final = 10
"""Shells name those below by a digit, and may use them."""

_AFTER_AN_ERROR_SECONDS: Final = 0.1
_CLOSE_ON_EXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Lease:
    """The network of one call: the descriptor that its gate inherits, and the end of it all."""

    def __init__(self, egress: Egress, gate: int, call: _Call, *, sockets: int) -> None:
        self._egress = egress
        self._call = call
        self.descriptor = gate
        self.port = PROXY_PORT
        """Of 127.0.0.1 in the sandbox: where its tools find the proxy."""

        self.sockets = sockets
        """How many the gate makes for programs that know no proxy, besides one for datagrams."""

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
        self.listener: socket.socket | Answered | None = None
        self.named: NamedWay | None = None
        self.over = False
        self.connections: dict[asyncio.Task[None], float] = {}
        """When each was last heard, by the loop's clock."""

        self.bucket = TokenBucket(burst=BURST, per_second=CONNECTIONS_PER_SECOND)

    @property
    def listeners(self) -> list[socket.socket | Answered]:
        own = [] if self.listener is None else [self.listener]
        return own if self.named is None else [*own, *self.named.listeners]

    def close(self) -> None:
        """Nothing connects any more."""
        if self.listener is not None:
            self.listener.close()
        if self.named is not None:
            self.named.close()

    def most_silent(self) -> tuple[asyncio.Task[None], float]:
        return min(self.connections.items(), key=lambda one: one[1])


class Egress:
    """The thread that answers. Its methods may be called from any thread."""

    def __init__(self, *, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper
        self._ports = Ports.of(gatekeeper.ports)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = threading.Lock()  # whether there is a loop does not change under who gives it something
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
            self._soon(lambda: self._closed.set(), last=True)

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
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", READY_SECONDS, 0))
                gate = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
            call = _Call(doors)
            lease = Lease(self, gate, call, sockets=self._ports.sockets)
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

    def _soon(self, what: Callable[[], object], *, last: bool = False) -> None:
        """Nothing is given to the loop behind its `last`: it would never be done, and what it holds never be closed."""
        with self._open:
            if self._loop is None:
                raise OSError(errno.ESHUTDOWN, "the proxy of the sandbox is closed")
            self._loop.call_soon_threadsafe(what)
            if last:
                self._loop = None

    # --- in the thread ------------------------------------------------------------------------------------

    def _begin(self, call: _Call, ours: socket.socket) -> None:
        self._calls.add(call)
        call.pair = ours
        call.attending = asyncio.create_task(self._attend(call, ours))
        call.attending.add_done_callback(lambda _: self._calls.discard(call))
        call.attending.add_done_callback(lambda _: ours.close())  # it may be cancelled before it has begun

    async def _attend(self, call: _Call, ours: socket.socket) -> None:
        try:
            with ours:  # the gate waits until it is shut
                await readable(ours)
                self._receive(call, ours)
            if call.listener is not None:
                await self._answer(call, call.listener)
        except OSError as error:
            log.debug("A sandbox did not hand over its network: %s", error)
        finally:
            call.close()
            if call.connections and not self._closed.is_set():
                await asyncio.wait(call.connections, timeout=LEAVE_SECONDS)
            for connection in call.connections:
                connection.cancel()

    def _receive(self, call: _Call, ours: socket.socket) -> None:
        handed = _taken(ours, most=2 + self._ports.sockets)
        if not handed or not _listens(handed[0]):
            for one in handed:
                one.close()
            return
        call.listener, *rest = handed
        if sockets := [one for one in rest if isinstance(one, socket.socket)]:
            try:
                call.named = NamedWay(sockets, ports=self._ports, gatekeeper=self._gatekeeper, asker=call)
            except OSError as error:  # bubblewrap is setuid, or something else of this system forbids it
                log.debug("Programs of a call that know no proxy have no network: %s", error)

    async def _answer(self, call: _Call, listener: socket.socket | Answered) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:

            def listen(one: socket.socket | Answered) -> None:
                group.create_task(self._accept(call, one))

            listen(listener)
            if call.named is not None:
                for one in call.named.listeners:
                    listen(one)
                group.create_task(call.named.answer_questions(listen))

    async def _accept(self, call: _Call, listener: socket.socket | Answered) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await readable(listener)
            await call.bucket.wait(loop.time())
            await self._make_room(call)
            try:
                self._take(call, listener)
            except OSError as error:  # who wanted to connect has gone, or there are no more descriptors
                log.debug("A connection out of a sandbox could not be taken: %s", error)
                await asyncio.sleep(_AFTER_AN_ERROR_SECONDS)

    def _take(self, call: _Call, listener: socket.socket | Answered) -> None:
        connection, _ = listener.accept()
        called = None
        if call.named is not None and listener is not call.listener:
            called = call.named.called(connection)
            if called is None:
                reset(connection)
                return
        task = asyncio.create_task(self._serve(call, connection, called))
        call.connections[task] = asyncio.get_running_loop().time()
        task.add_done_callback(call.connections.pop)
        task.add_done_callback(lambda _: connection.close())  # it may be cancelled before it has begun

    def _take_what_waits(self, call: _Call) -> None:
        """A call may be over before this thread has looked at it, or at what it connected to last."""
        if call.listener is None and call.pair is not None:
            with contextlib.suppress(OSError):  # it did not get so far
                self._receive(call, call.pair)
        for listener in call.listeners:
            with contextlib.suppress(OSError):  # there is nothing, or nothing more
                for _ in range(MOST_OF_ONE_CALL):
                    if self._crowd(call) is None:
                        self._take(call, listener)

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

    async def _serve(self, call: _Call, connection: socket.socket, called: tuple[str, int] | None) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=HEAD_LIMIT_BYTES)
        own, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert own is not None

        def heard() -> None:
            call.connections[own] = loop.time()

        meant = call.named.meant if call.named is not None else str
        await self._gatekeeper.serve(
            reader, writer, called=called, doors=call.doors, meant=meant, heard=heard, asker=call
        )


def _taken(pair: socket.socket, *, most: int) -> list[socket.socket | Answered]:
    """What the one message carries."""
    taken: list[socket.socket | Answered] = []
    if sys.platform == "win32":
        return taken
    _, ancillary, _, _ = pair.recvmsg(1, socket.CMSG_LEN(4 * most), _CLOSE_ON_EXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            for (descriptor,) in struct.iter_unpack("i", data[: len(data) // 4 * 4]):
                if (answered := Answered.of(descriptor)) is not None:
                    taken.append(answered)
                    continue
                try:
                    taken.append(socket.socket(fileno=descriptor))
                except OSError:  # nothing that listens
                    os.close(descriptor)
    for one in taken:
        if isinstance(one, socket.socket):
            one.settimeout(0)
    return taken


def _listens(one: socket.socket | Answered) -> bool:
    return isinstance(one, Answered) or (
        one.family == socket.AF_INET
        and one.type == socket.SOCK_STREAM
        and bool(one.getsockopt(socket.SOL_SOCKET, getattr(socket, "SO_ACCEPTCONN", 30)))
    )
