"""Answers what tools ask the proxy for: resolves names itself, looks at every address, and connects to that one.

The connection goes to the very address that was looked at: a name that resolves differently the second time gains
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.names import NAMES
from worker_core.network.reachable import Address, AddressRefused, NetworkPolicy, is_public, own_addresses
from worker_core.sandbox.proxied import BLOCK_BYTES, Request, pass_body, read_head, read_origin_head

WORKER: Final = "worker.kubiya.internal"
"""The worker itself: its ports that are doors of the call, no other. Outside, `.internal` is nobody's (ICANN)."""

HEAD_LIMIT_BYTES: Final = 32 * 1024
HEAD_SECONDS: Final = 30
CONNECT_SECONDS: Final = 20
IDLE_SECONDS: Final = 900
_LAST_SECONDS: Final = 10
"""How long an end may take to read what was said to it last."""

_HTTP_PORT: Final = 80
_REFUSED: Final = "403 Forbidden"

_FIRST_BYTE_SECONDS: Final = 1
_TLS_HANDSHAKE: Final = b"\x16"
_TLS_ACCESS_DENIED: Final = b"\x15\x03\x01\x00\x02\x02\x31"
"""A fatal alert (RFC 8446, section 6): programs show its name."""

_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Resolve = Callable[[str, int], Awaitable[list[Address]]]
Connect = Callable[[Address, int], Awaitable[_End]]

_NO_SUCH_NAME: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


async def resolve(host: str, port: int, *, asker: Hashable = "") -> list[Address]:
    """All addresses of a name.

    Raises:
        OSError: it has none.

    """
    with contextlib.suppress(ValueError):
        return [ipaddress.ip_address(host)]
    found = await NAMES.look_up(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), asker=asker)
    return list(dict.fromkeys(ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """One connection, as `Gatekeeper.serve` was told of it."""

    near: _End
    called: tuple[str, int] | None
    doors: Collection[int]
    meant: Callable[[str], str]
    heard: Callable[[], None]
    asker: Hashable

    @property
    def speaks_http(self) -> bool:
        """To the proxy, or to port 80 of a host, as it thinks. What else is spoken is not known."""
        return self.called is None or self.called[1] == _HTTP_PORT


class Gatekeeper:
    """Answers the connections of tasks under one policy.

    Args:
        policy: which hosts.
        resolve: how names become addresses; by default as the system knows them.
        permits: which addresses; by default public ones that are not this machine's.
        connect: to an address and a port; by default directly.

    """

    def __init__(
        self,
        policy: NetworkPolicy,
        *,
        resolve: Resolve | None = None,
        permits: Callable[[Address], bool] | None = None,
        connect: Connect | None = None,
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._permits = permits or _is_elsewhere
        self._connect_to = connect or _connected

    @property
    def ports(self) -> tuple[int, ...]:
        """That lead somewhere, whatever is spoken there."""
        return self._policy.tunnels

    def may_reach(self, host: str, port: int) -> bool:
        """Whether a program that knows no proxy may connect there, as far as the name says."""
        try:
            self._policy.check_host(host, port)
            self._policy.check_port(host, port, tunnel=port != _HTTP_PORT)
        except AddressRefused:
            return False
        return True

    async def exists(self, host: str, *, asker: Hashable) -> bool:
        """Whether a name has an address. What may not be reached is not looked up: who connects there hears of it.

        Raises:
            OSError: nobody can tell.

        """
        if not any(self.may_reach(host, port) for port in self.ports):
            return True
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return bool(await self._look_up(host, 0, asker))
        except socket.gaierror as error:
            if error.errno in _NO_SUCH_NAME:
                return False
            raise

    async def _look_up(self, host: str, port: int, asker: Hashable) -> list[Address]:
        return await (self._resolve(host, port) if self._resolve else resolve(host, port, asker=asker))

    async def serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        called: tuple[str, int] | None = None,
        doors: Collection[int] = (),
        meant: Callable[[str], str] = str,
        heard: Callable[[], None] = lambda: None,
        asker: Hashable = "",
    ) -> None:
        """One connection, from its first line to its end. When this returns it is closed, whatever its other end does.

        Args:
            reader: of the connection.
            writer: of the connection.
            called: the host and port that a program means that knows no proxy; None: it asks as one asks a proxy.
            doors: ports of this machine's 127.0.0.1 that are reached under the name `WORKER`, whatever the policy.
            meant: which host is meant by the one that is asked for; it raises AddressRefused where none is.
            heard: called whenever one of both ends has said something.
            asker: whose connection it is: one whose names nobody answers waits in a line of its own.

        """
        visit = _Visit(near=(reader, writer), called=called, doors=doors, meant=meant, heard=heard, asker=asker)
        try:
            failure = await self._failure(visit)
            if failure is not None and visit.speaks_http:
                _say(writer, *failure)
            elif failure is not None:
                await _cut(reader, writer, refused=failure[0] == _REFUSED)
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            await _closed(writer)

    async def _failure(self, visit: _Visit) -> tuple[str, str] | None:
        """Answer it. Where that failed: the status and a sentence."""
        try:
            await self._answer(visit)
        except AddressRefused as refusal:
            return _REFUSED, refusal.sentence
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return "400 Bad Request", "This is a proxy for HTTP and HTTPS."
        except TimeoutError:
            return "504 Gateway Timeout", "The host did not answer in time."
        except OSError as error:
            return "502 Bad Gateway", f"The host cannot be reached: {error.strerror or error}."
        return None

    async def _answer(self, visit: _Visit) -> None:
        (reader, writer), called = visit.near, visit.called
        if called is not None and not visit.speaks_http:
            request = Request(host=called[0], port=called[1], tunnel=True)
        else:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            request = read_head(head) if called is None else read_origin_head(head, host=called[0])
        far_reader, far_writer = await self._connect(request, visit)
        try:
            if request.tunnel and called is None:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            far_writer.write(request.head)
            await _both_ways(request, visit.near, (far_reader, far_writer), visit.heard)
        except asyncio.CancelledError:
            far_writer.transport.abort()
            raise
        finally:
            await _closed(far_writer)

    async def _connect(self, request: Request, visit: _Visit) -> _End:
        host, port = visit.meant(request.host), request.port
        if host == WORKER:
            if port not in visit.doors:
                raise AddressRefused("The worker has no such door.")
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection("127.0.0.1", port, limit=BLOCK_BYTES)
        self._policy.check_host(host, port)
        self._policy.check_port(host, port, tunnel=request.tunnel)
        async with asyncio.timeout(CONNECT_SECONDS):
            addresses = await self._look_up(host, port, visit.asker)
            if not addresses or not all(map(self._permits, addresses)):
                raise AddressRefused(f"{host} is an address of this machine, a private network or a metadata service.")
            failure: OSError = OSError(f"{host} has no address")
            for address in addresses:
                try:
                    return await self._connect_to(address, port)
                except OSError as error:
                    failure = error
            raise failure


async def _connected(address: Address, port: int) -> _End:
    return await asyncio.open_connection(str(address), port, limit=BLOCK_BYTES)


def _is_elsewhere(address: Address) -> bool:
    # The machine's own addresses take a while to find; most that are refused need them not.
    return is_public(address) and is_public(address, own=own_addresses())


async def _both_ways(request: Request, near: _End, far: _End, heard: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(IDLE_SECONDS) as idle:

            def moved() -> None:
                heard()
                idle.reschedule(loop.time() + IDLE_SECONDS)

            there = asyncio.create_task(_tell(request, near[0], far[1], moved))
            back = asyncio.create_task(_copy(far[0], near[1], moved))
            try:
                # What the far end sends may still come when the near end has said everything; not the other way round.
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                if back.done() or there.result():
                    await back
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)


async def _tell(
    request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, moved: Callable[[], None]
) -> bool:
    """The near end's part. Whether what the far end says to it is worth waiting for."""
    if request.tunnel:
        await _copy(reader, writer, moved)
        return True
    try:
        await pass_body(request, reader, writer, moved)
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return False
    with contextlib.suppress(OSError):
        if not await reader.read(1):  # not another request, which may be for another host: it is not passed on
            writer.write_eof()
    return True


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, moved: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(BLOCK_BYTES):
            moved()
            writer.write(block)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _say(writer: asyncio.StreamWriter, status: str, sentence: str) -> None:
    body = f"{sentence}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode("ascii") + body)


async def _cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, refused: bool) -> None:
    """End a connection whose protocol is not known: with an alert where a refused program begins with TLS, else with a
    reset.
    """
    first = b""
    if refused:
        with contextlib.suppress(OSError):  # TimeoutError is one: it waits to be spoken to
            async with asyncio.timeout(_FIRST_BYTE_SECONDS):
                first = await reader.read(1)
    if first == _TLS_HANDSHAKE:
        writer.write(_TLS_ACCESS_DENIED)
        return
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Say what is left, but not for ever: the descriptor is free when this returns."""
    try:
        writer.close()
        async with asyncio.timeout(_LAST_SECONDS):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
