"""The sandbox that is made while a model writes its call is the one that the call takes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.agents.activities.call_limits import limits_of_tool
from worker_core.agents.activities.foreseen import NETWORK_OF, foresee
from worker_core.agents.activities.services import Services
from worker_core.model.reader import AnswerReader
from worker_core.network.reachable import Network
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.launcher import Command, Observed
from worker_core.sandbox.spares import CommandOfSpares, Spares
from worker_core.settings import Settings
from worker_core.settings.call_limits import read_call_limit
from worker_core.settings.folders import FolderGrant
from worker_core.tools.base import ToolContext
from worker_core.tools.registry import SkillDefinition, offer
from worker_core.workspaces.workspace import Workspace

KINDS = ("shell", "python", "file_system")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "shell": {"command": "true"},
    "python": {"code": "pass"},
    "write_file": {"path": "a", "content": "b"},
    "read_file": {"path": "a"},
    "edit_file": {"path": "a", "old_text": "b", "new_text": "c"},
    "list_files": {},
    "search_files": {"pattern": "b"},
}


class Watched(Spares):
    """Remembers of each call whether a sandbox waited for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(bubblewrap(folder))
        self.took: list[bool] = []

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        wrapped = super().wrap(command, workspace=workspace, network=network)
        self.took.append(isinstance(wrapped, CommandOfSpares) and wrapped.taken is not None)
        return wrapped


@pytest.fixture
async def spares(tmp_path: Path) -> AsyncIterator[Watched]:
    made = Watched(tmp_path / "walls")
    yield made
    made.close()


def services(launcher: object, root: Path, **settings: Any) -> Services:
    found = SimpleNamespace(launcher=launcher, settings=Settings(**settings), workspaces=root)
    return cast(Services, found)


def test_it_is_known_as_soon_as_the_model_has_named_its_tool() -> None:
    def piece(**function: str) -> dict[str, object]:
        return {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": function}]}}]}

    reader = AnswerReader(tool_names=["shell", "read_file"])
    reader.feed({"choices": [{"delta": {"content": "Let me see."}}]})
    assert reader.calls == ""
    reader.feed(piece(name="read_"))
    assert reader.calls == "", "not all of the name"
    reader.feed(piece(name="file"))
    assert reader.calls == "read_file"
    reader.feed({"choices": [{"delta": {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "shell"}}]}}]})
    assert reader.calls == "read_file"


@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is Linux's")
@needs_bubblewrap
@pytest.mark.parametrize("limited", [False, True])
async def test_every_tools_first_call_takes_it(spares: Watched, tmp_path: Path, limited: bool) -> None:
    tools = offer([SkillDefinition(name=kind, type=kind) for kind in KINDS]).tools
    assert tools.keys() == NETWORK_OF.keys() == ARGUMENTS.keys()
    limits = (read_call_limit("q.processes=77"),) if limited else ()
    for name in ARGUMENTS:
        # Another execution each: none has what an earlier call left behind.
        given = services(spares, tmp_path / "workspaces", tool_limits=limits)
        making = foresee(given, execution_id=f"of-{name}", tool=name, queue_id="q")
        assert making is not None
        await making
        workspace = await asyncio.to_thread(Workspace.open, given.workspaces, f"of-{name}")
        if name in {"read_file", "edit_file"}:
            await asyncio.to_thread((workspace.path / "a").write_text, "b\n")
        own = limits_of_tool(given.settings, queue_id="q", skill=SkillDefinition(name="s", type="shell")).processes
        context = ToolContext(
            execution_id=f"of-{name}", call_id="1", workspace=workspace, launcher=Observed(spares, limits=own)
        )
        result = await tools[name].run(ARGUMENTS[name], context)
        assert result.succeeded, (name, result)
        assert spares.took.pop() is True, name
        spares.leave(workspace.path)


async def test_nothing_is_made_that_no_call_would_take(spares: Watched, tmp_path: Path) -> None:
    usual = services(spares, tmp_path)
    assert foresee(usual, execution_id="e", tool="web_fetch", queue_id="q") is None
    folders = (FolderGrant(path=tmp_path),)
    granted = services(spares, tmp_path, folders=folders)
    assert foresee(granted, execution_id="e", tool="shell", queue_id="q") is None
    direct = services(DirectLauncher(), tmp_path)
    assert foresee(direct, execution_id="e", tool="shell", queue_id="q") is None


async def test_what_cannot_be_made_is_the_calls_own_trouble(spares: Watched, tmp_path: Path) -> None:
    file = tmp_path / "file"
    await asyncio.to_thread(file.write_text, "")
    making = foresee(services(spares, file), execution_id="e", tool="shell", queue_id="q")
    assert making is not None
    await making
