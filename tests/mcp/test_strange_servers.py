"""Servers that answer in ways that no SDK would, or without end: an answer is an answer, and a flood costs little."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mcp.pools import ask
from tests.mcp.strange_server import TOOLS
from tests.support import strange_data
from tests.support.growth import LINEAR, twice_the_length_costs
from tests.support.http_server import Answer, Request, serving
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.flow import MESSAGES_AT_ONCE, NOTICES_AT_ONCE, Budget, Flow, Incoming
from worker_core.mcp.messages import Repaired, read_message
from worker_core.mcp.offering import Offer
from worker_core.mcp.pages import LARGEST_PAGE_BYTES, MOST_LISTED, MOST_PARTS
from worker_core.mcp.progress import SOON, Coalesced
from worker_core.mcp.reach import Reach
from worker_core.mcp.session import ServerSession
from worker_core.mcp.stdio import ERRORS_AT_ONCE, ErrorTail
from worker_core.mcp.trouble import ServerTrouble
from worker_core.sandbox.direct import DirectLauncher

SERVER = Path(__file__).with_name("strange_server.py")


@asynccontextmanager
async def strange(folder: Path, *arguments: str) -> AsyncIterator[ServerSession]:
    session = ServerSession(
        ServerConfig(alias="strange", transport="stdio", command=(sys.executable, str(SERVER), *arguments)),
        launcher=DirectLauncher(),
        workspace=folder,
        reach=Reach(),
        ca_file=None,
        mask=lambda text: text.replace("wrong", "***"),
        call_mark="strange",
    )
    try:
        yield session
    finally:
        await session.close()


async def test_an_answer_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    async with strange(tmp_path) as session:
        assert await ask(session, "half") == "smile 😀 and half \ufffd."
        for tool, why in {
            "broken": "answered the call with something that cannot be read (its answer is no message of the protocol)",
            "deep": "something that cannot be read (it nests more than 100 levels deep)",
            "odd": "answered the call with something that is no result of it",
        }.items():
            with pytest.raises(ServerTrouble) as caught:
                await asyncio.wait_for(ask(session, tool), 60)
            assert why in caught.value.sentence
            assert caught.value.in_mid_call, "whether it had an effect is not known"
        assert await ask(session, "promised") == "fine", "what it promised of its results is its own affair"
        assert session._starts == 1, "it was the same session all the time"


async def test_one_bad_tool_costs_that_tool_alone(tmp_path: Path) -> None:
    async with strange(tmp_path) as session:
        listing = await session.tools()
    offer = Offer()
    offer.add("strange", listing.tools, more=listing.more)
    offered = {one.tool: one for one in offer.tools}
    assert {"half", "fine", "promised", "required", "description"} <= set(offered)
    assert not {"without", "null", "inside", "5"} & set(offered) - {"without"}
    assert offered["required"].parameters == {"type": "object", "properties": {}}
    assert offered["half"].description == "⟦From the MCP server 'strange', in its own words:⟧ Says half a character."
    assert "null, inside" in offer.left_out[0]


@pytest.mark.parametrize("number", [2000, 4000])
async def test_of_a_list_twice_as_long_no_more_is_looked_at(tmp_path: Path, number: int) -> None:
    async with strange(tmp_path, str(number)) as session:
        listing = await session.tools()
        assert len(listing.tools) == MOST_LISTED - 2


async def test_a_list_beyond_all_is_not_parsed(tmp_path: Path) -> None:
    async with strange(tmp_path, "10000") as session:
        with pytest.raises(ServerTrouble, match=r"larger than any may be|could not say what it offers"):
            await session.tools()


async def test_a_long_answer_of_a_call_is_taken(tmp_path: Path) -> None:
    async with strange(tmp_path) as session:
        assert len(await ask(session, "long", number=2 * LARGEST_PAGE_BYTES)) == 2 * LARGEST_PAGE_BYTES


async def test_of_a_result_in_very_many_parts_the_first_are_read_and_the_model_is_told(tmp_path: Path) -> None:
    """The SDK makes two kilobytes of each: a result of 10 MB became 700."""
    async with strange(tmp_path) as session:
        assert await ask(session, "parts", number=MOST_PARTS) == "." * MOST_PARTS
        said = await ask(session, "parts", number=100_000)
    assert said == "." * MOST_PARTS + "[The server answered in 100000 parts; only the first 1000 are here.]"


@pytest.mark.parametrize(
    ("manners", "why"),
    [
        ("shouts", "cannot be used. It sent one message that is larger than any may be."),
        ("leaves", "could not say what it offers. It broke off. It ended with exit code 7."),
    ],
)
async def test_why_a_server_is_not_there_is_said(tmp_path: Path, manners: str, why: str) -> None:
    async with strange(tmp_path, "0", manners) as session:
        with pytest.raises(ServerTrouble) as trouble:
            await session.tools()
    assert trouble.value.sentence.endswith(why)


@pytest.mark.parametrize("number", [9_000, 18_000])
async def test_a_flood_of_progress_becomes_a_few_messages(tmp_path: Path, number: int) -> None:
    heard: list[float] = []
    async with strange(tmp_path) as session:
        began = time.monotonic()
        assert await ask(session, "progress", told=lambda done, *_: heard.append(done), number=number) == "fine"
        windows = (time.monotonic() - began) / 0.5
    assert heard[0] == 0
    assert heard == sorted(heard)
    assert len(heard) <= 2 + windows


async def test_a_flood_of_errors_or_nonsense_does_not_hide_the_answer(tmp_path: Path) -> None:
    async with strange(tmp_path) as session:
        assert await ask(session, "errors", number=20) == "fine"
        assert session._said().startswith(" Its last words: something is *** here")
        assert await ask(session, "nonsense", number=1000) == "fine"
        with pytest.raises(ServerTrouble, match=f"more than {MESSAGES_AT_ONCE} messages without an answer"):
            await ask(session, "nonsense", number=3 * MESSAGES_AT_ONCE)


@asynccontextmanager
async def remote(answer: Callable[[Request], Answer], workspace: Path) -> AsyncIterator[ServerSession]:
    """With a server over HTTP that answers so."""
    with serving(answer) as server:
        session = ServerSession(
            ServerConfig(alias="remote", transport="http", url=f"http://127.0.0.1:{server.port}/mcp"),
            launcher=DirectLauncher(),
            workspace=workspace,
            reach=Reach(hosts=(f"127.0.0.1:{server.port}",)),
            ca_file=None,
            mask=str,
            call_mark="strange",
        )
        try:
            yield session
        finally:
            await session.close()


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_half_characters_of_a_remote_server_are_repaired(tmp_path: Path, kind: str) -> None:
    results: dict[str, Any] = {
        "initialize": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "strange", "version": "1"}
        },
        "tools/list": {"tools": TOOLS},
        "tools/call": {"content": [{"type": "text", "text": "smile \ud83d\ude00 and half \ud83d."}]},
    }  # fmt: skip

    def answer(request: Request) -> Answer:
        if request.method != "POST":
            return Answer(405)
        message = json.loads(request.body)
        if "id" not in message:
            return Answer(202)
        if message["method"] not in results:
            return Answer(400)  # as those do that want a session first
        said = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]}).encode()
        half = said.find(b"\\ud83d") + 4
        headers = {"Content-Type": kind}
        return Answer(
            200, headers, (said[:half], said[half:]) if kind.endswith("json") else (b"data: " + said + b"\n\n",)
        )

    async with remote(answer, tmp_path) as session:
        assert await ask(session, "half") == "smile 😀 and half \ufffd."


@pytest.mark.parametrize(
    ("answered", "is_made", "says"),
    [
        (Answer(504, {"Content-Type": "text/html"}, (b"<html>",)), True, "broke off in mid-call"),
        (Answer(200, {"Content-Type": "text/html"}, (b"<html>",)), True, "broke off in mid-call"),
        (Answer(200, {"Content-Type": "text/event-stream"}, (b": no more\n\n",)), True, "broke off in mid-call"),
        (Answer(429, {"Content-Type": "text/html"}, (b"<html>",)), False, "refused the call"),
    ],
)
async def test_a_call_that_a_remote_server_may_have_made_is_not_called_refused(
    tmp_path: Path, answered: Answer, is_made: bool, says: str
) -> None:
    results: dict[str, Any] = {
        "initialize": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "strange", "version": "1"}
        },
        "tools/list": {"tools": TOOLS},
    }  # fmt: skip

    def answer(request: Request) -> Answer:
        message = json.loads(request.body) if request.method == "POST" else {}
        if "id" not in message:
            return Answer(202 if message else 405)
        if message["method"] == "tools/call":
            return answered
        if message["method"] not in results:
            return Answer(400)
        said = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]}).encode()
        return Answer(200, {"Content-Type": "application/json"}, (said,))

    async with remote(answer, tmp_path) as session:
        with pytest.raises(ServerTrouble, match=says) as trouble:
            await ask(session, "fine")
    assert trouble.value.in_mid_call is is_made


# --- pieces ---------------------------------------------------------------------------------------------------


@given(strange_data.values, st.data())
def test_a_stream_is_repaired_however_it_is_cut(value: Any, data: st.DataObject) -> None:
    sent = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"a\\": value}}).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=4)))
    repaired = Repaired()
    pieces = [repaired.feed(sent[a:b]) for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    whole = Repaired()
    assert b"".join([*pieces, repaired.flush()]) == whole.feed(sent) + whole.flush()


@given(st.lists(st.sampled_from(["\\", "\\\\", "u", "ud83d", "\\ud83d", "\\ude00", "\\ud83d\\ude00", "x", '\\"', "é"])))
def test_what_was_repaired_reads_as_what_was_meant(pieces: list[str]) -> None:
    text = f'"{"".join(pieces)}"'
    try:
        meant = json.loads(text)
    except ValueError:
        return
    repaired = Repaired()
    found = json.loads(repaired.feed(text.encode()) + repaired.flush())
    assert found == meant.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def test_bytes_that_are_no_utf_8_are_repaired_too() -> None:
    repaired = Repaired()
    read = repaired.feed(b'"\xff gr\xc3') + repaired.feed(b'\xbcn \xe2"') + repaired.flush()
    assert read.decode() == '"\ufffd grün \ufffd"'


@pytest.mark.parametrize("piece", [b"\\", b"\\ud83d", b"\\\\ud83d", b"\xff", b"x"])
def test_repairing_twice_as_much_takes_twice_the_time(piece: bytes) -> None:
    assert twice_the_length_costs(lambda content: Repaired().feed(content), lambda length: piece * length) < LINEAR


@given(strange_data.json_texts, st.booleans())
def test_any_line_is_a_message_or_none(line: str, as_answer: bool) -> None:
    if as_answer:
        line = f'{{"jsonrpc":"2.0","id":7,"result":{line}}}'
    message = read_message(line.encode("utf-8", "surrogatepass"), waiting=(7,))
    assert message is not None or not as_answer
    if message is not None:
        message.model_dump_json()


def test_lines_of_a_log_are_no_answers() -> None:
    for line in ("listening on 7", '{"id": 7, "level": "info"}', '{"jsonrpc": "2.0", "id": 7', '["result", {"id": 7}]'):
        assert read_message(line, waiting=(7,)) is None
    assert read_message('{"jsonrpc": "2.0", "id": 8, "result": {', waiting=(7,)) is None


async def test_answers_that_nobody_waits_for_do_not_make_room_for_more() -> None:
    from mcp.shared.message import SessionMessage
    from mcp_types import JSONRPCResponse

    flow = Flow(clock=lambda: 0.0)
    send, receive = anyio.create_memory_object_stream[Any](0)
    incoming = Incoming(receive, flow)

    async def flood() -> None:
        async with send:
            for number in range(3 * MESSAGES_AT_ONCE):
                await send.send(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=number, result={})))

    sending = asyncio.create_task(flood())
    read = [one async for one in incoming]
    sending.cancel()
    await asyncio.wait([sending])
    await incoming.aclose()
    assert len(read) <= MESSAGES_AT_ONCE
    assert "messages without an answer" in flow.violation


def test_a_budget_comes_back_with_time() -> None:
    now = [0.0]
    budget = Budget(NOTICES_AT_ONCE, 10, clock=lambda: now[0])
    assert sum(budget.take() for _ in range(1000)) == NOTICES_AT_ONCE
    now[0] = 2.0
    assert budget.has(20)
    assert not budget.has(21)
    assert sum(budget.take() for _ in range(1000)) == 20


async def test_the_first_and_the_last_word_of_progress_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    progress = Coalesced(heard.append)
    for step in range(1000):
        progress.hear(step)
    assert heard == [0]
    progress.end()
    assert heard == [0, 999]
    monkeypatch.setattr("worker_core.mcp.progress.WINDOW_SECONDS", 0.0)
    for step in range(3 * SOON):
        progress.hear(step)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    progress.end()
    assert len(heard) <= 2 + SOON + 2


def test_the_last_line_is_told_as_far_as_it_was_printed() -> None:
    tail = ErrorTail(lambda _: None)
    assert tail.last() == ""
    tail.feed(b"Downloading a\n\n")
    assert tail.last() == "Downloading a"
    tail.feed(b"b 10 %\rb 20 %\r")
    assert tail.last() == "b 20 %"
    tail.feed(b"swordfish" * 1000)
    assert tail.last() == "", "half a secret would not be masked"


def test_error_output_is_read_at_a_pace_and_kept_at_its_end() -> None:
    logged: list[str] = []
    tail = ErrorTail(logged.append)
    line = b"something is wrong\n"
    for _ in range(ERRORS_AT_ONCE // len(line * 1000)):
        tail.feed(line * 1000)
    assert tail.lines() == ["something is wrong"]
    assert tail.last() == "something is wrong"
    assert 100 <= len(logged) < 150
    flooding = threading.Thread(target=lambda: [tail.feed(b"x" * 65536) for _ in range(10_000)])
    flooding.start()
    flooding.join(0.5)
    assert flooding.is_alive(), "whoever prints so much waits"
    tail.stop()
    flooding.join(60)
    assert not flooding.is_alive()
