"""The runtime `claude_code`: the real program of Anthropic's SDK, with the playground's model behind it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine.submitted import submit
from tests.support.engine import Rig, home, new_agent, new_queue, running_engine
from tests.support.executions import Viewer, sequences, tool
from tests.support.playground import Stage
from tests.support.worker_process import worker_process
from worker_core.agents.activities import claude_turn
from worker_core.claude import installation
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.sandbox.linux import find_program
from worker_core.settings.budget import read_limit

there = pytest.mark.skipif(
    not installation.installed(), reason="claude-agent-sdk (the extra `claude`) is not installed or has no program here"
)
walled = pytest.mark.skipif(find_program() is None, reason="bubblewrap is not installed")

MODEL = "kubiya/claude-sonnet-4"
SANDBOX: dict[str, Any] = {"sandbox": "bubblewrap", "require_sandbox": "always"}


async def new_skill(stage: Stage) -> str:
    async with stage.client() as api:
        made = await api.post("/skills", json={"name": "shell", "type": "shell", "configuration": {}})
        return str(made.json()["id"])


async def dynamic(stage: Stage, rig: Rig, prompt: str, **fields: Any) -> str:
    """One turn, with a shell."""
    fields = {"runtime_type": "claude_code", "model_id": MODEL, **fields}
    return await submit(stage, "/execute", rig, prompt=prompt, skill_ids=[await new_skill(stage)], **fields)


async def claude(stage: Stage) -> str:
    """An agent of this runtime."""
    return await new_agent(stage, skills=("shell",), runtime="claude_code", model_id=MODEL)


def programs() -> list[psutil.Process]:
    """Claude Code's processes below this one."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if any("_bundled/claude" in part for part in child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


async def gone() -> None:
    async with asyncio.timeout(60):
        while programs():
            await asyncio.sleep(0.05)


@there
async def test_an_answer_with_a_tool_call(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await dynamic(stage, rig, "claude one\n" + tool("echo from the shell", "!say all done"))
        record = await rig.reach(execution_id, "completed", "failed")
        assert (record.status, record.response) == ("completed", "all done"), record.error_message
        [ran] = await rig.sent(execution_id, "tool_completed")
        events = await rig.sent(execution_id)
        session = await rig.client.load_session(execution_id)
    assert ran["data"]["tool_output"] == "from the shell\n"
    assert sequences(events) == sorted(sequences(events))
    assert session is not None
    assert [message["role"] for message in session["messages"]] == ["user", "tool", "assistant"]
    assert record.usage["total_tokens"] > 0
    await gone()
    assert not list((tmp_path / "temporary").iterdir()), "what it needs for a while is in the workspace"


@there
@walled
async def test_in_the_sandbox_it_reaches_its_model_and_knows_no_key(stage: Stage, tmp_path: Path) -> None:
    look = "env; grep -r . . 2>/dev/null; ps axe 2>/dev/null"
    async with running_engine(stage, tmp_path, **SANDBOX, network="allow-list") as rig:
        execution_id = await dynamic(stage, rig, "claude walled\n" + tool(look, "!say walled"))
        record = await rig.reach(execution_id, "completed", "failed")
        [ran] = await rig.sent(execution_id, "tool_completed")
    assert (record.status, record.response) == ("completed", "walled"), record.error_message
    assert ran["data"]["sandbox"] == "bubblewrap"
    keys = (stage.info.api_key, stage.info.llm_api_key)
    assert not any(key in ran["data"]["tool_output"] for key in keys)
    workspace = home(tmp_path).workspaces / execution_id
    for file in (one for one in workspace.rglob("*") if one.is_file()):
        assert not any(key.encode() in file.read_bytes() for key in keys), file


@there
@walled
async def test_without_a_network_it_says_what_to_change(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, **SANDBOX, network="off") as rig:
        record = await rig.reach(await dynamic(stage, rig, "claude off\n!say no"), "completed", "failed")
    assert record.status == "failed"
    assert 'network = "allow-list"' in record.error_message


@there
async def test_a_conversation_goes_on_in_the_same_session(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute("claude first\n!say one", agent_id=await claude(stage))
        first = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert first.response == "one", first.error_message
        await rig.turn(execution_id, "claude second\n!history")
        second = await rig.client.get_execution(execution_id)
    assert "I have seen 2 user messages" in second.response
    ids = [one.execution_metadata["claude_code_session_id"] for one in (first, second)]
    assert ids[0] == ids[1]


@there
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
async def test_a_pipe_where_its_own_file_was_holds_no_turn_up(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute("claude piped\n!say one", agent_id=await claude(stage))
        await rig.reach(execution_id, "waiting_for_input", "failed")
        own = home(tmp_path).workspaces / execution_id / claude_turn.STATE_FOLDER / claude_turn._TURN_FILE
        own.unlink()
        os.mkfifo(own)
        await rig.turn(execution_id, "claude piped again\n!say two")
        record = await rig.client.get_execution(execution_id)
    assert record.response == "two", record.error_message


@there
async def test_a_new_machine_is_told_what_was_said(stage: Stage, tmp_path: Path) -> None:
    agent_id = await claude(stage)
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute("claude moving\n!say remember the blue door", agent_id=agent_id)
        await rig.reach(execution_id, "waiting_for_input", "failed")
        folder = home(tmp_path).workspaces / execution_id / claude_turn.STATE_FOLDER
        (session,) = folder.glob("projects/*/*.jsonl")
        session.unlink()
        await rig.turn(execution_id, "claude moved\n!history")
        record = await rig.client.get_execution(execution_id)
    assert "I have seen 1 user messages" in record.response
    assert "remember the blue door" in record.response


@there
async def test_cancelled_in_mid_stream(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute("claude cancel\n!stream 20000 20", agent_id=await claude(stage))
        async with asyncio.timeout(60):
            while "word3" not in await rig.said(execution_id):
                await asyncio.sleep(0.05)
        async with stage.client() as api:
            assert (await api.post(f"/executions/{execution_id}/cancel")).status_code == 200
        await gone()
        await rig.until(lambda: not rig.snapshot.executions)
        [call] = stage.model_calls("claude cancel")
        assert call["outcome"] == "abandoned"
        assert (await rig.client.get_execution(execution_id)).status == "cancelled"


@there
async def test_cancelled_in_a_tool(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        prompt = "claude cancel tool\n" + tool("echo $$ > pid; sleep 1000")
        execution_id = await rig.execute(prompt, agent_id=await claude(stage))
        file = home(tmp_path).workspaces / execution_id / "pid"
        async with asyncio.timeout(60):
            while not file.exists() or not file.read_text().strip():
                await asyncio.sleep(0.05)
        async with stage.client() as api:
            await api.post(f"/executions/{execution_id}/cancel")
        await gone()
        async with asyncio.timeout(60):
            while psutil.pid_exists(int(file.read_text())):
                await asyncio.sleep(0.05)


@there
async def test_a_refused_key_is_a_sentence_and_trouble_is_tried_again(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path, model_attempts=3) as rig:
        refused = await rig.reach(await dynamic(stage, rig, "claude 401\n!error 401"), "completed", "failed")
        busy = await dynamic(stage, rig, "claude 529\n!error 529 0 times=1\n!say there")
        assert (await rig.reach(busy, "completed", "failed")).response == "there"
    assert refused.status == "failed"
    assert "401" in refused.error_message


@there
async def test_a_paused_execution_calls_no_model(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        go = tmp_path / "go"
        wait = f"touch {tmp_path}/begun; until test -e {go}; do sleep 0.05; done"
        execution_id = await rig.execute("claude pause\n" + tool(wait, "!say on"), agent_id=await claude(stage))
        async with asyncio.timeout(60):
            while not (tmp_path / "begun").exists():
                await asyncio.sleep(0.05)
        async with stage.client() as api:
            assert (await api.post(f"/executions/{execution_id}/pause")).status_code == 200
            go.touch()
            await rig.until(lambda: rig.snapshot.executions)
            async with asyncio.timeout(60):
                while not await rig.sent(execution_id, "tool_completed"):
                    await asyncio.sleep(0.05)
            looked = time.monotonic() + 1.5
            while time.monotonic() < looked:
                assert len(stage.model_calls("claude pause")) == 1
                await asyncio.sleep(0.1)
            await api.post(f"/executions/{execution_id}/resume")
        assert (await rig.reach(execution_id, "waiting_for_input", "failed")).response == "on"
        assert len(stage.model_calls("claude pause")) == 2


@there
async def test_its_calls_are_asked_about(stage: Stage, tmp_path: Path) -> None:
    target = tmp_path / "outside.txt"
    async with running_engine(stage, tmp_path, approvals="ask") as rig:
        execution_id = await dynamic(stage, rig, "claude asks\n" + tool(f"echo done >> {target}", "!say asked"))
        await rig.until(lambda: rig.snapshot.approvals)
        assert not target.exists()
        [question] = rig.snapshot.approvals
        await rig.engine.answer_approval(question.id, allow=True)
        assert (await rig.reach(execution_id, "completed", "failed")).response == "asked"
        denied = await dynamic(stage, rig, "claude asks again\n" + tool(f"echo done >> {target}", "!say denied"))
        await rig.until(lambda: rig.snapshot.approvals)
        await rig.engine.answer_approval(rig.snapshot.approvals[0].id, allow=False)
        await rig.reach(denied, "completed", "failed")
    assert target.read_text() == "done\n"


@there
async def test_a_team_delegates(stage: Stage, tmp_path: Path) -> None:
    agents = {"subagent_1": {"description": "first", "prompt": "Be brief.", "model": None}}
    work = {"description": "say hello", "prompt": "!say hello from one", "subagent_type": "subagent_1"}
    prompt = f"claude team\n!tool Task {json.dumps(work)}\n!say together"
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await dynamic(
            stage, rig, prompt, entity_type="team", agent_config={"runtime_config": {"agents": agents}}
        )
        record = await rig.reach(execution_id, "completed", "failed")
    assert (record.status, record.response) == ("completed", "together"), record.error_message


@there
async def test_after_a_crash_the_session_goes_on_with_a_note(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue, viewer, agent_id = await new_queue(stage), Viewer(stage, client), await claude(stage)
    with worker_process(stage, tmp_path, queue) as first:
        first.wait_ready()
        wish = Execute(prompt=f"claude killed {queue}\n!hang 5\n!history", worker_queue_id=queue)
        execution_id = (await client.execute_agent(agent_id, wish)).execution_id
        async with asyncio.timeout(60):
            while not stage.model_calls(f"claude killed {queue}"):
                await asyncio.sleep(0.05)
        first.kill()
    with worker_process(stage, tmp_path, queue) as second:
        second.wait_ready()
        record = await viewer.reach(execution_id, "waiting_for_input", "failed")
        assert second.terminate() == 0
    assert "I have seen" in record.response, record.error_message
    assert "The worker stopped in the middle of this turn" in record.response


async def test_without_the_sdk_the_execution_fails_with_the_way_to_add_it(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claude_turn, "installed", lambda: False)
    async with running_engine(stage, tmp_path) as rig:
        record = await rig.reach(await dynamic(stage, rig, "claude missing\n!say no"), "completed", "failed")
    assert record.status == "failed"
    assert installation.ADD in record.error_message


async def test_without_the_sdk_the_default_runtime_may_do_it(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claude_turn, "installed", lambda: False)
    async with running_engine(stage, tmp_path, claude_code_fallback="default") as rig:
        execution_id = await dynamic(stage, rig, "claude fallback\n!say by the default one")
        record = await rig.reach(execution_id, "completed", "failed")
        [warning] = await rig.sent(execution_id, "error")
    assert record.response == "by the default one"
    assert "The default runtime does its work" in str(warning["data"])


async def test_an_unknown_runtime_is_a_sentence(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await dynamic(stage, rig, "strange\n!say no", runtime_type="agent_runtime")
        record = await rig.reach(execution_id, "completed", "failed")
    assert record.status == "failed"
    assert "'agent_runtime', which this worker does not have" in record.error_message


@there
async def test_a_budget_ends_the_turn_with_what_was_said(stage: Stage, tmp_path: Path) -> None:
    options: dict[str, Any] = {"approvals": "deny", "budget": (read_limit("turn.model_calls=2"),)}
    async with running_engine(stage, tmp_path, **options) as rig:
        prompt = "\n".join(["budget", *(tool(f"echo {number}") for number in range(6)), "!say never"])
        execution_id = await rig.execute(prompt, agent_id=await claude(stage))
        await rig.reach(execution_id, "waiting_for_input")
        errors = await rig.sent(execution_id, "error")
        session = await rig.client.load_session(execution_id)
        made = len(await rig.sent(execution_id, "tool_completed"))
        [view] = rig.snapshot.executions[0].budget
    assert "2 model calls for this turn is used up" in errors[-1]["data"]["details"]["error_message"]
    assert session is not None
    assert [one["role"] for one in session["messages"]].count("tool") == made == 2
    assert (view.kind, view.spent) == ("model_calls", 2)
