"""The scripted model: OpenAI's format on the wire, and its directives."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.playground import Stage
from worker_core.playground.script import Situation as Where
from worker_core.playground.script import parse, respond, words

SHELL = {"type": "function", "function": {"name": "shell", "parameters": {
    "type": "object", "properties": {"command": {"type": "string"}}}}}  # fmt: skip
WRITE = {"type": "function", "function": {"name": "write_file", "parameters": {
    "type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}}}}  # fmt: skip


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def ask(model: httpx2.AsyncClient, *messages: dict[str, Any], **more: Any) -> httpx2.Response:
    return await model.post("/chat/completions", json={"model": "scripted", "messages": list(messages), **more})


async def drive(model: httpx2.AsyncClient, text: str, *, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Play the agent loop: every tool answers `<name> ran`. The assistant's messages, in order."""
    messages: list[dict[str, Any]] = [user(text)]
    answers = []
    for _ in range(10):
        answer = (await ask(model, *messages, tools=tools)).json()["choices"][0]
        answers.append(answer["message"])
        messages.append(answer["message"])
        if answer["finish_reason"] == "stop":
            return answers
        for call in answer["message"]["tool_calls"]:
            output = f"{call['function']['name']} ran"
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": output})
    raise AssertionError("the conversation does not end")


async def test_an_ordinary_prompt_uses_the_tools_and_says_what_it_is(model: httpx2.AsyncClient) -> None:
    first, second, last = await drive(model, "What can you do?", tools=[WRITE, SHELL])
    assert "scripted model" in first["content"]
    assert "What can you do?" in first["content"]
    [shell], [write] = first["tool_calls"], second["tool_calls"]
    assert (shell["function"]["name"], write["function"]["name"]) == ("shell", "write_file")
    assert json.loads(shell["function"]["arguments"])["command"].startswith("echo ")
    assert "shell ran" in json.loads(write["function"]["arguments"])["content"]
    assert "shell ran" in last["content"]
    assert "write_file ran" in last["content"]
    [only] = await drive(model, "What can you do?", tools=[])
    assert "no tools" in only["content"]


async def test_the_openai_sdk_reads_its_stream(stage: Stage) -> None:
    async with openai.AsyncOpenAI(base_url=stage.info.llm_url, api_key=stage.info.llm_api_key) as client:
        assert [item.id async for item in client.models.list()] == ["scripted"]
        stream = await client.chat.completions.create(
            model="scripted", messages=[{"role": "user", "content": '!say a  b c\n!tool shell {"command": "x"}'}],
            stream=True, stream_options={"include_usage": True},
        )  # fmt: skip
        text, arguments, finish, usage, pieces = "", "", None, None, 0
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                text += choice.delta.content or ""
                pieces += bool(choice.delta.content)
                for call in choice.delta.tool_calls or []:
                    assert call.function is not None
                    arguments += call.function.arguments or ""
    assert (text, pieces, finish) == ("a  b c", 4, "tool_calls")
    assert json.loads(arguments) == {"command": "x"}
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_tools_in_sequence_and_in_parallel(model: httpx2.AsyncClient) -> None:
    text = 'please:\n!tool a {"n": 1}\n!tool b\n!parallel\n!tool c {}\n!tool d {}\n!say all done'
    answers = await drive(model, text, tools=[])
    names = [[call["function"]["name"] for call in answer.get("tool_calls", [])] for answer in answers]
    assert names == [["a"], ["b"], ["c", "d"], []]
    assert answers[-1]["content"] == "all done"
    assert answers[1]["tool_calls"][0]["function"]["arguments"] == "{}"
    summary = (await drive(model, "!tool a {}", tools=[]))[-1]["content"]
    assert "a ran" in summary


async def test_text_directives(model: httpx2.AsyncClient) -> None:
    async def said(*messages: dict[str, Any]) -> str:
        return str((await ask(model, *messages)).json()["choices"][0]["message"]["content"])

    assert await said(user("!instant")) == "ok"
    assert await said(user("!stream 3 0")) == "word1 word2 word3 "
    history = await said(user("one"), {"role": "assistant", "content": "x"}, user("two\n!history"))
    assert history.startswith("I have seen 2 user messages:\n1. one\n2. two")
    both = await said(user("!say first"), user([{"type": "text", "text": "!say second"}]))  # type: ignore[arg-type]
    assert both == "firstsecond"
    again = await said(user("!tool a {}"), {"role": "assistant", "content": "x"}, user("!say next turn"))
    assert again == "next turn"


async def test_errors_come_as_often_as_asked(model: httpx2.AsyncClient) -> None:
    text = f"{uuid4()}\n!error 429 7 times=2\n!say fine"
    answers = [await ask(model, user(text), stream=True) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert "message" in answers[0].json()["error"]
    for code in (401, 500):
        assert (await ask(model, user(f"!error {code}"))).status_code == code
    assert (await ask(model, user("!error nonsense"))).status_code == 500


@pytest.mark.parametrize("stream", [True, False])
async def test_broken_connections(model: httpx2.AsyncClient, stream: bool) -> None:
    text = f"{uuid4()}\n!break 3 times=1\n!stream 9 0"
    with pytest.raises(httpx2.RemoteProtocolError):
        await ask(model, user(text), stream=stream)
    answer = await ask(model, user(text), stream=stream)
    assert "word9" in answer.text


async def test_hanging_ends_with_the_caller(stage: Stage) -> None:
    mark = str(uuid4())
    async with stage.model_client() as model:
        with pytest.raises(httpx2.ReadTimeout):
            await model.post(
                "/chat/completions", json={"messages": [user(f"{mark}\n!hang 60")]}, timeout=httpx2.Timeout(5, read=0.2)
            )
    [call] = stage.model_calls(mark)
    assert call["outcome"] == "open"


async def test_the_log_proves_what_was_asked(model: httpx2.AsyncClient, stage: Stage) -> None:
    mark = str(uuid4())
    await drive(model, f'{mark}\n!tool shell {{"command": "x"}}', tools=[SHELL])
    await ask(model, user(f"{mark}\n!error 500"), metadata={"session_id": "s"})
    answer = await model.get("/calls")
    calls = [call for call in answer.json() if mark in call["first_user_message"]]
    assert calls == stage.model_calls(mark)
    assert [(call["step"], call["outcome"]) for call in calls] == [(0, "completed"), (1, "completed"), (0, "refused")]
    assert calls[0]["conversation"] == calls[1]["conversation"] != calls[2]["conversation"]
    assert len({call["fingerprint"] for call in calls}) == 3
    assert (calls[0]["tools"], calls[2]["metadata"]) == (["shell"], {"session_id": "s"})
    assert int(answer.headers["x-completed-calls"]) >= 2


async def test_only_its_own_key_opens_it(stage: Stage) -> None:
    async with httpx2.AsyncClient(base_url=stage.info.llm_url, trust_env=False) as client:
        for headers in ({}, {"Authorization": f"Bearer {stage.info.api_key}"}):
            for answer in (
                await client.get("/models", headers=headers),
                await client.get("/calls", headers=headers),
                await client.post("/chat/completions", headers=headers, json={"messages": []}),
            ):
                assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"messages": 1}', b'{"messages": [1]}', b"\xff"])
async def test_garbage_is_refused(model: httpx2.AsyncClient, content: bytes) -> None:
    assert (await model.post("/chat/completions", content=content)).status_code == 400


async def test_an_abandoned_stream_is_no_completed_call(model: httpx2.AsyncClient, stage: Stage) -> None:
    mark = str(uuid4())
    body = {"messages": [user(f"{mark}\n!stream 1000 50")], "stream": True}
    async with model.stream("POST", "/chat/completions", json=body) as response:
        await anext(response.aiter_lines())
    async with asyncio.timeout(60):
        while [call["outcome"] for call in stage.model_calls(mark)] != ["abandoned"]:
            await asyncio.sleep(0.02)


@given(st.text())
def test_words_join_to_the_text(text: str) -> None:
    assert "".join(words(text)) == text


LINES = st.lists(st.sampled_from([
    "!tool a {}", "!parallel", "!say x y", "!history", "!stream 2 1", "!instant", "!hang 1", "!error 500 times=1",
    "!break 1", "!error", "!break x", "!stream", "!tool", "!hang nan", "!stream inf 0", "text", "",
]) | st.text())  # fmt: skip


@given(LINES, st.integers(0, 20))
def test_every_conversation_has_a_next_response_and_an_end(lines: list[str], step: int) -> None:
    text = "\n".join(lines)
    messages: list[dict[str, Any]] = [user(text), *({"role": "assistant", "content": ""} for _ in range(step))]
    answer = respond(messages, [SHELL, WRITE])
    steps = parse(Where.of(messages))
    if steps is not None:
        assert not steps[-1].calls
        assert all(step.calls for step in steps[:-1])
    if step == 20 and len(lines) < 20:
        assert not answer.calls
    assert answer.hang_seconds >= 0
