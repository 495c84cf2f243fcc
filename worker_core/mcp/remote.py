"""MCP over HTTP: the two transports of the SDK, on a client with this program's TLS, proxies, policy and bounds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import httpx2
import msgspec
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from worker_core.basics import typed_json
from worker_core.basics.quick_dataclass import dataclass
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.events import Events
from worker_core.mcp.flow import LARGEST_ANSWER_BYTES, Flow
from worker_core.mcp.memory import Tokens
from worker_core.mcp.messages import Repaired
from worker_core.mcp.reach import Reach
from worker_core.network.hosts import is_loopback
from worker_core.network.http import CONNECT_LIMIT_SECONDS, USER_AGENT, tls_context
from worker_core.network.named_proxy import named_proxy
from worker_core.network.reachable import AddressRefused

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams
    from mcp_types import RequestId

LONGEST_STREAM_BYTES = 512 * 1024 * 1024
"""Of one stream of events; a server that needs more is asked for a new one."""

SILENCE = timedelta(minutes=5)
"""How long a stream of events may be silent; the call's own limit counts besides."""

_SESSION = "mcp-session-id"
_MOST_ORIGINS = 4
_STREAMS_AT_ONCE, _STREAM_PAUSE_SECONDS = 5, 10.0
"""Streams opened within so many seconds; the SDK reopens one that ended as fast as its server asks for."""


class _Message(msgspec.Struct):
    """What tells a request from an answer."""

    id: int | str | None = None
    method: str = ""


class TooMuch(httpx2.TransportError):
    """A server sent more than it may, or in a form that was not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """Connections to one origin."""

    connections: httpx2.AsyncBaseTransport
    is_proxied: bool

    @classmethod
    def made(cls, url: str, *, ca_file: Path | None) -> _Pool:
        proxy = _proxy_for(url)
        connections = httpx2.AsyncHTTPTransport(
            verify=tls_context(url, ca_file=ca_file),
            trust_env=False,
            limits=httpx2.Limits(max_connections=20),
            proxy=proxy,
        )
        return cls(connections=connections, is_proxied=proxy is not None)


class Guard(httpx2.AsyncBaseTransport):
    """Checks where a request goes, counts what comes back, and remembers what went wrong, for a sentence."""

    def __init__(self, reach: Reach, flow: Flow) -> None:
        self._reach = reach
        self._flow = flow
        self._pools: dict[str, _Pool] = {}
        self._ca_file: Path | None = None
        self._opened: deque[float] = deque(maxlen=_STREAMS_AT_ONCE)
        self.failure: Exception | None = None
        """The last request that got no answer."""

        self.status = 0
        """Of the last answer that was a refusal."""

        self._asked_by: WeakKeyDictionary[asyncio.Task[Any], RequestId] = WeakKeyDictionary()
        """What the SDK's tasks are asking: each sends one request, and resumes the stream of its answer."""

    def begin(self, url: str, *, ca_file: Path | None) -> None:
        """Make the pool of connections to the server itself. May read certificates."""
        self._ca_file = ca_file
        self._pools[_origin(httpx2.URL(url))] = _Pool.made(url, ca_file=ca_file)

    async def _pool(self, url: httpx2.URL) -> _Pool:
        """Of the host of a URL: the server's own, or one that its sign-in leads to."""
        origin = _origin(url)
        if origin not in self._pools:
            if len(self._pools) > _MOST_ORIGINS:
                raise TooMuch("its sign-in leads to too many servers")
            if url.scheme != "https" and not is_loopback(url.host):
                raise AddressRefused(f"Its sign-in leads to {url.host}, without TLS.")
            self._pools[origin] = await asyncio.to_thread(_Pool.made, str(url), ca_file=self._ca_file)
        return self._pools[origin]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asking = self._asking(request)
        if request.method == "GET":
            await self._paced()
            if asking in self._flow.abandoned:
                raise TooMuch("nobody waits for its answer any more", request=request)
        request.headers.setdefault("Accept-Encoding", "identity")
        try:
            pool = await self._pool(request.url)
            response = await pool.connections.handle_async_request(await self._addressed(request, pool))
        except Exception as error:
            self.failure = error
            raise
        if response.status_code >= 400:
            self.status = response.status_code
        if response.status_code == 404 and _SESSION in request.headers and asking is not None:
            self._flow.not_found.add(asking)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        if not response.headers.get(_SESSION, "").isascii():
            await response.stream.aclose()
            raise TooMuch("the id of its session (Mcp-Session-Id) has characters that none may have", request=request)
        is_stream = response.headers.get("content-type", "").lower().startswith("text/event-stream")
        if response.headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
            await response.stream.aclose()
            self.failure = TooMuch("the answer is compressed, which was not asked for", request=request)
            raise self.failure
        limit = LONGEST_STREAM_BYTES if is_stream else self._flow.largest_message
        return httpx2.Response(
            response.status_code,
            headers=response.headers,
            stream=_Counted(response.stream, limit, self, Events(asking) if is_stream else None, self._wanted(asking)),
            extensions=response.extensions,
        )

    async def _addressed(self, request: httpx2.Request, pool: _Pool) -> httpx2.Request:
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        address = await self._reach.address(url.host, port, through_proxy=pool.is_proxied, asker=self)
        if pool.is_proxied:
            return request
        return httpx2.Request(
            request.method,
            url.copy_with(host=address),
            headers=request.headers,  # with the name as Host
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.host},  # the certificate is checked against the name
        )

    def sign_in_failed(self, why: Exception) -> None:
        """No token could be had."""
        self.failure = why

    async def _paced(self) -> None:
        now = time.monotonic()
        if len(self._opened) == _STREAMS_AT_ONCE and now - self._opened[0] < _STREAM_PAUSE_SECONDS:
            await asyncio.sleep(_STREAM_PAUSE_SECONDS)
        self._opened.append(time.monotonic())

    def _asking(self, request: httpx2.Request) -> RequestId | None:
        """Which of our requests this one is, or resumes; None: neither."""
        task = asyncio.current_task()
        assert task is not None
        if request.method == "POST":
            self._asked_by.pop(task, None)
            with contextlib.suppress(ValueError, RecursionError, httpx2.RequestNotRead):
                message = typed_json.decode(request.content, _Message)
                if message.id is not None and message.method:
                    self._asked_by[task] = message.id
        return self._asked_by.get(task)

    def _wanted(self, asking: RequestId | None) -> Callable[[], bool]:
        return lambda: asking not in self._flow.abandoned

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.connections.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(
        self,
        inner: httpx2.AsyncByteStream,
        limit: int,
        guard: Guard,
        events: Events | None,
        wanted: Callable[[], bool],
    ) -> None:
        self._inner = inner
        self._left = limit
        self._guard = guard
        self._events = events
        self._wanted = wanted

    async def __aiter__(self) -> AsyncIterator[bytes]:
        repaired = Repaired()
        async for piece in self._inner:
            self._left -= len(piece)
            if self._left < 0:
                self._guard.failure = TooMuch("the answer is larger than any may be")
                raise self._guard.failure
            if not self._wanted():
                return  # its call was given up: the server goes on for nobody
            whole = repaired.feed(piece)
            if self._events is not None:
                whole = self._events.feed(whole)
            if whole:
                yield whole
        rest = repaired.flush()
        if self._events is not None:
            rest = self._events.feed(rest) + self._events.flush()
        if rest:
            yield rest

    async def aclose(self) -> None:
        await self._inner.aclose()


async def connected(
    stack: AsyncExitStack,
    config: ServerConfig,
    guard: Guard,
    *,
    ca_file: Path | None,
    limit: timedelta,
    tokens: Tokens,
    learn_secret: Callable[[str], None],
) -> TransportStreams:
    """The streams of a remote server.

    Args:
        stack: closes them.
        config: of the server.
        guard: every request goes through it.
        ca_file: PEM file of additional authorities.
        limit: of one answer to a request that is no stream.
        tokens: for a server that is signed in to with client credentials.
        learn_secret: hears each token that is used.

    Raises:
        Exception: it cannot be reached.
    """
    stack.push_async_callback(guard.aclose)
    sign_in = None
    if config.oauth is not None:
        from worker_core.mcp.oauth import SignIn

        sign_in = SignIn(config, tokens, learn_secret=learn_secret, failed=guard.sign_in_failed)
    await asyncio.to_thread(guard.begin, config.url, ca_file=ca_file)

    def new_client(
        headers: dict[str, str] | None = None,  # noqa: ARG001 - the SDK's signature; everything is ours here
        timeout: httpx2.Timeout | None = None,  # noqa: ARG001
        auth: httpx2.Auth | None = None,  # noqa: ARG001
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=guard,
            # Bodies are counted as they come: nothing may grow when it is unpacked.
            headers={"User-Agent": USER_AGENT, **config.headers, "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(
                limit.total_seconds(), connect=CONNECT_LIMIT_SECONDS, read=max(limit, SILENCE).total_seconds()
            ),
            trust_env=False,
            follow_redirects=False,
            auth=sign_in,
        )

    try:
        if config.transport == "sse":
            return await stack.enter_async_context(sse_client(config.url, httpx_client_factory=new_client))
        client = await stack.enter_async_context(new_client())
        return await stack.enter_async_context(
            streamable_http_client(config.url, http_client=client, max_sse_event_size=LARGEST_ANSWER_BYTES)
        )
    except Exception as error:
        raise guard.failure or error from error


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.host}:{url.port or ''}"


def _proxy_for(url: str) -> httpx2.Proxy | None:
    named = named_proxy(url)
    if named is None or named.scheme not in {"http", "https"}:
        return None
    credentials = (named.user, named.password.reveal()) if named.user else None
    return httpx2.Proxy(f"{named.scheme}://{named.address}", auth=credentials)
