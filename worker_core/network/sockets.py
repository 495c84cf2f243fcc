"""TCP and TLS on asyncio's own transports: a stream that is read and written with time limits."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final, cast

from worker_core.network.faults import ConnectError, ConnectTimeout, ReadError, ReadTimeout, WriteError, WriteTimeout

NEXT_ADDRESS_SECONDS: Final = 0.25
"""After which a host's next address is tried beside one that does not answer (RFC 8305, 8)."""

UNREAD_BYTES: Final = 256 << 10
"""Of what came; a server that sends more waits until it was read."""

AT_ONCE_BYTES: Final = 32 << 10
"""Taken from the socket in one piece, into a place that the connection has. asyncio's own way makes and gives back a
place of 256 KB each time, which takes five times as long as to receive an answer."""

_Address = tuple[Any, ...]


async def connect(host: str, port: int, *, limit_seconds: float | None) -> AsyncioStream:
    """Connect to the first of the host's addresses that answers.

    Raises:
        ConnectError: none does.
        ConnectTimeout: none did in time.
    """
    loop = asyncio.get_running_loop()
    name = host.encode("ascii")  # for a text the tables of international names are loaded
    try:
        async with asyncio.timeout(limit_seconds):
            found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            connected = await _first_connected([(one[0], one[4]) for one in found])
            stream = AsyncioStream()
            await loop.create_connection(lambda: stream, sock=connected)
    except TimeoutError as error:
        raise ConnectTimeout(str(error)) from error
    except OSError as error:
        raise ConnectError(str(error)) from error
    return stream


class AsyncioStream(asyncio.BufferedProtocol):
    """One connection, as both sides see it: the transport, which calls the protocol, and who reads and writes."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._place = memoryview(bytearray(AT_ONCE_BYTES))
        self._came = bytearray()
        self._ended = False
        self._lost: Exception | None = None
        self._readable: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._reading_paused = False

    # --- called by the transport ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, _: int) -> memoryview:
        return self._place

    def buffer_updated(self, nbytes: int) -> None:
        self._came += self._place[:nbytes]
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

    # --- called by who reads and writes -----------------------------------------------------------------------

    @property
    def has_news(self) -> bool:
        """Something came that was not read, or its end: one that is idle is then of no more use."""
        return bool(self._came) or self._ended or self._transport.is_closing()

    async def read(self, *, limit_seconds: float | None) -> bytes:
        """What came; empty: nothing more comes.

        Raises:
            ReadError: it broke off.
            ReadTimeout: nothing came in time.
        """
        if not self._came and not self._ended:
            self._readable = asyncio.get_running_loop().create_future()
            try:
                await _in_time(self._readable, limit_seconds)
            except TimeoutError as error:
                raise ReadTimeout(str(error)) from error
            finally:
                self._readable = None
        if not self._came and self._lost is not None:
            raise ReadError(str(self._lost)) from self._lost
        data = bytes(self._came)
        self._came.clear()
        if self._reading_paused:
            self._transport.resume_reading()
            self._reading_paused = False
        return data

    async def write(self, data: bytes, *, limit_seconds: float | None) -> None:
        """Send it, as fast as the other side takes it.

        Raises:
            WriteError: it broke off.
            WriteTimeout: the other side did not take it in time.
        """
        if not self._transport.is_closing():  # what came before the end is read all the same
            self._transport.write(data)
        if self._writable is None:
            return
        try:
            await _in_time(self._writable, limit_seconds)
        except TimeoutError as error:
            raise WriteTimeout(str(error)) from error
        finally:
            self._writable = None
        if self._lost is not None:
            raise WriteError(str(self._lost)) from self._lost

    def close(self) -> None:
        self._transport.close()
        asyncio.get_running_loop().call_soon(self._transport.abort)  # TLS would wait for the other side's farewell

    async def start_tls(self, context: ssl.SSLContext, *, hostname: str, limit_seconds: float | None) -> None:
        """From now on it is encrypted. Where that fails, it is closed.

        Raises:
            ConnectError: the handshake failed.
            ConnectTimeout: it took too long.
        """
        loop = asyncio.get_running_loop()
        plain = self._transport
        try:
            async with asyncio.timeout(limit_seconds):
                encrypted = await loop.start_tls(plain, self, context, server_hostname=hostname)
            if encrypted is None:
                raise ConnectionResetError("it was closed during the handshake")
        except BaseException as error:
            plain.abort()
            if isinstance(error, TimeoutError):
                raise ConnectTimeout(str(error)) from error
            if isinstance(error, OSError | ssl.CertificateError):
                raise ConnectError(str(error)) from error
            raise
        self._transport = encrypted


async def _in_time(future: asyncio.Future[None], limit_seconds: float | None) -> None:
    if limit_seconds is None:
        await future
    else:
        async with asyncio.timeout(limit_seconds):
            await future


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
