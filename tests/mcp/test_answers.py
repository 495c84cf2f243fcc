"""Which answer is whose: however its id is written, whatever else comes at the same time, and one after another."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mcp.pools import LIMIT, ask
from tests.mcp.sessions import JSON, STREAM, plain, remote, said, scripted, text
from tests.support.growth import LINEAR, twice_the_length_costs
from tests.support.http_server import Answer, Request
from worker_core.mcp.events import Events
from worker_core.mcp.pages import MOST_LISTED, MOST_PARTS
from worker_core.mcp.trouble import ServerTrouble
from worker_core.mcp.under_way import Called


async def test_an_answer_with_its_id_as_a_text_is_taken_apart_like_any_other(tmp_path: Path) -> None:
    """The SDK takes "7" for 7: such an answer went around every bound, and its tools were lost."""
    schema = {"type": "object"}
    tools = [{"name": f"tool-{number}", "inputSchema": schema} for number in range(2 * MOST_LISTED)]
    parts = [{"type": "text", "text": "."}] * (2 * MOST_PARTS)
    answers = {
        "tools/list": {"id": "text", "result": {"tools": ["no tool", *tools]}},
        "tools/call": {"id": "text", "result": {"content": parts}},
    }
    async with scripted(tmp_path, answers) as session:
        assert [tool.name for tool in (await session.tools()).tools] == [
            one["name"] for one in tools[: MOST_LISTED - 1]
        ]
        answered = await ask(session, "do")
    assert answered.startswith("." * MOST_PARTS + "[The server answered in")


async def test_an_answer_to_another_request_is_not_taken_for_the_one_that_the_stream_is_of(tmp_path: Path) -> None:
    """A stream is cut before the answer came, and when it is resumed, an older answer is replayed as well."""

    def answer(request: Request, message: Any) -> Answer | None:
        if request.headers.get("last-event-id") == "7":
            [*_, asked] = [json.loads(one.body) for one in server.requests if b"tools/call" in one.body]
            late = event({"id": 1}, "what another call brought", event_id="8"), event(asked, "resumed", event_id="9")
            return Answer(200, STREAM, late)
        if message is None or message["method"] != "tools/call":
            return None
        if message["params"]["arguments"].get("is_cut"):
            return Answer(200, STREAM, (b"id: 7\nretry: 1\ndata: \n\n",))
        return Answer(200, STREAM, (event({"id": "1"}, "what another call brought"), event(message, "at once")))

    async with remote(tmp_path, answer) as (session, server):
        assert await ask(session, "do") == "at once"
        assert await ask(session, "do", is_cut=True) == "resumed"


@pytest.mark.parametrize("retry", ["-5", "9" * 400, "soon"])
async def test_a_pause_that_nobody_can_make_is_made_as_long_as_usual(tmp_path: Path, retry: str) -> None:
    """It ended the connection, and with it every other call."""

    def answer(request: Request, message: Any) -> Answer | None:
        if request.headers.get("last-event-id") == "7":
            [*_, asked] = [json.loads(one.body) for one in server.requests if b"tools/call" in one.body]
            return Answer(200, STREAM, (event(asked, "resumed"),))
        if message is None or message["method"] != "tools/call":
            return None
        return Answer(200, STREAM, (f"id: 7\nretry: {retry}\ndata: \n\n".encode(),))

    async with remote(tmp_path, answer) as (session, server):
        assert await ask(session, "do") == "resumed"


async def test_the_stream_of_a_call_that_was_given_up_is_closed_and_not_resumed(tmp_path: Path) -> None:
    """The SDK went on with it, and resumed it whenever it was cut, for as long as the session lived."""
    given_up, closed = threading.Event(), threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            yield b"id: 1\nretry: 1\ndata: \n\n"
            given_up.wait()
            while True:
                yield b": still here\n\n"
                time.sleep(0.01)  # no haste: it is read piece by piece
        finally:
            closed.set()

    def answer(_: Request, message: Any) -> Answer | None:
        is_call = message is not None and message["method"] == "tools/call"
        return Answer(200, STREAM, cast("Any", endless())) if is_call else None

    async with remote(tmp_path, answer) as (session, server):
        with pytest.raises(ServerTrouble, match="did not answer the call"):
            await session.call("do", {}, limit=timedelta(seconds=1), on_progress=print, asked=lambda: None)
        given_up.set()
        assert await asyncio.to_thread(closed.wait, 60)
    assert not [one for one in server.requests if "last-event-id" in one.headers]


@pytest.mark.parametrize(
    "refusal", [b"", b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32001, "message": "Session not found"}}']
)
async def test_a_session_that_the_server_forgot_is_begun_anew_and_the_call_is_made_in_it(
    tmp_path: Path, refusal: bytes
) -> None:
    """404 is how a server says so: the call was not made. It was called refused, and so was every later one."""
    sessions, forgotten = 0, {"session-1"}

    def answer(request: Request, message: Any) -> Answer | None:
        nonlocal sessions
        if message is None or "id" not in message:
            return None
        if message["method"] == "initialize":
            sessions += 1
            return plain(message, **{"Mcp-Session-Id": f"session-{sessions}"})
        if message["method"] not in {"tools/call", "resources/read"}:
            return None
        if (session_id := request.headers["mcp-session-id"]) in forgotten:
            return Answer(404, JSON, (refusal,))
        contents = {"contents": [{"uri": "note:1", "text": session_id}]}
        return Answer(200, JSON, (said(message, {"result": contents} if "read" in message["method"] else text("x")),))

    begun: list[str] = []
    async with remote(tmp_path, answer) as (session, _):
        await session.tools()
        called = await session.call("do", {}, limit=LIMIT, on_progress=print, asked=lambda: begun.append("call"))
        assert isinstance(called, Called)
        forgotten.add("session-2")
        read = await session.read("note:1", limit=LIMIT, asked=lambda: begun.append("read"))
        assert getattr(read.contents[0], "text", "") == "session-3"
        assert session._starts == 1, "it was there all the time"
    assert begun == ["call", "read"], "each was begun once"


async def test_a_server_that_forgets_every_session_is_asked_twice(tmp_path: Path) -> None:
    calls = 0

    def answer(_: Request, message: Any) -> Answer | None:
        nonlocal calls
        if message is None or "id" not in message:
            return None
        if message["method"] == "initialize":
            return plain(message, **{"Mcp-Session-Id": "one"})
        if message["method"] != "tools/call":
            return None
        calls += 1
        return Answer(404)

    async with remote(tmp_path, answer) as (session, _):
        with pytest.raises(ServerTrouble, match="refused the call: Session terminated") as trouble:
            await ask(session, "do")
    assert not trouble.value.in_mid_call
    assert calls == 2


async def test_a_session_id_that_cannot_be_sent_back_is_told(tmp_path: Path) -> None:
    def answer(_: Request, message: Any) -> Answer | None:
        is_greeting = message is not None and message["method"] == "initialize"
        return plain(message, **{"Mcp-Session-Id": "gr\xfcn"}) if is_greeting else None

    async with remote(tmp_path, answer) as (session, _):
        with pytest.raises(ServerTrouble, match=r"cannot be used \(the id of its session \(Mcp-Session-Id\) has"):
            await session.tools()


def event(message: Any, words: str, *, event_id: str = "") -> bytes:
    """An answer to a message as one event."""
    number = f"id: {event_id}\n" if event_id else ""
    return f"{number}data: {said(message, text(words)).decode()}\n\n".encode()


# --- pieces ---------------------------------------------------------------------------------------------------

_LINES = st.sampled_from(
    [b"data: x", b"data:", b"id: 1", b"retry: 5", b"retry: -1", b": talk", b"event: message", b"", b'data: {"id":2}',
     b'data: {"id":2,"result":{}}', b'data: {"id":7,"result":{}}', b'data: {"id":"7","error":{}}']
)  # fmt: skip


@given(st.lists(st.tuples(_LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))), st.data())
def test_events_are_the_same_however_they_are_cut(lines: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    sent = b"".join(line + end for line, end in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=4)))
    events = Events(7)
    pieces = [events.feed(sent[a:b]) for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    cut, whole = b"".join([*pieces, events.flush()]), Events(7)
    assert read(cut) == read(whole.feed(sent) + whole.flush())
    assert b'{"id":2,"result":{}}' not in [one for one, _ in read(cut)]


def test_an_event_that_is_larger_than_any_may_be_is_not_kept() -> None:
    events, passed = Events(7), 0
    for _ in range(40):
        passed += len(events.feed(b"data: " + b"x" * 1_000_000))
    assert passed > 20_000_000
    assert events.feed(b'\n\ndata: {"id":7,"result":{}}\n\n').endswith(b'\n\ndata: {"id":7,"result":{}}\n\n')


@pytest.mark.parametrize("piece", [b"data: x\n", b"data: x\n\n", b"\r", b"x", b"retry: 5\n"])
def test_twice_as_many_events_take_twice_the_time(piece: bytes) -> None:
    assert twice_the_length_costs(lambda content: Events(7).feed(content), lambda length: piece * length) < LINEAR


def read(stream: bytes) -> list[tuple[bytes, bytes]]:
    """Data and last id of each event that has data, as the HTML standard reads a stream."""
    found: list[tuple[bytes, bytes]] = []
    data: list[bytes] = []
    last_id = b""
    for line in stream.splitlines():
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"id":
            last_id = value.removeprefix(b" ")
        elif not line and data:
            found.append((b"\n".join(data), last_id))
            data = []
    return found
