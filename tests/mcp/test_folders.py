"""What a server fetches and remembers stays with it, is its own alone, and goes when nobody needs it any more."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.calling import SANDBOXED, STDIO, agent_with, call, run
from tests.support.engine import home, new_agent, running_engine
from tests.support.playground import Stage
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.logs.redaction import Redactor
from worker_core.mcp.configuration import ServerConfig, Servers
from worker_core.mcp.folders import ServerFolder, ServerFolders, name_of
from worker_core.mcp.pool import McpPool
from worker_core.mcp.reach import Reach
from worker_core.mcp.session import FETCH_LIMIT, ServerSession
from worker_core.mcp.trouble import ServerTrouble
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.launcher import Launcher
from worker_core.sandbox.limits import Limits
from worker_core.settings import Settings, SettingsInForce

PRINTING = f"""
exec {sys.executable} -u {Path(__file__).with_name("least_server.py")}"""


def config(**fields: Any) -> ServerConfig:
    return ServerConfig(**{"alias": "s", "transport": "stdio", "command": ("npx", "-y", "x"), **fields})


def session_of(config: ServerConfig, folder: Path, launcher: Launcher, kept: ServerFolder | None) -> ServerSession:
    folder.mkdir(exist_ok=True)
    return ServerSession(
        config,
        launcher=launcher,
        workspace=folder,
        reach=Reach(),
        ca_file=None,
        mask=lambda text: text.replace("swordfish", "***"),
        call_mark="test",
        folder=kept,
    )


@needs_bubblewrap
@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")
async def test_what_it_keeps_is_there_in_the_next_execution_and_nobody_elses(stage: Stage, tmp_path: Path) -> None:
    same = {"notes": {**STDIO, "env": {"HERE": "1"}}}
    agent = await agent_with(stage, same)
    again = await agent_with(stage, same)
    another = await agent_with(stage, {"notes": {**STDIO, "env": {"HERE": "2"}}})
    shell = await new_agent(stage, skills=("shell",))
    kept = "/tmp/home/kept"
    async with running_engine(stage, tmp_path, **SANDBOXED) as rig:
        await run(rig, agent, call("notes__store", path=kept, text="mine"))
        _, there = await run(rig, again, call("notes__peek", path=kept))
        _, elsewhere = await run(rig, another, call("notes__peek", path=kept))
        folders = home(tmp_path).mcp_servers
        script = f"ls -A ~; cat {kept}; ls {folders}; echo no > {folders}/x; true"
        _, of_a_tool = await run(rig, shell, call("shell", command=script))
    assert there == ["mine"]
    assert "mine" not in elsewhere[0]
    assert "mine" not in of_a_tool[0]
    assert len(list(folders.iterdir())) == 2
    assert sorted(path.read_text() for path in folders.glob("*/home/kept")) == ["mine"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in folders.iterdir())


def test_time_limits_change_no_folder() -> None:
    one = config(environment={"A": "1", "B": "2"})
    assert name_of(one) == name_of(config(environment={"B": "2", "A": "1"}, call_timeout=timedelta(1)))
    assert len({name_of(one), *(name_of(config(**other)) for other in (
        {"alias": "t"}, {"command": ("npx", "-y", "y")}, {"environment": {"A": "1", "B": "3"}},
    ))}) == 4  # fmt: skip
    assert ServerFolders(Path("/x")).of(config(transport="http", url="https://example.com")) is None


def test_what_nobody_used_for_long_goes(tmp_path: Path) -> None:
    now = time.time()
    folders = ServerFolders(tmp_path / "servers", kept=timedelta(days=30))
    old, young = folders.of(config()), folders.of(config(alias="t"))
    assert old is not None
    assert young is not None
    assert folders.sweep(now=now) == 0, "there is nothing yet"
    (tmp_path / "outside").mkdir()
    (old.use() / "link").symlink_to(tmp_path / "outside")
    young.use()
    for folder, days in ((old, 31), (young, 11)):
        os.utime(folder.path, (now - timedelta(days=days).total_seconds(),) * 2)
    assert folders.sweep(now=now) == 1
    assert [path.name for path in (tmp_path / "servers").iterdir()] == [young.path.name]
    assert (tmp_path / "outside").is_dir()


async def test_only_the_first_start_of_what_is_fetched_has_a_long_limit(tmp_path: Path) -> None:
    folders = ServerFolders(tmp_path / "servers")

    def limit(one: ServerConfig) -> timedelta:
        return session_of(one, tmp_path / "w", DirectLauncher(), folders.of(one))._start_limit

    short = timedelta(seconds=5)
    fetched = config(connect_timeout=short)
    assert limit(fetched) == FETCH_LIMIT
    assert limit(config(connect_timeout=FETCH_LIMIT * 2)) == FETCH_LIMIT * 2
    assert limit(config(command=("node", "x.js"), connect_timeout=short)) == short
    folder = folders.of(fetched)
    assert folder is not None
    folder.use()
    folder.mark(ready=True)
    assert limit(fetched) == short
    folder.mark(ready=False)
    assert limit(fetched) == FETCH_LIMIT


def _npx(folder: Path, script: str) -> dict[str, str]:
    """The variables of a server whose `npx` is this script."""
    program = folder / "bin" / "npx"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


async def test_several_that_fetch_the_same_do_so_one_after_another_in_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker_core.mcp.pool.TOLD_AFTER", timedelta(0))
    monkeypatch.setattr("worker_core.mcp.pool.TOLD_EVERY", timedelta(seconds=0.05))
    gate, log = tmp_path / "gate", tmp_path / "log"
    os.mkfifo(gate)
    wait = f"if mkdir {tmp_path / 'first'} 2> /dev/null; then read x < {gate}; fi"
    fetching = f"echo begin >> {log}; echo downloading swordfish 12% >&2; {wait}; echo end >> {log}{PRINTING}"
    one = config(environment=_npx(tmp_path, fetching))
    redactor = Redactor()
    redactor.add("swordfish")
    pool = McpPool(
        launcher=DirectLauncher(),
        workspace=lambda _: tmp_path,
        settings=SettingsInForce(Settings()),
        redactor=redactor,
        folders=ServerFolders(tmp_path / "servers"),
    )
    told: list[str] = []
    heard = asyncio.Event()

    def tell(sentence: str) -> None:
        told.append(sentence)
        if "It says" in sentence:
            heard.set()

    servers = Servers(usable={"s": one}, left_out={})
    starting = [asyncio.create_task(pool.offer(execution, servers, taken=set(), tell=tell)) for execution in ("a", "b")]
    try:
        await heard.wait()
        await asyncio.to_thread(gate.write_text, "go\n")
        offers = await asyncio.gather(*starting)
    finally:
        await pool.close()
    assert [offer.left_out for offer in offers] == [[], []]
    assert log.read_text().split() == ["begin", "end"] * 2
    said = next(sentence for sentence in told if "It says" in sentence)
    assert said.startswith("Waiting for the MCP server 's': npx fetches x (")
    assert said.endswith("It says: downloading *** 12%")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'Error: swordfish is no key' >&2; exit 7", ["exit code 7", "Error: *** is no key"]),
        ("kill -9 $$", ["ended before it could be talked to", "Signal 9 ended it"]),
        ("exit 0", ["exit code 0"]),
    ],
)
async def test_a_server_that_died_is_told_with_how_it_ended_and_why(
    tmp_path: Path, script: str, words: list[str]
) -> None:
    session = session_of(config(command=("sh", "-c", script)), tmp_path / "w", DirectLauncher(), None)
    with pytest.raises(ServerTrouble) as caught:
        await session.tools()
    await session.close()
    for word in words:
        assert word in caught.value.sentence
    assert "\n" not in caught.value.sentence


@needs_bubblewrap
@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")
async def test_what_its_sandbox_does_not_show_is_named(tmp_path: Path) -> None:
    server = tmp_path / "server.sh"
    server.write_text("exit 0")
    session = session_of(config(command=("sh", str(server))), tmp_path / "w", bubblewrap(tmp_path / "run"), None)
    with pytest.raises(ServerTrouble, match="sandbox_readable") as caught:
        await session.tools()
    await session.close()
    assert f"does not show {server}" in caught.value.sentence


@needs_bubblewrap
@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")
async def test_one_that_keeps_too_much_begins_anew(tmp_path: Path) -> None:
    limits = Limits(workspace_bytes=1024 * 1024)
    one = config(command=("sh", "-c", f"head -c 3000000 /dev/zero > ~/much{PRINTING}"))
    folder = ServerFolders(tmp_path / "servers").of(one)
    assert folder is not None
    session = session_of(
        one, tmp_path / "w", bubblewrap(tmp_path / "run", limits=limits, readable=(Path(__file__).parent,)), folder
    )
    await session.tools()
    flow = session._flow
    assert flow is not None
    async with asyncio.timeout(60):
        await flow.over.wait()
        while folder.path.exists():
            await asyncio.sleep(0.05)
    assert "The folder that it keeps holds more than 1 MB" in session._ended()
    await session.close()


def test_nothing_of_a_configuration_is_in_the_name() -> None:
    assert "swordfish" not in json.dumps(name_of(config(environment={"TOKEN": "swordfish"})))
