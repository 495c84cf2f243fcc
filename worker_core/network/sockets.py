"""TCP and TLS for httpcore2 on asyncio's own transports: half the processor time of a call that goes by way of anyio.

What is sent waits until an answer is read, so that a request's head and body leave in one piece.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from worker_core.network.httpcore import httpcore2

NEXT_ADDRESS_SECONDS: Final = 0.25
"""After which a host's next address is tried beside one that does not answer (RFC 8305, 8)."""

HELD_BYTES: Final = 64 << 10
"""Of what is sent; more leaves at once, as fast as the other side takes it."""

UNREAD_BYTES: Final = 256 << 10
"""Of what came; a server that sends more waits until it was read."""

_Address = tuple[Any, ...]


class AsyncioBackend(httpcore2.AsyncNetworkBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers.

        Raises:
            NotImplementedError: an address of ours or an option is named, which our pools do not.
        """
        if local_address is not None or socket_options:
            raise NotImplementedError
        loop = asyncio.get_running_loop()
        name = host.encode("ascii")  # for a text the tables of international names are loaded
        try:
            async with asyncio.timeout(timeout):
                found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
                connected = await _first_connected([(one[0], one[4]) for one in found])
                stream = AsyncioStream()
                await loop.create_connection(lambda: stream, sock=connected)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        return stream

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class AsyncioStream(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """One connection, as both sides see it: the transport, which calls the protocol, and the pool."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._held = bytearray()
        self._came = bytearray()
        self._ended = False
        self._lost: Exception | None = None
        self._readable: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._reading_paused = False

    # --- called by the transport ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._came += data
        if len(self._came) > UNREAD_BYTES and not self._reading_paused:
            self._transport.pause_reading()
            self._reading_paused = True
        _wake(self._readable)

    def eof_received(self) -> None:
        self._ended = True
        _wake(self._readable)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._lost = exc
        _wake(self._readable)
        _wake(self._writable)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        _wake(self._writable)

    # --- called by the pool -----------------------------------------------------------------------------------

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What came, up to `max_bytes`; empty: nothing more comes."""
        if self._held:
            await self._send(timeout)
        if not self._came and not self._ended:
            self._readable = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._readable
            except TimeoutError as error:
                raise httpcore2.ReadTimeout(str(error)) from error
            finally:
                self._readable = None
        if not self._came and self._lost is not None:
            raise httpcore2.ReadError(str(self._lost)) from self._lost
        data = bytes(self._came[:max_bytes])
        del self._came[:max_bytes]
        if self._reading_paused and not self._came:
            self._transport.resume_reading()
            self._reading_paused = False
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._held += buffer
        if len(self._held) > HELD_BYTES:
            await self._send(timeout)

    async def aclose(self) -> None:
        self._transport.close()
        await asyncio.sleep(0)
        self._transport.abort()  # TLS would wait for the other side's farewell

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        """The same stream, encrypted from now on."""
        loop = asyncio.get_running_loop()
        plain = self._transport
        try:
            async with asyncio.timeout(timeout):
                encrypted = await loop.start_tls(plain, self, ssl_context, server_hostname=server_hostname)
            if encrypted is None:
                raise ConnectionResetError("it was closed during the handshake")
        except BaseException as error:
            plain.abort()
            if isinstance(error, TimeoutError):
                raise httpcore2.ConnectTimeout(str(error)) from error
            if isinstance(error, OSError | ssl.CertificateError):
                raise httpcore2.ConnectError(str(error)) from error
            raise
        self._transport = encrypted
        return self

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "is_readable":  # of an idle connection: it is of no more use
                return bool(self._came) or self._ended or self._transport.is_closing()
            case "client_addr":
                return self._transport.get_extra_info("sockname")
            case "server_addr":
                return self._transport.get_extra_info("peername")
            case _:
                return self._transport.get_extra_info(info)

    async def _send(self, timeout: float | None) -> None:
        held, self._held = self._held, bytearray()
        if not self._transport.is_closing():  # what came before the end is read all the same
            self._transport.write(held)
        if self._writable is None:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._writable
        except TimeoutError as error:
            raise httpcore2.WriteTimeout(str(error)) from error
        finally:
            self._writable = None
        if self._lost is not None:
            raise httpcore2.WriteError(str(self._lost)) from self._lost


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _first_connected(addresses: Sequence[tuple[int, _Address]]) -> socket.socket:
    """A socket to the first address that answers: each next one is tried when one fails, or when it takes long.

    Raises:
        OSError: none does; its cause says why each.
    """
    left = list(addresses)
    trying: set[asyncio.Task[socket.socket]] = set()
    why: list[Exception] = []
    try:
        while left or trying:
            if left:
                trying.add(asyncio.create_task(_connected(*left.pop(0))))
            done, _ = await asyncio.wait(
                trying, timeout=NEXT_ADDRESS_SECONDS if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                trying.remove(task)
                error = task.exception()
                if error is None:
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                why.append(error)
    finally:
        for task in trying:
            task.add_done_callback(_close)
            task.cancel()
    cause = why[0] if len(why) == 1 else ExceptionGroup("no address answers", why) if why else None
    raise OSError("no address of the host answers") from cause


def _close(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connected(family: int, address: _Address) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.settimeout(0)
        await asyncio.get_running_loop().sock_connect(one, address)
    except BaseException:
        one.close()
        raise
    return one
