"""Pools of connections, and servers that do what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.http_server import Answer, Request
from worker_core.basics.tasks import TaskKeeper
from worker_core.network.http import explain
from worker_core.network.pool import Pool

NAME = "control-plane.example.invalid"


@asynccontextmanager
async def pool_of(url: str, *, ca_file: Path | None = None) -> AsyncIterator[Pool]:
    pool = Pool(base_url=url, ca_file=ca_file, max_connections=4)
    try:
        yield pool
    finally:
        await pool.aclose()


async def whole(pool: Pool, path: str = "/x", *, method: str = "GET", **how: Any) -> tuple[int, bytes]:
    how = {"headers": {}, "timeout": {"connect": 5.0}, **how}
    async with pool.call(method, path, **how) as answer:
        return answer.status, b"".join([chunk async for chunk in answer.chunks])


def explained(error: Exception) -> str:
    return explain(error, action="it", server="s", proxy="", limit_seconds=1.0, called="server").sentence


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def listening(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Ends when the other side has ended all that it began."""
    under_way = TaskKeeper()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(
        lambda reader, writer: under_way.start(quietly(reader, writer)), "127.0.0.1", 0, limit=1 << 20, ssl=tls
    )
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await under_way.ended()


def echo(request: Request) -> Answer:
    return Answer(headers={"Content-Length": str(len(request.body))}, parts=(request.body,))
