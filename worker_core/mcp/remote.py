"""MCP over HTTP: the two transports of the SDK, on a client with this program's TLS, proxies and bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from worker_core.control_plane.http import CONNECT_LIMIT_SECONDS, USER_AGENT, tls_context
from worker_core.mcp.configuration import ServerConfig, Transport
from worker_core.settings import is_loopback

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

LONGEST_EVENT_BYTES = 32 * 1024 * 1024
LONGEST_BODY_BYTES = 32 * 1024 * 1024
LONGEST_STREAM_BYTES = 512 * 1024 * 1024
"""Of one stream of events; a server that needs more is asked for a new one."""

SILENCE = timedelta(minutes=5)
"""How long a stream of events may be silent; the call's own limit counts besides."""


class TooMuch(httpx2.TransportError):
    """A server sent more than it may."""


@asynccontextmanager
async def connected(
    config: ServerConfig, transport: Transport, url: str, *, ca_file: Path | None, guard: Guard, limit: timedelta
) -> AsyncIterator[TransportStreams]:
    """The streams of a remote server.

    Args:
        config: for its headers.
        transport: `http` or `sse`.
        url: may be another than the configured one.
        ca_file: PEM file of additional authorities.
        guard: learns what the server answered.
        limit: of one answer to a request that is no stream.
    """

    def new_client(**_: Any) -> httpx2.AsyncClient:
        guard.inner = httpx2.AsyncHTTPTransport(
            verify=tls_context(url, ca_file=ca_file), limits=httpx2.Limits(max_connections=20)
        )
        loopback = is_loopback(urlsplit(url).hostname or "")
        mounts = {} if loopback else _through_proxies(url, ca_file=ca_file, guard=guard)
        return httpx2.AsyncClient(
            transport=guard,
            mounts=mounts,
            # Bodies are counted as they come: nothing may grow when it is unpacked.
            headers={"User-Agent": USER_AGENT, **config.headers, "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(
                limit.total_seconds(), connect=CONNECT_LIMIT_SECONDS, read=max(limit, SILENCE).total_seconds()
            ),
            trust_env=False,
            follow_redirects=False,
        )

    if transport == "sse":
        async with sse_client(url, httpx_client_factory=new_client) as streams:
            yield streams
    else:
        async with (
            new_client() as client,
            streamable_http_client(url, http_client=client, max_sse_event_size=LONGEST_EVENT_BYTES) as streams,
        ):
            yield streams
