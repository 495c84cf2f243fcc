"""The model gateway against a real socket that answers whatever a bad day brings."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from worker_core.model.answer import Answer
from worker_core.model.gateway import ModelGateway, ModelRequest
from worker_core.model.reader import LARGEST_ANSWER_BYTES, AnswerReader
from worker_core.model.refusals import Cause, GatewayError
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


def document(body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


DONE = b"data: [DONE]\n\n"


@asynccontextmanager
async def answering(*responses: bytes) -> AsyncIterator[tuple[ModelGateway, list[bytes]]]:
    """One response after the other, the last one again and again."""
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l")]
        length = lengths[0] if lengths else 0
        requests.append(head + await reader.readexactly(length))
        with contextlib.suppress(ConnectionError):
            writer.write(responses[min(len(requests), len(responses)) - 1])
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
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


async def ask(gateway: ModelGateway, *, told: list[str] | None = None, **changes: Any) -> tuple[str, Answer]:
    asked: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}], **changes}
    reader = AnswerReader()
    heard = [] if told is None else told
    text = "".join([part async for part in gateway.stream(ModelRequest(**asked), reader, tell=heard.append)])
    return text, reader.answer()


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
        text, answer = await ask(gateway, options={"temperature": 0.2})
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
    assert "tools" not in sent
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
        (streamed(chunk({"content": "par"})), "without a finish reason", True),
        (streamed(chunk({"content": "par"}), b"data: {not json\n\n"), "not valid", True),
        (streamed(b'data: {"error": {"message": "overloaded", "code": 529}}\n\n'), "overloaded", True),
        (streamed(b'event: error\ndata: {"message": "out of order"}\n\n'), "out of order", True),
        (streamed(chunk({"content": "par"}), b'data: {"error": "out of order"}\n\n'), "out of order", True),
        (streamed(b"data: [1]\n\n"), "not valid", True),
        (document(b"<html><title>Sign in</title></html>"), "HTML page titled “Sign in”.*address", False),
        (document(b'{"error": {"message": "out of order"}}'), "out of order", True),
        (document(b'{"nothing": 1'), "not valid", True),
        (b"garbage\r\n\r\n", "does not speak HTTP", True),
        (b"", "broke off", True),
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
    assert "again" not in caught.value.sentence, "who calls decides that"
    assert len(requests) == 1
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
    with pytest.raises(GatewayError, match="nothing listens there") as caught:
        await ask(silent)
    await silent.aclose()
    assert caught.value.category == "network"


@pytest.mark.parametrize("key", ["sk-ca\nnary", "sk-canäry", "sk-canary\x00"])
async def test_a_key_that_cannot_be_one_is_refused_and_not_repeated(key: str) -> None:
    async with answering(streamed(chunk({"content": "hi"}, "stop"), DONE)) as (gateway, requests):
        with pytest.raises(GatewayError, match="gave for the LLM gateway is no key") as caught:
            await ask(ModelGateway(base_url=gateway.base_url, api_key=Secret(key)))
    assert requests == []
    assert not caught.value.retryable
    assert "nary" not in caught.value.sentence


async def test_white_space_around_the_key_is_taken_off() -> None:
    async with answering(streamed(chunk({"content": "hi"}, "stop"), DONE)) as (gateway, requests):
        trimmed = ModelGateway(base_url=gateway.base_url, api_key=Secret(f" {KEY}\n"))
        assert trimmed.serves(gateway.base_url, Secret(f"{KEY}\n"))
        await ask(trimmed)
        await trimmed.aclose()
    assert f"Bearer {KEY}\r\n".encode() in requests[0]


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
    assert (caught.value.cause is Cause.CONTEXT_FULL, caught.value.retryable) == (full, False)


WHOLE = b'{"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}'


@pytest.mark.parametrize(
    "response",
    [
        streamed(chunk({"content": "Hel"}), chunk({"content": "lo"}), DONE),  # without a reason for its end
        streamed(chunk({"content": "Hello"}, "stop")),  # without the last line
        streamed(b": ping\n\n", b"data:\n\n", chunk({"content": "Hello"}, "stop"), DONE),
        streamed(chunk({"content": "Hello"}, "stop"), DONE).replace(b"text/event-stream", b"text/plain"),
        streamed(chunk({"content": "Hello"}, "stop"), DONE).replace(b"text/event-stream", b"application/json"),
        document(WHOLE),
        document(b" \n" + WHOLE, "text/plain"),
        streamed(b"data: " + WHOLE + b"\n\n", DONE),
    ],
)
async def test_an_answer_is_read_however_it_is_wrapped(response: bytes) -> None:
    async with answering(response) as (gateway, _):
        text, answer = await ask(gateway)
    assert text == answer.content == "Hello"


def sent(request: bytes) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.partition(b"\r\n\r\n")[2])
    return body


def refused_for(message: str, param: str | None = None) -> bytes:
    return refused(400, body=json.dumps({"error": {"message": message, "param": param}}).encode())


OK = streamed(chunk({"content": "Hello"}, "stop"), DONE)


async def test_an_option_that_is_refused_by_name_is_left_out_and_told_once() -> None:
    told: list[str] = []
    asked = {"max_tokens": 500, "temperature": 0.2, "seed": 1}
    first = refused_for("Use 'max_completion_tokens' instead.", "max_tokens")
    second = refused_for("does not support parameters: ['temperature']")
    async with answering(first, second, OK) as (gateway, requests):
        assert (await ask(gateway, options=asked, told=told))[0] == "Hello"
        assert (await ask(gateway, options=asked, told=told))[0] == "Hello"
    bodies = [sent(request) for request in requests]
    assert [("max_tokens" in body, "max_completion_tokens" in body, "temperature" in body) for body in bodies] == [
        (True, False, True), (False, True, True), (False, True, False), (False, True, False),
    ]  # fmt: skip
    assert all(body["seed"] == 1 for body in bodies)
    assert [sentence.split("setting ")[1] for sentence in told] == [
        "max_tokens; max_completion_tokens is sent instead.",
        "temperature; it is left out.",
    ]


async def test_a_server_that_refuses_everything_is_not_asked_for_ever() -> None:
    async with answering(refused_for("'temperature', 'seed', 'max_tokens': unknown", "temperature")) as (
        gateway,
        requests,
    ):
        with pytest.raises(GatewayError, match="did not accept"):
            await ask(gateway, options={"max_tokens": 500, "temperature": 0.2, "seed": 1})
    assert len(requests) == 4


async def test_what_came_with_an_answer_is_left_out_where_it_is_refused() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "shell", "arguments": "{}"}, "extra_content": {"x": 1}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"},
        {"role": "tool", "tool_call_id": "c", "content": "done"},
    ]
    told: list[str] = []
    refusal = refused_for("messages.1.reasoning_content: Extra inputs are not permitted")
    async with answering(refusal, OK) as (gateway, requests):
        await ask(gateway, messages=messages, told=told)
    first, second = (sent(request)["messages"] for request in requests)
    assert first == messages
    assert "reasoning_content" not in second[1]
    assert second[1]["tool_calls"] == [{key: call[key] for key in ("id", "type", "function")}]
    assert len(told) == 1


@pytest.mark.parametrize("pieces", [1, 10_000])
async def test_megabytes_are_cut_while_they_come_and_are_an_answer(pieces: int) -> None:
    parts = [chunk({"content": "x" * (5_000_000 // pieces)})] * pieces
    async with answering(streamed(*parts, chunk({}, "stop"), DONE)) as (gateway, requests):
        text, answer = await ask(gateway)
    assert answer.shortened
    assert len(text) <= LARGEST_ANSWER_BYTES
    assert (len(requests), bool(text)) == (1, pieces > 1)


async def test_a_key_that_is_repeated_in_a_refusal_is_masked() -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    async with answering(refused(401, body=body)) as (gateway, _):
        with pytest.raises(GatewayError, match=r"provided: \*\*\*") as caught:
            await ask(gateway)
    assert KEY not in caught.value.sentence


async def test_the_query_of_an_address_stays_behind_the_path() -> None:
    async with answering(OK) as (gateway, requests):
        gateway.base_url += "?api-version=1"
        await ask(gateway)
    assert requests[0].startswith(b"POST /v1/chat/completions?api-version=1 HTTP/1.1")


async def test_what_is_sent_can_be_encoded_whatever_it_holds() -> None:
    async with answering(OK) as (gateway, requests):
        await ask(gateway, messages=[{"role": "user", "content": "a\ud83d"}])
    assert sent(requests[0])["messages"][0]["content"] == "a\ufffd"


async def test_the_gateways_own_list_says_what_a_model_is_called() -> None:
    listed = document(b'{"data": [{"id": "openai/x"}, {"id": "y"}]}')
    async with answering(listed) as (gateway, requests):
        assert await gateway.lists("openai/x")
        assert not await gateway.lists("x")
    assert len(requests) == 1
    async with answering(refused(404)) as (gateway, _):
        assert not await gateway.lists("openai/x")


def test_causes_say_what_follows_from_them() -> None:
    assert {cause for cause in Cause if cause.retryable} == {Cause.FAILED, Cause.BUSY}
    assert {cause for cause in Cause if cause.passing} == {Cause.FAILED, Cause.BUSY, Cause.ACCOUNT}


async def test_a_stream_that_says_nothing_is_broken_off() -> None:
    async with answering(streamed(b": thinking\n" * 100_000)) as (gateway, _):
        with pytest.raises(GatewayError, match="held no event"):
            await ask(gateway)


@pytest.mark.parametrize("event", [b"data: {}\n\n", b'data: {"choices": []}\n\n'])
async def test_events_without_end_leave_the_loop_to_others_again_and_again(
    event: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many come at once: nobody waits until a whole block of them is read."""
    monkeypatch.setattr("worker_core.basics.pace.AT_ONCE_SECONDS", 0.0)  # as if each took long
    monkeypatch.setattr("worker_core.basics.pace.REST", 0.0)
    turns, number = 0, 5_000

    async def wait_in_turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with answering(streamed(event * number, chunk({"content": "over"}, "stop"), DONE)) as (gateway, _):
        waiting = asyncio.create_task(wait_in_turn())
        text, _ = await ask(gateway)
        waiting.cancel()
    assert text == "over"
    assert turns >= number
