"""How servers are greeted, whatever revision they speak, and that a list is asked for once while it is fresh."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.pools import ask, pool
from tests.support.listening import PORT, listening
from tests.support.playground import until
from worker_core.mcp import greeting
from worker_core.mcp.configuration import ServerConfig, Servers
from worker_core.mcp.memory import LONGEST_FRESH, MOST_SERVERS, Era, Memory
from worker_core.mcp.offering import Listing
from worker_core.mcp.pool import Answer, McpPool
from worker_core.mcp.reach import Reach
from worker_core.mcp.session import ServerSession
from worker_core.mcp.trouble import ServerTrouble
from worker_core.sandbox.direct import DirectLauncher

HERE = Path(__file__).parent
PATIENCE = timedelta(minutes=2)
NEW = ("server/discover", "tools/list")
OLD = ("initialize", "notifications/initialized", "tools/list")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers is waited for however slowly it starts: else it is asked the second question as well."""
    monkeypatch.setattr(greeting, "PROBE_LIMIT", PATIENCE)


def config(*command: str, **more: Any) -> ServerConfig:
    command = (sys.executable, *map(str, command))
    return ServerConfig(alias="eras", transport="stdio", command=command, connect_timeout=PATIENCE, **more)


def strange(manners: str) -> ServerConfig:
    return config(str(HERE / "strange_server.py"), "0", manners)


@asynccontextmanager
async def connected(one: ServerConfig, folder: Path, memory: Memory) -> AsyncIterator[ServerSession]:
    session = ServerSession(
        one,
        launcher=DirectLauncher(),
        workspace=folder,
        reach=Reach(),
        ca_file=None,
        mask=str,
        call_mark="eras",
        memory=memory,
    )
    try:
        yield session
    finally:
        await session.close()


async def asked(one: ServerConfig, folder: Path, memory: Memory) -> tuple[str, ...]:
    """What a server is asked when it is connected to and lists its tools."""
    file = folder / "asked.txt"
    file.unlink(missing_ok=True)
    async with connected(one, folder, memory) as session:
        assert (await session.tools()).tools
    beside = {"subscriptions/listen", "notifications/cancelled"}
    return tuple(line for line in file.read_text().splitlines() if line not in beside)


@pytest.mark.parametrize(
    ("server", "first", "second", "era"),
    [
        (config(str(HERE / "era_server.py"), "stdio"), NEW, NEW, Era.DISCOVER),
        (config(str(HERE / "era_server.py"), "stdio", "new"), NEW, NEW, Era.DISCOVER),
        (strange("answers"), ("server/discover", *OLD), OLD, Era.INITIALIZE),
        (strange("silent"), ("server/discover", *OLD), OLD, Era.INITIALIZE),
        (strange("dies"), ("server/discover", *OLD), OLD, Era.INITIALIZE),
    ],
    ids=["both", "new alone", "old", "old and silent", "old and dies"],
)
async def test_the_second_greeting_is_one_question(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: ServerConfig,
    first: tuple[str, ...],
    second: tuple[str, ...],
    era: Era,
) -> None:
    if "silent" in server.command:
        monkeypatch.setattr(greeting, "PROBE_LIMIT", timedelta(seconds=0.1))
    memory = Memory()
    assert await asked(server, tmp_path, memory) == first
    assert memory.era(server.identity) is era
    assert await asked(server, tmp_path, memory) == second


async def test_a_result_without_a_type_is_complete(tmp_path: Path) -> None:
    memory, server = Memory(), config(str(HERE / "typeless_server.py"))
    async with connected(server, tmp_path, memory) as session:
        assert [tool.name for tool in (await session.tools()).tools] == ["hello"]
        assert await ask(session, "hello") == "hello, without a type"
    assert memory.era(server.identity) is Era.DISCOVER


async def test_a_server_that_is_another_one_now_is_greeted_anew(tmp_path: Path) -> None:
    memory = Memory()
    new, old = config(str(HERE / "era_server.py"), "stdio", "new"), strange("answers")
    memory.note_era(new.identity, Era.INITIALIZE)
    assert await asked(new, tmp_path, memory) == ("initialize", *NEW)
    memory.note_era(old.identity, Era.DISCOVER)
    assert await asked(old, tmp_path, memory) == ("server/discover", *OLD)
    assert (memory.era(new.identity), memory.era(old.identity)) == (Era.DISCOVER, Era.INITIALIZE)


async def test_a_program_that_is_no_server_is_started_twice_and_named(tmp_path: Path) -> None:
    memory = Memory()
    dead = ServerConfig(alias="dead", transport="stdio", command=("sh", "-c", "echo x >> starts; exit 1"))
    async with connected(dead, tmp_path, memory) as session:
        with pytest.raises(ServerTrouble, match="'dead'"):
            await session.tools()
    assert (tmp_path / "starts").read_text() == "x\nx\n"


async def test_a_fresh_list_is_asked_for_once_until_it_changes(tmp_path: Path) -> None:
    server = config(str(HERE / "era_server.py"), "stdio")
    async with pool(tmp_path) as one:

        async def offered(execution: str) -> set[str]:
            offer = await one.offer(execution, Servers(usable={"eras": server}, left_out={}), taken=set())
            assert offer.left_out == []
            assert "Says hello." in offer.words[0]
            return {tool.tool for tool in offer.tools if tool.tool}

        assert await offered("first") == {"hello", "regional", "grow"}
        assert await offered("second") == {"hello", "regional", "grow"}
        assert not (tmp_path / "second").exists(), "it is not even started before it is called"
        assert await called(one, "second", server, "hello", name="you") == "hello you"
        assert "tools/list" not in (tmp_path / "second" / "asked.txt").read_text().splitlines()
        assert await called(one, "first", server, "grow") == "grown"
        # The notice travels beside the answer.
        await until(lambda: is_stale(one, server))
        assert await offered("third") == {"hello", "regional", "grow"}, "a process of its own has not grown"
        assert "tools/list" in (tmp_path / "third" / "asked.txt").read_text()


async def is_stale(one: McpPool, server: ServerConfig) -> bool:
    return one._memory.fresh(server.identity) is None


async def test_an_old_server_is_asked_for_its_tools_each_time(tmp_path: Path) -> None:
    server = strange("answers")
    async with pool(tmp_path) as one:
        for execution in ("first", "second"):
            await one.offer(execution, Servers(usable={"eras": server}, left_out={}), taken=set())
            assert "tools/list" in (tmp_path / execution / "asked.txt").read_text()


async def test_a_new_server_over_http_gets_its_headers(tmp_path: Path) -> None:
    with listening(HERE / "era_server.py", "streamable-http", PORT, "new", ASKED=str(tmp_path / "asked.txt")) as port:
        server = ServerConfig(alias="eras", transport="http", url=f"http://127.0.0.1:{port}/mcp")
        async with pool(tmp_path, mcp_hosts=(f"127.0.0.1:{port}",)) as one:
            offer = await one.offer("first", Servers(usable={"eras": server}, left_out={}), taken=set())
            assert offer.left_out == []
            assert await called(one, "first", server, "regional", region="north") == "in north"
            (tmp_path / "asked.txt").unlink()
            assert await called(one, "second", server, "regional", region="south") == "in south"
            told = [line for line in (tmp_path / "asked.txt").read_text().splitlines() if "listen" not in line]
            assert told == ["server/discover", "tools/list", "tools/call"], "headers need the list of this connection"


async def called(one: McpPool, execution: str, server: ServerConfig, tool: str, **arguments: Any) -> str:
    answer = await one.call(
        execution,
        server,
        tool,
        arguments,
        limit=timedelta(seconds=60),
        on_progress=lambda *_: None,
        asked=lambda: None,
    )
    assert isinstance(answer, Answer)
    return "".join(part.text for part in answer.result.content if part.type == "text")


# --- pieces ---------------------------------------------------------------------------------------------------


def test_what_is_remembered_ends_with_its_time_and_is_bounded() -> None:
    now = [0.0]
    memory = Memory(clock=lambda: now[0])
    listing = Listing(fresh_for=timedelta(days=100))
    memory.keep("a", listing)
    memory.keep("b", Listing())
    assert memory.fresh("a") is listing
    assert memory.fresh("b") is None
    assert memory.listing("b") is not None
    now[0] = LONGEST_FRESH.total_seconds()
    assert memory.fresh("a") is None
    memory.keep("a", listing)
    memory.tools_changed("a")
    assert memory.fresh("a") is None
    assert memory.listing("a") is listing
    for number in range(MOST_SERVERS):
        memory.note_era(str(number), Era.DISCOVER)
    assert memory.listing("a") is None
    assert len(memory._servers) == MOST_SERVERS


async def test_old_servers_say_that_their_tools_changed(tmp_path: Path) -> None:
    memory = Memory()
    server = strange("answers")
    async with connected(server, tmp_path, memory) as session:
        await session.tools()
        memory.keep(server.identity, Listing(fresh_for=timedelta(hours=1)))
        assert await ask(session, "changed") == "fine"
        async with asyncio.timeout(60):
            while memory.fresh(server.identity) is not None:
                await asyncio.sleep(0.01)
