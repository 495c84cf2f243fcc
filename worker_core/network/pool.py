"""Calls to one server over a pool of connections, with nothing between: headers made once, no cookies, no redirects."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.connection import Connection, pass_through, request_head
from worker_core.network.faults import LocalProtocolError, PoolTimeout, TransportError
from worker_core.network.http import (
    IDLE_LIMIT_SECONDS,
    USER_AGENT,
    DecodingError,
    NoHttpAnswer,
    refuse_compressed,
    tls_context,
)
from worker_core.network.named_proxy import NamedProxy, usable_proxy
from worker_core.network.sockets import AsyncioStream, connect

if TYPE_CHECKING:
    import httpx2

_PORTS: Final = {"http": 80, "https": 443}
_PLAIN_BASE: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>127\.0\.0\.1|([a-z0-9]+[.-])*[a-z][a-z0-9]*)"
    r"(:(?P<port>[1-9][0-9]{0,4}))?(?P<path>/[A-Za-z0-9/_~-]*)?"
)
"""A base that is what it says: nothing in it is quoted or normalised."""

_AS_IT_IS: Final = re.compile(r"[A-Za-z0-9/_~-]*")
"""Of a path: nothing in it is quoted or normalised."""

_WITH_LENGTH: Final = frozenset({"POST", "PUT", "PATCH"})
"""Say how long their body is even where there is none."""


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """An answer whose body comes yet. Header names are lower-case; what came several times is joined."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class _Base:
    """What a pool connects to."""

    scheme: str
    host: str
    port: int | None
    """None: the usual one of the scheme."""
    netloc: str
    path: str

    @property
    def connects_to(self) -> tuple[str, int]:
        return self.host, self.port or _PORTS[self.scheme]


class Pool:
    """What `new_client` makes, without a client: the same limits, TLS, proxies and headers."""

    def __init__(self, *, base_url: str, ca_file: Path | None = None, max_connections: int) -> None:
        """As of `new_client`.

        Raises:
            ConfigurationError: `ca_file` cannot be used, or the proxy.
            NoHttpAnswer: the base is no URL.
        """
        try:
            base = _read_base(base_url)
        except LocalProtocolError as error:
            raise NoHttpAnswer(str(error)) from error
        self._headers = {
            "Host": base.netloc,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "keep-alive",
            "User-Agent": USER_AGENT,
        }
        proxy = usable_proxy(base_url)
        self._way = _Way(base, proxy, ca_file=ca_file)
        self._before_path = base.path.rstrip("/")
        if proxy is not None and base.scheme == "http":  # which it does not connect to, but asks itself
            self._before_path = f"http://{base.netloc}{self._before_path}"
            if authorization := proxy.authorization():
                self._headers["Proxy-Authorization"] = authorization
        self._idle: deque[Connection] = deque()
        """The one that was used last at the end."""
        self._used: set[Connection] = set()
        self._closed = False
        self._places = asyncio.Semaphore(max_connections)
        """For calls: there are never more connections, since one is made where none is idle."""

    @asynccontextmanager
    async def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: Mapping[str, float],
    ) -> AsyncIterator[OpenAnswer]:
        """One call; its answer is read within.

        Args:
            method: of HTTP.
            path: below the base, with a slash before it; what no path may hold is quoted.
            headers: beside those of all calls, or instead of them.
            query: not yet quoted.
            content: the body.
            timeout: seconds by `connect`, `read`, `write` and `pool`; without limit where it is not named.

        Raises:
            NoHttpAnswer: here, and while the answer is read.
        """
        try:
            request = self._request(method, path, headers=headers, query=query, content=content)
            await self._take_place(timeout.get("pool"))
            try:
                connection = self._rested() or await self._way.connected(timeout)
                self._used.add(connection)
                try:
                    await connection.send(method, request, limit_seconds=timeout.get("write"))
                    head = await connection.head(limit_seconds=timeout.get("read"))
                    refuse_compressed(head.headers)
                    yield OpenAnswer(head.status, head.headers, _Body(connection, timeout.get("read")))
                finally:
                    self._used.remove(connection)
                    if connection.settle():
                        self._idle.append(connection)
                    if self._closed:  # while it was made
                        self._close_idle()
            finally:
                self._places.release()
        except (TransportError, DecodingError) as error:
            raise NoHttpAnswer(str(error)) from error

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None,
        content: bytes | None,
    ) -> bytes:
        named = {**self._headers, **headers}
        if content or method in _WITH_LENGTH:
            named["Content-Length"] = str(len(content or b""))
        head = request_head(method, f"{self._before_path}{_target(path, query)}", named)
        return head + content if content else head

    async def _take_place(self, limit_seconds: float | None) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(limit_seconds):
                await self._places.acquire()
        except TimeoutError as error:
            raise PoolTimeout(str(error)) from error

    def _rested(self) -> Connection | None:
        """One that can be used again. Those that cannot, and those that nobody used for long, are closed."""
        while self._idle and not self._idle[0].is_usable(idle_seconds=IDLE_LIMIT_SECONDS):
            self._idle.popleft().close()
        while self._idle:
            if (last := self._idle.pop()).is_usable(idle_seconds=IDLE_LIMIT_SECONDS):
                return last
            last.close()
        return None

    async def aclose(self) -> None:
        """Close all connections; calls under way break off."""
        self._closed = True
        self._close_idle()
        for connection in self._used:
            connection.close()
        await asyncio.sleep(0)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


class _Body:
    """Of an answer, piece by piece."""

    def __init__(self, connection: Connection, limit_seconds: float | None) -> None:
        self._connection = connection
        self._limit_seconds = limit_seconds

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._connection.piece(limit_seconds=self._limit_seconds)
        if piece is None:
            raise StopAsyncIteration
        return piece


class _Way:
    """How a server is connected to: itself or by a proxy, with TLS or without."""

    def __init__(self, base: _Base, proxy: NamedProxy | None, *, ca_file: Path | None) -> None:
        self._base = base
        self._proxy = proxy
        self._tls = _offered(f"{base.scheme}:", ca_file=ca_file)
        self._door = base if proxy is None else _read_base(f"{proxy.scheme}://{proxy.address}")
        """What the socket is of."""
        self._tls_of_proxy = None if proxy is None else _offered(f"{proxy.scheme}:", ca_file=ca_file)

    async def connected(self, timeout: Mapping[str, float]) -> Connection:
        """A new connection.

        Raises:
            TransportError: it did not come about.
        """
        limit_seconds = timeout.get("connect")
        stream = await connect(*self._door.connects_to, limit_seconds=limit_seconds)
        try:
            if self._tls_of_proxy is not None:
                await stream.start_tls(self._tls_of_proxy, hostname=self._door.host, limit_seconds=limit_seconds)
            if self._tls is not None:
                if self._proxy is not None:
                    await self._tunnel(stream, self._proxy, limit_seconds=timeout.get("read"))
                await stream.start_tls(self._tls, hostname=self._base.host, limit_seconds=limit_seconds)
        except BaseException:
            stream.close()
            raise
        return Connection(stream)

    async def _tunnel(self, stream: AsyncioStream, proxy: NamedProxy, *, limit_seconds: float | None) -> None:
        host, port = self._base.connects_to
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        await pass_through(stream, target, authorization=proxy.authorization(), limit_seconds=limit_seconds)


def _offered(scheme: str, *, ca_file: Path | None) -> ssl.SSLContext | None:
    """For a connection that begins with TLS; None for one without."""
    if scheme != "https:":
        return None
    context = tls_context(scheme, ca_file=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _read_base(url: str) -> _Base:
    """Of http or https, with a host.

    Raises:
        LocalProtocolError: it is no URL.
    """
    if (found := _PLAIN_BASE.fullmatch(url)) is None:
        read = _as_httpx2_reads(url)
        return _Base(
            read.scheme,
            read.raw_host.decode("ascii"),
            read.port,
            read.netloc.decode("ascii"),
            read.raw_path.decode("ascii"),
        )
    host, named = found["host"], int(found["port"] or 0)
    port = None if named in {0, _PORTS[found["scheme"]]} else named
    netloc = host if port is None else f"{host}:{port}"
    return _Base(found["scheme"], host, port, netloc, found["path"] or "/")


def _target(path: str, query: Mapping[str, str] | None) -> str:
    if query is None and _AS_IT_IS.fullmatch(path):
        return path
    return _as_httpx2_reads(f"http://host{path}", query).raw_path.decode(
        "ascii"
    )  # of `.` and `..`, behind a host alone


def _as_httpx2_reads(url: str, query: Mapping[str, str] | None = None) -> httpx2.URL:
    """What is unusual is left to it, and loads it."""
    import httpx2

    try:
        return httpx2.URL(url) if query is None else httpx2.URL(url, params=query)
    except httpx2.InvalidURL as error:
        raise LocalProtocolError(str(error)) from error
