"""The one way out of a sandbox without a network: an HTTP proxy inside the worker that refuses what it should.

A tool's own network namespace has a loopback interface and nothing else. Before the tool starts, a few lines of Python
(`egress_child.py`) listen on 127.0.0.1 in there and hand that socket to the worker over a Unix socket; from then on the
worker accepts what the tool connects to. Names are resolved here, every address is looked at, and the connection goes
to the very address that was looked at: a name that resolves differently the second time gains nothing.

It runs in a thread of its own with its own loop, so that a busy tool does not delay the engine.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from urllib.parse import urlsplit

from worker_core.sandbox.network import Address, NetworkPolicy, Refused, is_public, normal_host, own_addresses

log = logging.getLogger(__name__)

PORT = 3128
"""Inside the sandbox."""

WORKER = "worker.kubiya.internal"
"""The worker itself: its ports that are doors, no other. On the internet `.internal` is nobody's (ICANN)."""

HEAD_LIMIT_BYTES = 32 * 1024
HEAD_SECONDS = 30
CONNECT_SECONDS = 20
IDLE_SECONDS = 900
MOST_CONNECTIONS = 256
"""At the same time, of all tasks; more are closed at once."""

MOST_TASKS = 128
_BLOCK_BYTES = 64 * 1024

Resolve = Callable[[str, int], Awaitable[list[Address]]]
_HOP_BY_HOP = {b"proxy-connection", b"proxy-authorization", b"connection", b"keep-alive", b"te", b"upgrade"}


async def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a name.

    Raises:
        OSError: it has none.

    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found))


class Gatekeeper:
    """Answers the connections of tasks under one policy.

    Args:
        policy: which hosts.
        resolve: how names become addresses.
        permits: which addresses; by default public ones that are not this machine's.
        doors: ports of this machine's 127.0.0.1 that are reached under the name `WORKER`, whatever the policy; looked
            at anew for each connection.

    """

    def __init__(
        self,
        policy: NetworkPolicy,
        *,
        resolve: Resolve = resolve,
        permits: Callable[[Address], bool] | None = None,
        doors: Collection[int] = (),
    ) -> None:
        self._doors = doors
        self._policy = policy
        self._resolve = resolve
        self._permits = permits or (lambda address: is_public(address, own=own_addresses()))
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first line to its end."""
        self._open += 1
        try:
            if self._open <= MOST_CONNECTIONS:
                await self._answer(reader, writer)
        except Refused as refusal:
            await _say(writer, "403 Forbidden", refusal.sentence)
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await _say(writer, "400 Bad Request", "This is a proxy for HTTP and HTTPS.")
        except OSError as error:
            await _say(writer, "502 Bad Gateway", f"The host cannot be reached: {error.strerror or error}.")
        except TimeoutError:
            await _say(writer, "504 Gateway Timeout", "The host did not answer in time.")
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        method, target, version = first.decode("ascii").split(" ")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            far_reader, far_writer = await self._connect(normal_host(host), int(port))
            greeting = b""
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            url = urlsplit(target)
            if url.scheme != "http" or not url.hostname:
                raise ValueError(target)
            host = normal_host(url.hostname)
            far_reader, far_writer = await self._connect(host, url.port or 80)
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            # One request for one connection: the next one may go to another host, and comes to us again.
            # The Host line is ours, too: a front server would otherwise be asked for another name than was allowed.
            kept = [
                line
                for line in lines
                if line.partition(b":")[0].strip().lower() not in {*_HOP_BY_HOP, b"host"} and line[:1] not in b" \t"
            ]
            shown = url.netloc.rpartition("@")[2]
            start = f"{method} {path} {version}\r\nHost: {shown}\r\nConnection: close\r\n".encode("ascii")
            greeting = start + b"".join(line + b"\r\n" for line in kept) + b"\r\n"
        try:
            far_writer.write(greeting)
            await _both_ways(reader, writer, far_reader, far_writer)
        finally:
            far_writer.close()

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not 0 < port < 65536:
            raise ValueError(port)
        if host == WORKER:
            if port not in self._doors:
                raise Refused("The worker has no such door.")
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection("127.0.0.1", port, limit=_BLOCK_BYTES)
        self._policy.check_host(host, port)
        async with asyncio.timeout(CONNECT_SECONDS):
            addresses = await self._resolve(host, port)
            if not addresses or not all(map(self._permits, addresses)):
                raise Refused(f"{host} is an address of this machine, a private network or a metadata service.")
            failure: OSError = OSError(f"{host} has no address")
            for address in addresses:
                try:
                    return await asyncio.open_connection(str(address), port, limit=_BLOCK_BYTES)
                except OSError as error:
                    failure = error
            raise failure


async def _both_ways(
    near_reader: asyncio.StreamReader,
    near_writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    there = asyncio.create_task(_copy(near_reader, far_writer))
    back = asyncio.create_task(_copy(far_reader, near_writer))
    try:
        # What the far end sends may still come when the near end has said everything; not the other way round.
        await back
    finally:
        there.cancel()
        back.cancel()
        await asyncio.gather(there, back, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                block = await reader.read(_BLOCK_BYTES)
            if not block:
                break
            writer.write(block)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _say(writer: asyncio.StreamWriter, status: str, sentence: str) -> None:
    body = f"{sentence}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError, TimeoutError):
        writer.write(head.encode("ascii") + body)
        async with asyncio.timeout(HEAD_SECONDS):
            await writer.drain()


class Egress:
    """The thread, and the Unix socket at which sandboxes hand over their listening sockets.

    Args:
        folder: private folder for the Unix socket; its path is kept short by the caller (107 bytes at most).
        gatekeeper: who answers.

    """

    def __init__(self, *, folder: Path, gatekeeper: Gatekeeper) -> None:
        self.path = folder / f"egress-{os.getpid()}-{os.urandom(3).hex()}"
        self._gatekeeper = gatekeeper
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks = 0
        self._kept: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to answer.

        Raises:
            OSError: the socket cannot be made.

        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.path))
            self.path.chmod(0o600)
            listener.listen(64)
            listener.settimeout(0)
        except OSError:
            listener.close()
            raise
        ready = threading.Event()
        threading.Thread(target=self._run, args=(listener, ready), name="egress", daemon=True).start()
        ready.wait()

    def close(self) -> None:
        """Stop answering; what is connected is cut."""
        self.path.unlink(missing_ok=True)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            ready.set()
            with listener, contextlib.suppress(asyncio.CancelledError):
                while True:
                    handed, _ = await self._loop.sock_accept(listener)
                    if self._tasks >= MOST_TASKS:
                        handed.close()
                        continue
                    task = asyncio.create_task(self._attend(handed))
                    self._kept.add(task)
                    task.add_done_callback(self._kept.discard)

        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(main())

    async def _attend(self, handed: socket.socket) -> None:
        """One sandbox, until the last of its processes has gone: they all hold the other end."""
        assert self._loop is not None
        self._tasks += 1
        try:
            with handed:
                handed.settimeout(0)
                listener = await self._received(handed)
                if listener is None:
                    return
                server = await asyncio.start_server(self._gatekeeper.serve, sock=listener, limit=HEAD_LIMIT_BYTES)
                try:
                    while await self._loop.sock_recv(handed, 4096):
                        pass
                finally:
                    server.close()
        except OSError as error:
            log.debug("A sandbox did not hand over its network: %s", error)
        finally:
            self._tasks -= 1

    async def _received(self, handed: socket.socket) -> socket.socket | None:
        assert self._loop is not None
        readable = asyncio.Event()
        self._loop.add_reader(handed, readable.set)
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                await readable.wait()
        except TimeoutError:
            return None
        finally:
            self._loop.remove_reader(handed)
        _, ancillary, _, _ = handed.recvmsg(1, socket.CMSG_SPACE(4 * 4))
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        sockets = []
        for descriptor in descriptors:
            try:
                sockets.append(socket.socket(fileno=descriptor))
            except OSError:  # no socket at all
                os.close(descriptor)
        usable = [one for one in sockets if _listens(one)]
        for one in sockets:
            if one not in usable[:1]:
                one.close()
        return usable[0] if usable else None


def _listens(one: socket.socket) -> bool:
    try:
        return (
            one.family == socket.AF_INET
            and one.type == socket.SOCK_STREAM
            and bool(one.getsockopt(socket.SOL_SOCKET, getattr(socket, "SO_ACCEPTCONN", 30)))
        )
    except OSError:
        return False
