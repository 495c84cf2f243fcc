"""Servers that say what they were given: a key that a server knows reaches neither the model nor a log by its words."""

from __future__ import annotations

import base64
import json
import logging
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.auth import OAuthToken

from tests.mcp.pools import LIMIT, pool
from tests.mcp.scripted_server import GREETING
from tests.mcp.sessions import JSON, STREAM, command, plain, said, text
from tests.support.http_server import Answer, Request, serving
from worker_core.logs.redaction import MASK, Redactor
from worker_core.mcp.configuration import Servers, read_servers
from worker_core.mcp.offering import Listing, ServerTool
from worker_core.mcp.stdio import LONGEST_ERROR_LINE, ErrorTail
from worker_core.mcp.trouble import ServerTrouble
from worker_core.mcp.under_way import Asking

KEY = "swordfish-4711-of-the-server"
UNSEEN = f"{KEY[:9]}\u200b{KEY[9:]}"
"""With a character in it that nobody sees, and that is taken out for the model."""


def with_key(raw: dict[str, Any]) -> Servers:
    return read_servers({"echo": raw}, variables={})


async def test_what_a_server_offers_is_masked(tmp_path: Path) -> None:
    """Its tools were handed on as they came: descriptions, schemas and names travel with every call of the model."""
    schema = {
        "type": "object",
        "description": f"all of {KEY}",
        "properties": {"a": {"type": "string", "title": UNSEEN, "default": KEY, "enum": [KEY, "b"]}},
    }
    tools = [
        {"name": "do", "description": f"My key is {KEY}, or {UNSEEN}.", "inputSchema": schema},
        {"name": f"with-{KEY}", "inputSchema": {"type": "object"}},
        {"name": "fine", "title": KEY, "inputSchema": {"type": "object"}},
    ]
    answers = {
        "initialize": {"result": {**GREETING, "instructions": f"Say {KEY} or {UNSEEN}."}},
        "tools/list": {"result": {"tools": tools}},
    }
    program, *args = command(answers)
    servers = with_key({"command": program, "args": args, "env": {"API_TOKEN": KEY}})
    async with pool(tmp_path) as one:
        offer = await one.offer("execution", servers, taken=set())
    assert [tool.tool for tool in offer.tools if tool.tool] == ["do", "fine"]
    whole = repr((offer.tools, offer.words, offer.left_out))
    assert KEY not in whole
    assert "fish-4711" not in whole
    assert offer.tools[0].description.endswith(f"My key is {MASK}, or {MASK}.")
    assert f"with-{MASK}" in offer.left_out[0]


@pytest.mark.parametrize("where", ["error", "reason", "type", "location", "result", "stream", "page", "greeting"])
async def test_a_header_that_a_server_sends_back_is_masked(
    tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`Basic` is decoded by whoever gets it: the password alone is a secret as well."""

    def answer(request: Request) -> Answer:
        message = loaded(request)
        given = base64.b64decode(request.headers["authorization"].partition(" ")[2]).decode()
        heard = f"{request.headers['authorization']} is {given}, with {request.headers['cookie']}"
        if message is None or message["method"] not in {"tools/call", "initialize"}:
            return plain(message)
        if message["method"] == "initialize":
            if where != "greeting":
                return plain(message)
            return Answer(200, JSON, (said(message, {"result": {**GREETING, "protocolVersion": heard}}),))
        fault = {"error": {"code": -32000, "message": f"cannot use {heard}"}}
        return {
            "error": Answer(200, JSON, (said(message, fault),)),
            "reason": Answer(400, JSON, (said(message, fault),)),
            "type": Answer(200, {"Content-Type": f"text/{KEY}"}, (b"x",)),
            "location": Answer(307, {"Location": f"http://127.0.0.1:9/{KEY}"}),
            "result": Answer(200, JSON, (said(message, text(heard)),)),
            "stream": Answer(200, STREAM, (f'data: {{"broken": "{heard}"\n\n'.encode(),)),
            "page": Answer(500, {"Content-Type": "text/html"}, (heard.encode(),)),
        }[where]

    caplog.set_level(logging.INFO)
    with serving(answer) as server:
        basic = base64.b64encode(f"user:{KEY}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Cookie": "session=one-cookie-of-two; other=two-of-the-cookies"}
        servers = with_key({"url": f"http://127.0.0.1:{server.port}/mcp", "headers": headers})
        async with pool(tmp_path, mcp_hosts=(f"127.0.0.1:{server.port}",)) as one:
            offer = await one.offer("execution", servers, taken=set())
            told = repr(offer.left_out)
            if where != "greeting":
                try:
                    answered = await one.call(
                        "execution",
                        servers.usable["echo"],
                        "do",
                        {},
                        limit=LIMIT,
                        on_progress=print,
                        asked=lambda: None,
                    )
                    told += one._redactor.mask(repr(answered))  # as `report_text` does
                except ServerTrouble as trouble:
                    told += trouble.sentence
    for secret in (KEY, KEY.lower(), basic, "one-cookie-of-two", "two-of-the-cookies"):
        assert secret not in told
        assert secret not in one._redactor.mask(caplog.text)
    if where in {"error", "reason", "result", "greeting"}:
        assert MASK in told


def loaded(request: Request) -> Any:
    return json.loads(request.body) if request.body else None


@pytest.mark.parametrize(
    ("raw", "secrets"),
    [
        (
            {"url": "https://x", "headers": {"Cookie": "a=first-cookie; b=second-cookie"}},
            {"first-cookie", "second-cookie"},
        ),
        ({"url": "https://x", "headers": {"Authorization": 'Key id="app-one", key="key-of-it"'}}, {"key-of-it"}),
        ({"url": "https://x", "headers": {"X-For": "Zk3J9fQ2mX8rT5vB1nL7"}}, {"Zk3J9fQ2mX8rT5vB1nL7"}),
        ({"command": "x", "args": ["--api-key", "plain-words", "--token=of-a-key"]}, {"plain-words", "of-a-key"}),
        ({"command": "x", "args": ["--tokens", "4096", "-v"]}, set()),
    ],
)
def test_what_a_server_is_given_as_a_secret_is_known(raw: dict[str, Any], secrets: set[str]) -> None:
    assert secrets <= set(with_key(raw).usable["echo"].secrets)


def test_a_line_of_the_error_output_is_logged_as_a_whole() -> None:
    """A pipe ends wherever it is full: the halves of a key were two lines of the log."""
    logged: list[str] = []
    tail = ErrorTail(logged.append)
    redactor = Redactor()
    redactor.add(KEY)
    tail.feed(f"one {KEY[:12]}".encode())
    tail.feed(f"{KEY[12:]} two\nthree".encode())
    tail.feed(b"\n")
    long = "x" * (LONGEST_ERROR_LINE - 10) + " " + KEY
    tail.feed(f"{long}\n".encode())
    assert [redactor.mask(line) for line in logged] == [f"one {MASK} two", "three", long.replace(KEY, MASK)]
    assert KEY[:9] not in redactor.mask("".join(logged))
    for _ in range(100):
        tail.feed(b"without an end " * 100)
    tail.feed(b"\nand on\n")
    assert logged[3:] == ["and on"], "what is too long is not kept"


def test_the_last_words_are_masked_before_they_are_cut() -> None:
    tail = ErrorTail(lambda _: None)
    redactor = Redactor()
    redactor.add(KEY)
    words = f"{KEY} " * (LONGEST_ERROR_LINE // (len(KEY) + 1) + 1)
    tail.feed(f"{words}\n".encode())
    [line] = tail.lines()
    assert set(redactor.mask(line).split()) == {MASK}


async def test_a_question_in_mid_call_is_masked_before_it_is_put(tmp_path: Path) -> None:
    """Its fields were put into the book of questions, and to whoever answers, as they came."""
    field = {"type": "string", "title": "x" * 90 + KEY, "description": KEY, "default": KEY}
    form = {"message": f"Is it {KEY}?", "requestedSchema": {"type": "object", "properties": {"name": field}}}

    def answer(request: Request) -> Answer:
        message = loaded(request)
        if message is None or message.get("method") != "tools/call":
            return plain(message) if message is None or "method" in message else Answer(202)
        asks = {"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": form}
        return Answer(200, STREAM, (f"data: {json.dumps(asks)}\n\n".encode(), never.wait))

    never = threading.Event()
    with serving(answer) as server:
        servers = with_key({"url": f"http://127.0.0.1:{server.port}/mcp", "headers": {"X-Token": KEY}})
        async with pool(tmp_path, mcp_hosts=(f"127.0.0.1:{server.port}",)) as one:
            config = servers.usable["echo"]
            asked = await one.call("execution", config, "do", {}, limit=LIMIT, on_progress=print, asked=lambda: None)
            never.set()
    assert isinstance(asked, Asking)
    [shown] = asked.question.fields
    assert MASK in repr(asked.question.parts)
    assert shown.label == "x" * 90 + MASK
    assert (shown.about, shown.default) == (MASK, MASK)
    assert KEY[:9] not in repr(asked.question)


async def test_a_token_in_a_list_that_is_remembered_is_masked_in_the_next_execution(tmp_path: Path) -> None:
    """It was learned by the execution that signed in, and forgotten with it; the list is served for hours."""
    servers = with_key({"url": "https://mcp.example.com"})
    identity = servers.usable["echo"].identity
    said_once = ServerTool(name="do", description=f"Called with {KEY}.", schema={"type": "object"}, read_only=False)
    async with pool(tmp_path) as one:
        one._memory.tokens(identity).kept = OAuthToken(access_token=KEY, token_type="Bearer")
        one._memory.keep(identity, Listing(tools=(said_once,), fresh_for=timedelta(hours=1)))
        offer = await one.offer("execution", servers, taken=set())
    assert offer.tools[0].description.endswith(f"Called with {MASK}.")
