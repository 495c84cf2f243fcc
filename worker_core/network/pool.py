"""Calls to one server over a pool of connections, with nothing between: headers made once, no cookies, no redirects."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpcore2
import httpx2

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.http import IDLE_LIMIT_SECONDS, USER_AGENT, refuse_compressed, tls_context
from worker_core.network.named_proxy import usable_proxy
from worker_core.network.sockets import AsyncioBackend

_FAILURES: Final = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)
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


class Pool:
    """What `new_client` makes, without a client: the same limits, TLS, proxies and headers."""

    def __init__(self, *, base_url: str, ca_file: Path | None = None, max_connections: int) -> None:
        """As of `new_client`.

        Raises:
            ConfigurationError: `ca_file` cannot be used, or the proxy.
        """
        self._base = httpx2.URL(base_url)
        self._prefix = self._base.raw_path.rstrip(b"/")
        self._headers = {
            "Host": self._base.netloc.decode("ascii"),
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
            httpx2.HTTPError: as a client of httpx2 raises it, here and while the answer is read.
            httpx2.InvalidURL: the path is none.
        """
        named = {**self._headers, **headers}
        if content or method in _WITH_LENGTH:
            named["Content-Length"] = str(len(content or b""))
        request = httpcore2.Request(
            method,
            httpcore2.URL(
                scheme=self._base.raw_scheme,
                host=self._base.raw_host,
                port=self._base.port,
                target=self._prefix + _target(path, query),
            ),
            headers=[(name.encode("ascii"), value.encode()) for name, value in named.items()],
            content=content,
            extensions={"timeout": timeout},
        )
        try:
            response = await self._connections.handle_async_request(request)
            try:
                answered = _named(response.headers)
                refuse_compressed(answered)
                yield OpenAnswer(response.status, answered, response.aiter_stream())
            finally:
                await response.aclose()
        except _FAILURES as error:
            failure: type[httpx2.TransportError] = getattr(httpx2, type(error).__name__)
            raise failure(str(error)) from error

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
    where = httpx2.URL(f"{proxy.scheme}://{proxy.address}")
    return httpcore2.AsyncHTTPProxy(
        httpcore2.URL(scheme=where.raw_scheme, host=where.raw_host, port=where.port, target=b"/"),
        proxy_auth=(proxy.user.encode(), proxy.password.reveal().encode()) if proxy.user else None,
        ssl_context=context,
        max_connections=max_connections,
        max_keepalive_connections=max_connections,
        keepalive_expiry=IDLE_LIMIT_SECONDS,
        network_backend=AsyncioBackend(),
    )


def _target(path: str, query: Mapping[str, str] | None) -> bytes:
    if query is None and _AS_IT_IS.fullmatch(path):
        return path.encode("ascii")
    return (httpx2.URL(path) if query is None else httpx2.URL(path, params=query)).raw_path


def _named(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    named: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        named[name] = f"{named[name]}, {value}" if name in named else value
    return named
