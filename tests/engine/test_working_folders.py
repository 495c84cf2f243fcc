"""Folders that executions ask to work in: over a real Temporal, a real control plane, git, and the commands."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.answering import run
from tests.support.engine import Rig, home, new_agent, running_engine
from tests.support.executions import tool
from tests.support.playground import Stage
from worker_core.control_plane.models import Execute
from worker_core.sandbox.linux import find_program
from worker_core.settings.folders import read_grant


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "a.txt").write_text("one\n")
    for words in (
        ("init", "-q"), ("config", "user.name", "Owner"), ("config", "user.email", "owner@example.org"), ("add", "."),
        ("commit", "-q", "-m", "begin"),
    ):  # fmt: skip
        git(folder, *words)
    return folder


async def execute_in(rig: Rig, folder: Path, prompt: str) -> str:
    wish = Execute(
        prompt=prompt,
        worker_queue_id=rig.snapshot.queues[0].queue_id,
        execution_environment={"working_dir": str(folder)},
    )
    return (await rig.client.execute_agent(rig.stage.info.agent_id, wish)).execution_id


async def sentences(rig: Rig, execution_id: str) -> list[str]:
    return [one["data"]["details"]["error_message"] for one in await rig.sent(execution_id, "error")]


@pytest.mark.parametrize("sandbox", ["none", "bubblewrap"])
async def test_an_execution_edits_in_a_copy_that_is_shown_and_merged(
    stage: Stage, tmp_path: Path, repository: Path, sandbox: str
) -> None:
    if sandbox == "bubblewrap" and find_program() is None:
        pytest.skip("bubblewrap is not installed")
    options: dict[str, Any] = {"sandbox": sandbox, "folders": (read_grant(f"{repository}=worktree"),)}
    async with running_engine(stage, tmp_path, **options) as rig:
        edit = f"!tool write_file {json.dumps({'path': 'b.txt', 'content': 'by a tool'})}"
        execution_id = await execute_in(
            rig, repository, "\n".join(["edit", tool("echo two >> a.txt; git status --short"), edit, "!say done"])
        )
        await rig.reach(execution_id, "waiting_for_input")
        [said] = await sentences(rig, execution_id)
        [shell, _] = await rig.sent(execution_id, "tool_completed")
    assert f"It works in a copy of {repository}" in said
    assert shell["data"]["tool_output"].strip() == "M a.txt"
    assert (repository / "a.txt").read_text() == "one\n"
    settings = home(tmp_path).settings_file
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'sandbox = "{sandbox}"\nrequire_sandbox = "never"\n')
    assert str(repository) in await asyncio.to_thread(run, tmp_path, "changes")
    shown = await asyncio.to_thread(run, tmp_path, "changes", "show", execution_id[:8])
    assert "+two" in shown
    assert "b.txt" in shown
    seal = shown.strip().rpartition(" ")[2]
    merged = await asyncio.to_thread(run, tmp_path, "changes", "merge", execution_id[:8], "--read", seal)
    assert merged.startswith("Merged into")
    assert (repository / "a.txt").read_text() == "one\ntwo\n"
    assert (repository / "b.txt").read_text() == "by a tool"
    assert not git(repository, "status", "--porcelain")


@pytest.mark.parametrize("sandbox", ["none", "bubblewrap"])
async def test_an_execution_works_in_a_folder_itself_as_it_was_granted(
    stage: Stage, tmp_path: Path, sandbox: str
) -> None:
    if sandbox == "bubblewrap" and find_program() is None:
        pytest.skip("bubblewrap is not installed")
    shown, written = (tmp_path / "owner" / one for one in ("shown", "written"))
    for folder in (shown, written):
        folder.mkdir(parents=True)
        (folder / "a.txt").write_text("one\n")
    grants = (read_grant(f"{shown}=read-only"), read_grant(f"{written}=read-write"))
    read = f"!tool read_file {json.dumps({'path': str(shown / 'a.txt')})}"
    write = f"!tool write_file {json.dumps({'path': str(shown / 'a.txt'), 'content': 'two'})}"
    outside = f"!tool read_file {json.dumps({'path': '../a.txt'})}"
    lines = ["edit", tool("echo two >> a.txt; pwd -P"), read, write, outside, "!say done"]
    async with running_engine(stage, tmp_path, sandbox=sandbox, folders=grants, approvals="deny") as rig:
        execution_id = await execute_in(rig, written, "\n".join(lines))
        await rig.reach(execution_id, "waiting_for_input")
        said = await sentences(rig, execution_id)
        shell, reading, writing, leaving = (one["data"] for one in await rig.sent(execution_id, "tool_completed"))
        rig.engine.adopt(replace(rig.engine.settings, folders=grants[:1]))
        await rig.turn(execution_id, "more\n" + tool("echo three >> a.txt", "!say done"))
        refused = (await rig.sent(execution_id, "tool_completed"))[-1]["data"]
    assert said[0] == f"It works in {written} itself, which it may read and write."
    assert len(said) == (1 if sandbox == "bubblewrap" else 2), "that nothing keeps commands from writing"
    assert shell["tool_output"].strip() == str(written)
    assert (written / "a.txt").read_text() == "one\ntwo\n"
    assert reading["tool_output"] == "one\n"
    assert "may only be read" in writing["tool_error"]
    assert "denied" in leaving["tool_error"]
    assert (shown / "a.txt").read_text() == "one\n"
    assert "which it may not use any more" in refused["tool_error"]


async def test_a_folder_that_is_not_granted_is_one_sentence_and_nothing_is_touched(
    stage: Stage, tmp_path: Path, repository: Path
) -> None:
    agent_id = await new_agent(stage, configuration={"cwd": str(repository)})
    before = {one: one.read_bytes() for one in repository.rglob("*") if one.is_file()}
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute("look\n" + tool("ls -A", "!say done"), agent_id=agent_id)
        await rig.reach(execution_id, "waiting_for_input")
        [said] = await sentences(rig, execution_id)
        [shell] = await rig.sent(execution_id, "tool_completed")
    assert said.startswith(
        f"This execution asks to work in {repository}, which the owner of this machine has not granted"
    )
    assert shell["data"]["tool_output"].strip() in {"", "(no output)"}
    assert {one: one.read_bytes() for one in repository.rglob("*") if one.is_file()} == before
    assert await asyncio.to_thread(run, tmp_path, "changes") == "No execution has a copy of a repository of yours.\n"
