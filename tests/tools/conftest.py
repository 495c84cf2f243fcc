from __future__ import annotations

import dataclasses
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.walls import bubblewrap
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.launcher import Launcher
from worker_core.sandbox.limits import Limits
from worker_core.tools.base import Tool, ToolContext, ToolResult
from worker_core.workspaces.workspace import Workspace

Call = Callable[..., Awaitable[ToolResult]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspaces", "execution")


@pytest.fixture
def here(workspace: Workspace) -> Path:
    return workspace.path


@pytest.fixture
def launcher(tmp_path: Path) -> Launcher:
    """What tools are started with: no sandbox, unless KUBIYA_TEST_SANDBOX=1 asks for the real one."""
    if os.environ.get("KUBIYA_TEST_SANDBOX") == "1":
        return bubblewrap(tmp_path / "walls", limits=Limits())
    return DirectLauncher()


@pytest.fixture
def context(workspace: Workspace, launcher: Launcher) -> ToolContext:
    return ToolContext(execution_id="execution", call_id="call-1", workspace=workspace, launcher=launcher)


@pytest.fixture
def call(context: ToolContext) -> Call:
    """Runs a tool: `await call(tool, {"argument": 1}, timeout=...)`; the rest goes into the context."""

    async def run(tool: Tool, arguments: dict[str, Any], **changes: Any) -> ToolResult:
        return await tool.run(arguments, dataclasses.replace(context, **changes))

    return run
