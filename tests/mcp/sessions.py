"""Sessions with servers that a test writes itself: a program that answers by a script, or one over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.mcp.scripted_server import PLAIN, UNKNOWN
from tests.support.http_server import Answer, Request, Server, serving
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.reach import Reach
from worker_core.mcp.session import ServerSession
from worker_core.sandbox.direct import DirectLauncher

SERVER = Path(__file__).with_name("scripted_server.py")
JSON: Mapping[str, str] = {"Content-Type": "application/json"}
STREAM: Mapping[str, str] = {"Content-Type": "text/event-stream"}


def command(answers: Mapping[str, Any]) -> tuple[str, ...]:
    """Of a server that answers so; see `scripted_server`."""
    return (sys.executable, str(SERVER), json.dumps(answers))


@asynccontextmanager
async def scripted(
    folder: Path, answers: Mapping[str, Any], *, mask: Callable[[str], str] = str
) -> AsyncIterator[ServerSession]:
    config = ServerConfig(alias="scripted", transport="stdio", command=command(answers))
    async with _session(folder, config, mask=mask) as session:
        yield session


@asynccontextmanager
async def remote(
    folder: Path, answer: Callable[[Request, Any], Answer | None], *, mask: Callable[[str], str] = str
) -> AsyncIterator[tuple[ServerSession, Server]]:
    """With a server over HTTP. `answer` hears each request and its message (None: it has none); None: the plain one."""

    def answered(request: Request) -> Answer:
        message = json.loads(request.body) if request.body else None
        return answer(request, message) or plain(message)

    with serving(answered) as server:
        config = ServerConfig(alias="remote", transport="http", url=f"http://127.0.0.1:{server.port}/mcp")
        reach = Reach(hosts=(f"127.0.0.1:{server.port}",))
        async with _session(folder, config, mask=mask, reach=reach) as session:
            yield session, server


def plain(message: Any, **headers: str) -> Answer:
    """What a plain server answers."""
    if message is None:
        return Answer(405)
    if "id" not in message:
        return Answer(202)
    return Answer(200, {**JSON, **headers}, (said(message, PLAIN.get(message["method"], UNKNOWN)),))


def said(message: Any, answer: Mapping[str, Any]) -> bytes:
    """An answer to a message, as it is sent."""
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}).encode()


def text(words: str) -> dict[str, Any]:
    """The answer of a tool that says so."""
    return {"result": {"content": [{"type": "text", "text": words}]}}


@asynccontextmanager
async def _session(
    folder: Path, config: ServerConfig, *, mask: Callable[[str], str], reach: Reach | None = None
) -> AsyncIterator[ServerSession]:
    session = ServerSession(
        config,
        launcher=DirectLauncher(),
        workspace=folder,
        reach=reach or Reach(),
        ca_file=None,
        mask=mask,
        call_mark=config.alias,
    )
    try:
        yield session
    finally:
        await session.close()
