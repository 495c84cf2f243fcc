"""Agents with MCP servers, end to end: a real server, the real sandbox, the real Temporal."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from tests.mcp.calling import SANDBOXED, SERVER, STDIO, agent_with, call, run
from tests.support.engine import home, running_engine
from tests.support.executions import sequences
from tests.support.http_server import Answer, Request
from tests.support.http_server import serving as answering
from tests.support.listening import PORT, listening
from tests.support.playground import Stage, until
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.reach import Reach
from worker_core.mcp.session import ServerSession
from worker_core.mcp.trouble import ServerTrouble
from worker_core.sandbox.direct import DirectLauncher


def children() -> set[int]:
    return {
        process.pid
        for process in psutil.Process().children(recursive=True)
        if "server.py" in " ".join(_command(process))
    }


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


async def nobody_left() -> bool:
    return not children()


async def test_a_server_in_the_sandbox(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("of another")
    agent = await agent_with(
        stage,
        {"notes": {**STDIO, "env": {"NOTES_TOKEN": "{{SECRET_NUMBER}}", "PLAIN": "{{.env.PLACE}}"}}},
        env_vars={"SECRET_NUMBER": "swordfish-4711", "PLACE": "here", "OTHER": "not for it"},
    )
    async with running_engine(stage, tmp_path, **SANDBOXED) as rig:
        execution_id, said = await run(
            rig,
            agent,
            call("notes__add", title="one"),
            call("notes__add", title="two"),
            call("notes__variables", names=["NOTES_TOKEN", "PLAIN", "OTHER", "KUBIYA_API_KEY", "HOME"]),
            call("notes__peek", path=str(tmp_path / "private")),
            call("notes__fail"),
        )
        events = await rig.sent(execution_id)
        assert len(children()) >= 1, "it stays between turns"
        await rig.client.mark_done(execution_id)
        await rig.reach(execution_id, "completed")
        await until(nobody_left)
    workspace = home(tmp_path).workspaces / execution_id
    assert (workspace / "notes.txt").read_text() == "one\ntwo\n"
    assert said[:2] == ["added one", "added two"]
    given = json.loads(said[2])
    assert given["PLAIN"] == "here"
    assert given["NOTES_TOKEN"]
    assert "swordfish" not in said[2], "masked on its way to the model"
    assert given["OTHER"] is None
    assert given["KUBIYA_API_KEY"] is None
    assert given["HOME"] == "/tmp/home"
    assert "of another" not in said[3]
    assert "Error executing tool fail" in said[4]
    assert "[The tool reports an error.]" in said[4]
    started = [event["data"]["tool_name"] for event in events if event["event_type"] == "tool_started"]
    assert started == ["notes__add", "notes__add", "notes__variables", "notes__peek", "notes__fail"]
    assert sequences(events) == sorted(set(sequences(events)))


async def test_pictures_progress_and_a_server_that_dies(stage: Stage, tmp_path: Path) -> None:
    agent = await agent_with(stage, {"notes": STDIO})
    async with running_engine(stage, tmp_path) as rig:
        execution_id, said = await run(
            rig,
            agent,
            call("notes__picture"),
            call("notes__slow", seconds=0.1),
            call("notes__die"),
            call("notes__add", title="after"),
        )
        progress = await rig.sent(execution_id, "tool_progress")
        await rig.cancel(execution_id)
        await until(nobody_left)
    assert "image/png" in said[0]
    [file] = list((home(tmp_path).workspaces / execution_id / "mcp").iterdir())
    assert file.read_bytes().startswith(b"\x89PNG")
    assert [event["data"]["message"] for event in progress] == ["1 of 2 half"]
    assert said[1] == "slept"
    assert "Whether the call had an effect is not known" in said[2]
    assert said[3] == "added after", "it was started anew"


async def test_a_cancelled_call_is_cancelled_there_too(stage: Stage, tmp_path: Path) -> None:
    agent = await agent_with(stage, {"notes": STDIO})
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute("mcp\n" + call("notes__slow", seconds=1000), agent_id=agent)
        await until(lambda: rig.sent(execution_id, "tool_progress"))
        await rig.cancel(execution_id)
        await until(nobody_left)
        assert (home(tmp_path).workspaces / execution_id / "cancelled").exists()


@pytest.mark.parametrize(("kind", "path"), [("streamable-http", "mcp"), ("sse", "sse")])
async def test_servers_over_http(stage: Stage, tmp_path: Path, kind: str, path: str) -> None:
    with listening(SERVER, kind, PORT) as port:
        remote = {
            "notes": {"type": kind, "url": f"http://localhost:{port}/{path}", "headers": {"X-Token": "{{TOKEN}}"}}
        }
        agent = await agent_with(stage, remote, env_vars={"TOKEN": "a-token-value"})
        async with running_engine(stage, tmp_path / "mine", mcp_hosts=(f"localhost:{port}",)) as rig:
            _, said = await run(rig, agent, call("notes__picture"), call("notes__slow", seconds=0.1))
            assert said[1] == "slept"
        async with running_engine(stage, tmp_path / "hostile") as rig:
            execution_id, said = await run(rig, agent)
            [warning] = await rig.sent(execution_id, "error")
            assert "mcp_hosts" in json.dumps(warning), "what is on this machine is its user's to allow"


async def test_servers_that_cannot_be_used_are_named_and_the_others_work(stage: Stage, tmp_path: Path) -> None:
    agent = await agent_with(
        stage,
        {
            "missing": {"command": "there-is-no-such-program"},
            "silent": {"command": "sleep", "args": ["1000"], "connect_timeout": 1},
            "dead": {"command": "sh", "args": ["-c", "echo gone >&2; exit 4"]},
            "babbling": {"command": "sh", "args": ["-c", "while :; do echo nonsense; done"], "connect_timeout": 1},
            "unfilled": {"command": "x", "env": {"A": "{{NOT_THERE}}"}},
            "off": {"command": "x", "enabled": False},
            "notes": STDIO,
        },
    )
    async with running_engine(stage, tmp_path) as rig:
        execution_id, said = await run(rig, agent, call("notes__add", title="x"))
        events = await rig.sent(execution_id, "error")
        await rig.cancel(execution_id)
    assert said == ["added x"]
    assert {event["data"]["category"] for event in events} == {"mcp_connection"}
    assert "The MCP server 'missing' needs the program 'there-is-no-such-program'" in json.dumps(events)
    warnings = json.dumps(events)
    for words in ("there-is-no-such-program", "'silent'", "'dead'", "gone", "'babbling'", "NOT_THERE"):
        assert words in warnings
    assert "'off'" not in warnings


async def test_a_server_that_starts_slowly_is_waited_for_in_sight(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than Temporal would wait for any other step of the control plane: it is started once."""
    monkeypatch.setattr("worker_core.mcp.pool.TOLD_AFTER", timedelta(0))
    monkeypatch.setattr("worker_core.agents.workflows.retries.CONTROL_PLANE_CALL", timedelta(seconds=1))
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = f"echo started >> {tmp_path / 'starts'}; read x < {gate}; exec {sys.executable} {SERVER} stdio"
    agent = await agent_with(stage, {"slow": {"command": "sh", "args": ["-c", script], "connect_timeout": 100}})
    async with running_engine(stage, tmp_path / "mine") as rig:
        execution_id = await rig.execute("mcp\n" + call("slow__add", title="x") + "\n!say over", agent_id=agent)
        await rig.reach(execution_id, "running")
        await until(lambda: rig.sent(execution_id, "error"))
        await asyncio.sleep(1.5)  # beyond the limit
        await asyncio.to_thread(gate.write_text, "go\n")
        record = await rig.reach(execution_id, "waiting_for_input")
        [told, *_] = await rig.sent(execution_id, "error")
        await rig.cancel(execution_id)
    assert record.response == "over"
    assert (tmp_path / "starts").read_text() == "started\n"
    assert told["data"]["severity"] == "info"
    assert "Waiting for the MCP server 'slow'" in told["data"]["details"]["error_message"]


async def test_a_sign_in_is_told_apart_from_a_server_that_is_down(tmp_path: Path) -> None:
    def answer(_: Request) -> Answer:
        return Answer(401, {"WWW-Authenticate": "Bearer"})

    with answering(answer) as server:
        port, refused = server.port, await _trouble(tmp_path, server.port)
    assert "asks for a sign-in (HTTP 401)" in refused
    down = await _trouble(tmp_path, port)
    assert "sign-in" not in down
    assert "\n" not in down


async def _trouble(folder: Path, port: int) -> str:
    session = ServerSession(
        ServerConfig(alias="remote", transport="http", url=f"http://127.0.0.1:{port}/mcp"),
        launcher=DirectLauncher(),
        workspace=folder,
        reach=Reach(hosts=(f"127.0.0.1:{port}",)),
        ca_file=None,
        mask=str,
        call_mark="remote",
    )
    with pytest.raises(ServerTrouble) as caught:
        await session.tools()
    await session.close()
    return caught.value.sentence


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    yield
    await until(nobody_left)


async def test_a_published_server(stage: Stage, tmp_path: Path) -> None:
    """`mcp-server-time` from PyPI, in the sandbox."""
    server = {
        "time": {"command": sys.executable, "args": ["-m", "mcp_server_time", "--local-timezone", "{{.env.ZONE}}"]}
    }
    agent = await agent_with(stage, server, env_vars={"ZONE": "Europe/Berlin"})
    async with running_engine(stage, tmp_path, sandbox="auto") as rig:
        arguments = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        execution_id, said = await run(rig, agent, call("time__convert_time", **arguments))
        await rig.cancel(execution_id)
    assert "+09:00" in said[0]
    assert "21:00" in said[0]
