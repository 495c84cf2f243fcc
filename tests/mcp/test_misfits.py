"""Servers whose answers are not of the protocol's form: the sentence names the place, in words of ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.pools import LIMIT, ask
from tests.mcp.scripted_server import GREETING
from tests.mcp.sessions import remote, scripted
from tests.support.http_server import Answer, Request
from worker_core.mcp.trouble import ServerTrouble

_FOREIGN = re.compile(r"pydantic|validation error|input_value|Traceback|InitializeResult|CallToolResult|https://")


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in GREETING.items() if name != key}


@pytest.mark.parametrize(
    ("greeting", "why"),
    [
        ({**GREETING, "serverInfo": None}, "in its answer, `serverInfo` is null where an object belongs"),
        (without("serverInfo"), "in its answer, `serverInfo` is missing"),
        (
            {**GREETING, "serverInfo": {"name": 5, "version": "1"}},
            "in its answer, `serverInfo.name` is a number where a text belongs",
        ),
        ({**GREETING, "capabilities": None}, "in its answer, `capabilities` is null where an object belongs"),
        ({**GREETING, "capabilities": []}, "in its answer, `capabilities` is a list where an object belongs"),
        (
            {**GREETING, "capabilities": {"tools": "yes"}},
            "in its answer, `capabilities.tools` is a text where an object belongs",
        ),
        ({**GREETING, "protocolVersion": 20250618}, "in its answer, `protocolVersion` is a number where a text"),
        (without("protocolVersion"), "in its answer, `protocolVersion` is missing"),
        ({**GREETING, "instructions": True}, "in its answer, `instructions` is a boolean where a text belongs"),
        (None, "its answer is no message of the protocol"),
        (
            {**GREETING, "protocolVersion": "1999-01-01"},
            "it speaks the revision '1999-01-01' of the protocol, which this worker does not know",
        ),
    ],
)
async def test_a_greeting_of_another_form_is_told_by_its_place(tmp_path: Path, greeting: Any, why: str) -> None:
    async with scripted(tmp_path, {"initialize": {"result": greeting}}) as session:
        with pytest.raises(ServerTrouble, match=re.escape(f"cannot be used ({why}")) as trouble:
            await session.tools()
    assert not _FOREIGN.search(trouble.value.sentence)


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({}, "`content` is missing"),
        ({"content": "x"}, "`content` is a text where a list belongs"),
        ({"content": [{"type": "text", "text": 5}]}, "`content[0]` is nothing that the protocol knows there"),
        ({"content": [], "structuredContent": 5}, "`structuredContent` is a number where an object belongs"),
        ({"content": [], "isError": "maybe"}, "`isError` is a text where true or false belongs"),
    ],
)
async def test_a_result_of_another_form_is_told_by_its_place(tmp_path: Path, result: Any, why: str) -> None:
    async with scripted(tmp_path, {"tools/call": {"result": result}}) as session:
        with pytest.raises(ServerTrouble, match=re.escape(f"(in its answer, {why})")) as trouble:
            await ask(session, "do")
    assert trouble.value.in_mid_call
    assert not _FOREIGN.search(trouble.value.sentence)


async def test_a_resource_of_another_form_is_told_by_its_place(tmp_path: Path) -> None:
    async with scripted(tmp_path, {"resources/read": {"result": {"contents": [{"uri": 5}]}}}) as session:
        with pytest.raises(ServerTrouble, match=r"`contents\[0\]` is nothing that the protocol knows there") as trouble:
            await session.read("note:1", limit=LIMIT, asked=lambda: None)
    assert not _FOREIGN.search(trouble.value.sentence)


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/html", "secret/swordfish"])
async def test_what_is_no_message_over_http_is_told_without_its_words(tmp_path: Path, kind: str) -> None:
    """The SDK writes a type of content in small letters, in which no mask finds a key."""

    def answer(_: Request, message: Any) -> Answer | None:
        if message is None or message["method"] != "tools/call":
            return None
        return Answer(200, {"Content-Type": kind}, (b'data: {"jsonrpc": 7, "of": "swordfish"}\n\n',))

    async with remote(tmp_path, answer) as (session, _):
        with pytest.raises(ServerTrouble, match="is no message of the protocol") as trouble:
            await ask(session, "do")
    assert trouble.value.in_mid_call
    assert "swordfish" not in trouble.value.sentence
    assert not _FOREIGN.search(trouble.value.sentence)


async def test_a_key_in_the_revision_is_masked_before_it_is_cut(tmp_path: Path) -> None:
    key = "a-key-of-forty-characters-that-is-no-word"
    greeting = {**GREETING, "protocolVersion": "9" * 40 + key}
    async with scripted(
        tmp_path, {"initialize": {"result": greeting}}, mask=lambda text: text.replace(key, "***")
    ) as session:
        with pytest.raises(ServerTrouble) as trouble:
            await session.tools()
    assert key[:10] not in trouble.value.sentence
    assert "***" in trouble.value.sentence
