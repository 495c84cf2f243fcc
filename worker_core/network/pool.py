"""Calls to one server over a pool of connections, with nothing between: headers made once, no cookies, no redirects."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.http import (
    IDLE_LIMIT_SECONDS,
    USER_AGENT,
    DecodingError,
    NoHttpAnswer,
    refuse_compressed,
    tls_context,
)
from worker_core.network.httpcore import httpcore2
from worker_core.network.named_proxy import usable_proxy
from worker_core.network.sockets import AsyncioBackend

if TYPE_CHECKING:
    import httpx2

_FAILURES: Final = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
    DecodingError,
)

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
    """Where a pool connects to, as bytes go there."""

    scheme: bytes
    host: bytes
    port: int | None
    """None: the usual one of the scheme."""
    netloc: str
    path: bytes


class Pool:
    """What `new_client` makes, without a client: the same limits, TLS, proxies and headers."""

    def __init__(self, *, base_url: str, ca_file: Path | None = None, max_connections: int) -> None:
        """As of `new_client`.

        Raises:
            ConfigurationError: `ca_file` cannot be used, or the proxy.
            NoHttpAnswer: the base is no URL.
        """
        try:
            self._base = _read_base(base_url)
        except httpcore2.LocalProtocolError as error:
            raise NoHttpAnswer(str(error)) from error
        self._headers = {
            "Host": self._base.netloc,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "keep-alive",
            "User-Agent": USER_AGENT,
        }
        self._connections = _connections(base_url, ca_file=ca_file, max_connections=max_connections)

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
            request = self._request(method, path, headers=headers, query=query, content=content, timeout=timeout)
            response = await self._connections.handle_async_request(request)
            try:
                answered = _named(response.headers)
                refuse_compressed(answered)
                yield OpenAnswer(response.status, answered, response.aiter_stream())
            finally:
                await response.aclose()
        except _FAILURES as error:
            raise NoHttpAnswer(str(error)) from error

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None,
        content: bytes | None,
        timeout: Mapping[str, float],
    ) -> httpcore2.Request:
        named = {**self._headers, **headers}
        if content or method in _WITH_LENGTH:
            named["Content-Length"] = str(len(content or b""))
        return httpcore2.Request(
            method,
            httpcore2.URL(
                scheme=self._base.scheme,
                host=self._base.host,
                port=self._base.port,
                target=self._base.path.rstrip(b"/") + _target(path, query),
            ),
            headers=[(name.encode("ascii"), value.encode()) for name, value in named.items()],
            content=content,
            extensions={"timeout": timeout},
        )

    async def aclose(self) -> None:
        await self._connections.aclose()


def _connections(url: str, *, ca_file: Path | None, max_connections: int) -> httpcore2.AsyncConnectionPool:
    context = tls_context(url, ca_file=ca_file)
    proxy = usable_proxy(url)
    if proxy is None:
        return httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=IDLE_LIMIT_SECONDS,
            network_backend=AsyncioBackend(),
        )
    where = _read_base(f"{proxy.scheme}://{proxy.address}")
    return httpcore2.AsyncHTTPProxy(
        httpcore2.URL(scheme=where.scheme, host=where.host, port=where.port, target=b"/"),
        proxy_auth=(proxy.user.encode(), proxy.password.reveal().encode()) if proxy.user else None,
        ssl_context=context,
        max_connections=max_connections,
        max_keepalive_connections=max_connections,
        keepalive_expiry=IDLE_LIMIT_SECONDS,
        network_backend=AsyncioBackend(),
    )


def _read_base(url: str) -> _Base:
    """Of http or https, with a host.

    Raises:
        httpcore2.LocalProtocolError: it is no URL.
    """
    if (found := _PLAIN_BASE.fullmatch(url)) is None:
        read = _as_httpx2_reads(url)
        return _Base(read.raw_scheme, read.raw_host, read.port, read.netloc.decode("ascii"), read.raw_path)
    host, named = found["host"], int(found["port"] or 0)
    port = None if named in {0, _PORTS[found["scheme"]]} else named
    netloc = host if port is None else f"{host}:{port}"
    return _Base(found["scheme"].encode(), host.encode(), port, netloc, (found["path"] or "/").encode())


def _target(path: str, query: Mapping[str, str] | None) -> bytes:
    if query is None and _AS_IT_IS.fullmatch(path):
        return path.encode("ascii")
    return _as_httpx2_reads(f"http://host{path}", query).raw_path  # `.` and `..` count behind a host alone


def _as_httpx2_reads(url: str, query: Mapping[str, str] | None = None) -> httpx2.URL:
    """What is unusual is left to it, and loads it."""
    import httpx2

    try:
        return httpx2.URL(url) if query is None else httpx2.URL(url, params=query)
    except httpx2.InvalidURL as error:
        raise httpcore2.LocalProtocolError(str(error)) from error


def _named(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    named: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        named[name] = f"{named[name]}, {value}" if name in named else value
    return named
