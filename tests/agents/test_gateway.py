"""The model gateway against a real socket that answers whatever a bad day brings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from worker_core.agents.gateway import Answer, GatewayError, ModelGateway
from worker_core.secrets import Secret

KEY = "sk-canary-123456"


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    body = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def streamed(*parts: bytes, length: int | None = None) -> bytes:
    body = b"".join(parts)
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
        + f"content-length: {length if length is not None else len(body)}\r\n\r\n".encode()
        + body
    )


def refused(status: int, *, headers: str = "", body: bytes = b'{"error":{"message":"no luck"}}') -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


DONE = b"data: [DONE]\n\n"


@asynccontextmanager
async def answering(response: bytes) -> AsyncIterator[tuple[ModelGateway, list[bytes]]]:
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l"))
        requests.append(head + await reader.readexactly(length))
        writer.write(response)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    gateway = ModelGateway(base_url=f"http://127.0.0.1:{port}/v1", api_key=Secret(KEY))
    try:
        yield gateway, requests
    finally:
        await gateway.aclose()
        server.close()
        await server.wait_closed()


async def ask(gateway: ModelGateway, **changes: Any) -> tuple[str, Answer]:
    answer = Answer()
    asked: dict[str, Any] = {
        "model": "scripted",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [],
        "model_config": {},
        **changes,
    }
    text = "".join([part async for part in gateway.stream(**asked, answer=answer)])
    return text, answer


async def test_text_tool_calls_and_usage_are_put_together_from_their_pieces() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    response = streamed(
        chunk({"role": "assistant", "content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "shell", "arguments": '{"comm'}}]}),
        chunk({"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "python", "arguments": "{}"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": 'and": "ls"}'}}]}),
        chunk({}, "tool_calls"),
        chunk({}, usage=usage).replace(
            b'"choices": [{"index": 0, "delta": {}, "finish_reason": null}]', b'"choices": []'
        ),
        DONE,
    )
    async with answering(response) as (gateway, requests):
        text, answer = await ask(gateway, model_config={"temperature": 0.2, "max_tokens": None, "unknown": 1})
    assert text == answer.content == "Hello"
    assert [(call.call_id, call.name, call.arguments) for call in answer.tool_calls] == [
        ("c1", "shell", '{"command": "ls"}'),
        ("c2", "python", "{}"),
    ]
    assert answer.usage.total_tokens == 10
    assert answer.finish_reason == "tool_calls"
    sent = json.loads(requests[0].partition(b"\r\n\r\n")[2])
    assert sent["temperature"] == 0.2
    assert sent["stream"] is True
    assert not {"unknown", "max_tokens", "tools"} & set(sent)
    assert f"Bearer {KEY}".encode() in requests[0]


@pytest.mark.parametrize(
    ("response", "said", "retryable"),
    [
        (refused(401), "refused the key", False),
        (refused(403), "refused the key", False),
        (refused(400), "did not accept the request for model scripted", False),
        (refused(404), "did not accept", False),
        (refused(429, headers="retry-after: 7\r\n"), "fewer requests", True),
        (refused(500), r"failed \(500\)", True),
        (refused(502, body=b"<html>bad gateway</html>"), r"failed \(502\)", True),
        (streamed(chunk({"content": "par"}), length=4000), "broke off", True),
        (streamed(chunk({"content": "par"}), DONE), "without a finish reason", True),
        (streamed(chunk({"content": "par"}), b"data: {not json\n\n"), "not valid", True),
        (streamed(b'data: {"error": {"message": "overloaded", "code": 529}}\n\n'), "overloaded", True),
        (b"garbage\r\n\r\n", "cannot be reached|broke off", True),
        (b"", "cannot be reached|broke off", True),
    ],
)
async def test_each_failure_is_one_sentence_and_says_whether_to_try_again(
    response: bytes, said: str, retryable: bool
) -> None:
    async with answering(response) as (gateway, requests):
        with pytest.raises(GatewayError, match=said) as caught:
            await ask(gateway)
    assert caught.value.retryable is retryable
    assert KEY not in caught.value.sentence
    assert len(requests) == 1, "the SDK must not retry by itself"
    if "fewer" in said:
        assert caught.value.retry_after_seconds == 7.0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_told_and_not_followed(status: int) -> None:
    async with answering(streamed(chunk({"content": "taken"}, "stop"), DONE)) as (elsewhere, stolen):
        target = elsewhere.base_url.replace("127.0.0.1", "localhost") + "/t0ken-in-the-path"
        async with answering(refused(status, headers=f"location: {target}\r\n")) as (gateway, requests):
            with pytest.raises(GatewayError, match=rf"redirect to localhost \({status}\)") as caught:
                await ask(gateway)
    assert (len(requests), stolen) == (1, [])
    assert not caught.value.retryable
    assert "t0ken" not in caught.value.sentence


@pytest.mark.parametrize("location", ["", "location: http://[x/\r\n", "location: /elsewhere\r\n"])
async def test_a_redirect_to_nowhere_is_told_as_well(location: str) -> None:
    async with answering(refused(302, headers=location)) as (gateway, requests):
        with pytest.raises(GatewayError, match=r"answered with a redirect \(302\)"):
            await ask(gateway)
    assert len(requests) == 1


async def test_nobody_listens() -> None:
    async with answering(b"") as (gateway, _):
        pass
    silent = ModelGateway(base_url=gateway.base_url, api_key=Secret(KEY))
    with pytest.raises(GatewayError, match="cannot be reached") as caught:
        await ask(silent)
    await silent.aclose()
    assert caught.value.category == "network"


async def test_without_a_key_nothing_is_sent() -> None:
    with pytest.raises(GatewayError, match="LITELLM_API_KEY") as caught:
        await ask(ModelGateway(base_url="http://127.0.0.1:1", api_key=Secret("")))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("status", "body", "full"),
    [
        (400, {"error": {"message": "This model's maximum context length is 8192 tokens", "code": None}}, True),
        (400, {"error": {"message": "no", "code": "context_length_exceeded"}}, True),
        (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}}, True),
        (413, {"error": {"message": "too large"}}, True),
        (400, {"error": {"message": "unknown parameter"}}, False),
    ],
)
async def test_a_conversation_that_is_too_long_is_told_apart(status: int, body: dict[str, object], full: bool) -> None:
    async with answering(refused(status, body=json.dumps(body).encode())) as (gateway, _):
        with pytest.raises(GatewayError) as caught:
            await ask(gateway)
    assert (caught.value.context_full, caught.value.retryable) == (full, False)
