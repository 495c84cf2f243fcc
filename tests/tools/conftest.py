from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from worker_core.sandbox.launcher import DirectLauncher
from worker_core.sandbox.workspace import Workspace
from worker_core.tools.base import Tool, ToolContext, ToolResult

Call = Callable[..., Awaitable[ToolResult]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspaces", "execution")


@pytest.fixture
def here(workspace: Workspace) -> Path:
    return workspace.path


@pytest.fixture
def context(workspace: Workspace) -> ToolContext:
    return ToolContext(execution_id="execution", call_id="call-1", workspace=workspace, launcher=DirectLauncher())


@pytest.fixture
def call(context: ToolContext) -> Call:
    """Runs a tool: `await call(tool, {"argument": 1}, timeout=...)`; the rest goes into the context."""

    async def run(tool: Tool, arguments: dict[str, Any], **changes: Any) -> ToolResult:
        return await tool.run(arguments, dataclasses.replace(context, **changes))

    return run
