"""The door to the model, on real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.support.playground import Stage
from tests.support.temporal import free_port
from worker_core.claude.door import BODY_LIMIT_BYTES, ModelDoor
from worker_core.model.gateway import ModelGateway
from worker_core.secrets import Secret

ASKED = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "!say through the door"}]}


async def at_once() -> None:
    """Nothing is paused."""


def door(stage: Stage, *, url: str = "", before: Callable[[], Awaitable[None]] = at_once) -> ModelDoor:
    gateway = ModelGateway(base_url=url or stage.info.llm_url, api_key=Secret(stage.info.llm_api_key))
    return ModelDoor(gateway, before_request=before)


async def ask(to: ModelDoor, path: str = "/v1/messages", **options: Any) -> httpx2.Response:
    options.setdefault("json", ASKED)
    async with httpx2.AsyncClient(trust_env=False, timeout=20) as client:
        return await client.post(
            f"http://127.0.0.1:{to.port}{path}", headers={"Authorization": f"Bearer {to.password}"}, **options
        )


async def test_it_adds_the_key_and_streams(stage: Stage) -> None:
    async with door(stage) as opened:
        answer = await ask(opened, "/v1/messages?beta=true")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    said = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(said) == "through the door"
    assert stage.info.llm_api_key not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    ("path", "password", "status"),
    [
        ("/v1/messages", "wrong", 401),
        ("/v1/messages", "", 401),
        ("/v1/models", None, 404),
        ("/chat/completions", None, 404),
        ("/v1/messages/../../api/v1/agents", None, 404),
        ("/v1/messages/batches", None, 404),
    ],
)
async def test_it_opens_for_its_own_and_for_two_paths(
    stage: Stage, path: str, password: str | None, status: int
) -> None:
    async with door(stage) as opened, httpx2.AsyncClient(trust_env=False) as client:
        token = opened.password if password is None else password
        request = client.build_request(
            "POST", f"http://127.0.0.1:{opened.port}", headers={"x-api-key": token}, json=ASKED
        )
        request.url = request.url.copy_with(raw_path=path.encode())
        assert (await client.send(request)).status_code == status


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nx-api-key: %s\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nx-api-key: %s\r\nContent-Length: "
        + b"%d" % (BODY_LIMIT_BYTES + 1)
        + b"\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nx-api-key: %s\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nx-api-key: %s\r\n\r\n",
        b"X" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_turned_away(stage: Stage, head: bytes) -> None:
    async with door(stage) as opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)
        writer.write(head.replace(b"%s", opened.password.encode()))
        status = (await reader.read(1000)).split(b" ")[1]
        writer.close()
        assert status in {b"400", b"413"}
        assert (await ask(opened)).status_code == 200, "it goes on"


async def test_a_gateway_that_is_not_there_is_said(stage: Stage) -> None:
    async with door(stage, url=f"http://127.0.0.1:{free_port()}/v1") as opened:
        answer = await ask(opened)
        assert answer.status_code == 502
        assert "cannot be reached" in opened.failure


async def test_a_redirect_is_not_followed(stage: Stage) -> None:
    asked: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            f"HTTP/1.1 307 X\r\nlocation: {elsewhere}/t0ken\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
        )
        writer.close()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    elsewhere = f"http://localhost:{port}"
    try:
        async with door(stage, url=f"http://127.0.0.1:{port}/v1") as opened:
            answer = await ask(opened)
    finally:
        server.close()
        await server.wait_closed()
    assert answer.status_code == 400
    assert len(asked) == 1
    assert "redirect to localhost (307)" in opened.failure
    assert "t0ken" not in opened.failure + answer.text


async def test_what_the_gateway_refuses_is_remembered(stage: Stage) -> None:
    async with door(stage) as opened:
        wish = {**ASKED, "messages": [{"role": "user", "content": "door refused\n!error 429 7"}]}
        answer = await ask(opened, json=wish)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        assert opened.failure == "The LLM gateway answered 429: Scripted error 429."
        await ask(opened)
        assert opened.failure == ""


async def test_requests_wait_while_the_execution_is_paused(stage: Stage) -> None:
    resumed = asyncio.Event()
    prompt = "door paused\n!say on"

    async def before() -> None:
        await resumed.wait()

    async with door(stage, before=before) as opened:
        asking = asyncio.create_task(ask(opened, json={**ASKED, "messages": [{"role": "user", "content": prompt}]}))
        await asyncio.wait([asking], timeout=0.3)
        assert stage.model_calls("door paused") == []
        resumed.set()
        assert (await asking).status_code == 200


async def test_closing_it_ends_what_streams(stage: Stage) -> None:
    wish = {**ASKED, "messages": [{"role": "user", "content": "door closes\n!stream 20000 20"}]}
    async with door(stage) as opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)
        body = json.dumps(wish).encode()
        head = f"POST /v1/messages HTTP/1.1\r\nx-api-key: {opened.password}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await reader.readuntil(b"word2")
    assert (await reader.read()).count(b"message_stop") == 0
    writer.close()
    async with asyncio.timeout(60):
        while stage.model_calls("door closes")[0]["outcome"] == "open":
            await asyncio.sleep(0.02)
    assert stage.model_calls("door closes")[0]["outcome"] == "abandoned"
