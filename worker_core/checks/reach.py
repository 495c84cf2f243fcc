"""Connections that are opened to see whether they can be: the way the worker's own go, proxy and TLS included."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from worker_core.basics.sentences import worded
from worker_core.network.named_proxy import NamedProxy, usable_proxy

CONNECT_LIMIT_SECONDS: Final = 8.0
"""For one connection, its TLS included."""


class ProxyRefused(OSError):
    """The proxy is there, and does not open the connection."""


@asynccontextmanager
async def opened(host: str, port: int, *, context: ssl.SSLContext | None = None) -> AsyncIterator[asyncio.StreamWriter]:
    """A connection to a host, through the proxy that is named for it; with TLS where there is a context.

    Raises:
        ProxyRefused: the proxy does not let us through.
        OSError, ssl.SSLError, TimeoutError: it could not be opened within 8 s.
    """
    name = f"[{host}]" if ":" in host else host
    proxy = usable_proxy(f"https://{name}:{port}")
    async with asyncio.timeout(CONNECT_LIMIT_SECONDS):
        if proxy is None:
            _, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=host if context else None
            )
        else:
            writer = await _through(proxy, f"{name}:{port}")
            if context is not None:
                try:
                    await writer.start_tls(context, server_hostname=host)
                except BaseException:
                    writer.transport.abort()
                    raise
    try:
        yield writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _through(proxy: NamedProxy, target: str) -> asyncio.StreamWriter:
    """A tunnel to `host:port`."""
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    authorization = proxy.authorization()
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if authorization:
        lines.append(f"Proxy-Authorization: {authorization}")
    try:
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        head = await reader.readuntil(b"\r\n\r\n")
        status = head.split(b"\r\n", 1)[0].decode("latin-1").split()
        if len(status) < 2 or status[1] != "200":
            said = status[1][:3] if len(status) > 1 else worded("nothing that is HTTP")
            raise ProxyRefused(
                worded("the proxy {address} answered with {status}", address=proxy.address, status=said)
                if said != "407"
                else worded(
                    "the proxy {address} answered with {status}: it wants a user name and a password",
                    address=proxy.address,
                    status=said,
                )
            )
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        writer.transport.abort()
        raise ProxyRefused(worded("{address} does not answer as a proxy does", address=proxy.address)) from error
    except BaseException:
        writer.transport.abort()
        raise
    return writer
