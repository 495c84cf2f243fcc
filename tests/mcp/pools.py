"""A pool without a worker, and how it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from worker_core.logs.redaction import Redactor
from worker_core.mcp.folders import ServerFolders
from worker_core.mcp.pool import McpPool
from worker_core.mcp.session import ServerSession
from worker_core.mcp.under_way import Called
from worker_core.sandbox.direct import DirectLauncher
from worker_core.settings import Settings, SettingsInForce


@asynccontextmanager
async def pool(folder: Path, **settings: Any) -> AsyncIterator[McpPool]:
    def workspace(execution_id: str) -> Path:
        (folder / execution_id).mkdir(exist_ok=True)
        return folder / execution_id

    one = McpPool(
        launcher=DirectLauncher(),
        workspace=workspace,
        settings=SettingsInForce(Settings(**settings)),
        redactor=Redactor(),
        folders=ServerFolders(folder / "servers"),
    )
    try:
        yield one
    finally:
        await one.close()


LIMIT = timedelta(seconds=60)


async def ask(session: ServerSession, tool: str, *, told: Callable[..., None] = lambda *_: None, **given: Any) -> str:
    answer = await session.call(tool, given, limit=LIMIT, on_progress=told, asked=lambda: None)
    assert isinstance(answer, Called)
    return "".join(part.text for part in answer.result.content if part.type == "text")
