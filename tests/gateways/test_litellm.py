"""Executions through a real LiteLLM proxy, whose provider is ours and as difficult as providers are."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest

from tests.gateways.conftest import Worker, told
from tests.gateways.upstream import Claude, Upstream, claude_refuses
from tests.support.engine import new_agent
from tests.support.model_server import Reply, delta, refusal, stream, text
from tests.support.playground import Stage

SHELL = json.dumps({"command": "echo hi"})


def agent(stage: Stage, model: str, **fields: Any) -> Any:
    return new_agent(stage, skills=("shell",), model_id=model, **fields)


async def test_claude_with_thinking_makes_three_calls_in_a_row(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream
) -> None:
    """As Anthropic: an assistant that calls a tool without its signed thoughts before it is refused."""

    def rule(path: str, body: dict[str, Any]) -> Reply:
        assert path.startswith("/v1/messages")
        before = [message for message in body["messages"] if message["role"] == "assistant"]
        for number, message in enumerate(before):
            first = message["content"][0]
            if first["type"] != "thinking":
                return claude_refuses(
                    400, f"messages.1.content.0.type: Expected `thinking`, but found `{first['type']}`"
                )
            if (first["thinking"], first["signature"]) != (f"thought {number}", f"sig{number}"):
                return claude_refuses(400, "messages.1.content.0: Invalid `signature` in `thinking` block")
        if len(before) == 3:
            return Claude().says("three done").ends("end_turn")
        number = len(before)
        thinks = Claude().thinks(f"thought {number}", f"sig{number}")
        return thinks.calls(f"toolu_{number}", "shell", SHELL).ends("tool_use")

    upstream.answers(rule)
    async with worker(litellm) as rig:
        agent_id = await agent(stage, "claude", llm_config={"reasoning_effort": "low"})
        execution_id = await rig.execute("think", agent_id=agent_id)
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "three done", record.error_message
        assert len(await rig.sent(execution_id, "tool_completed")) == 3
    assert all(body["thinking"]["type"] == "enabled" for _, body in upstream.asked)


async def test_deepseeks_reasoning_comes_back_with_its_calls(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream
) -> None:
    def rule(path: str, body: dict[str, Any]) -> Reply:
        for message in body["messages"]:
            if message.get("tool_calls") and message.get("reasoning_content") != "I think":
                return refusal(400, "The `reasoning_content` in the thinking mode must be passed back to the API.")
        if any(message["role"] == "tool" for message in body["messages"]):
            return text("there")
        call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "shell", "arguments": SHELL}}
        return stream(
            delta(reasoning_content="I th"),
            delta(reasoning_content="ink"),
            delta(tool_calls=[call]),
            delta("tool_calls"),
        )

    upstream.answers(rule)
    async with worker(litellm) as rig:
        execution_id = await rig.execute("go", agent_id=await agent(stage, "deepseek"))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "there", record.error_message
        assert (await rig.turn(execution_id, "again")).response == "there"


async def test_a_call_that_max_tokens_cuts_does_not_lose_the_conversation(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream
) -> None:
    """LiteLLM asks for 4096 tokens where it does not know a model of Anthropic's."""
    limits: list[int] = []

    def rule(path: str, body: dict[str, Any]) -> Reply:
        limits.append(body["max_tokens"])
        if "Write less at once" in json.dumps(body["messages"]):
            return Claude().says("smaller then").ends("end_turn")
        cut = Claude().calls("toolu_1", "shell", '{"command": "echo ' + "x" * 200)
        return cut.uses(output_tokens=body["max_tokens"]).ends("max_tokens")

    upstream.answers(rule)
    async with worker(litellm) as rig:
        execution_id = await rig.execute("write", agent_id=await agent(stage, "claude-unknown"))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "smaller then", record.error_message
    assert limits == [4096, 32_000, 4096]


FULL = [
    ("claude", claude_refuses(400, "prompt is too long: 210000 tokens > 200000 maximum")),
    ("claude", claude_refuses(400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000")),
    ("gpt", refusal(400, "This model's maximum context length is 8192 tokens.", code="context_length_exceeded",
                    type="invalid_request_error")),
    ("local", refusal(400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
                      type="BadRequestError", code=400)),
]  # fmt: skip


@pytest.mark.parametrize(("model", "full"), FULL)
async def test_a_full_context_is_summarised_and_the_turn_goes_on(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream, model: str, full: Reply
) -> None:
    def said(words: str) -> Reply:
        return Claude().says(words).ends("end_turn") if model == "claude" else text(words)

    def rule(path: str, body: dict[str, Any]) -> Reply:
        size = len(json.dumps(body["messages"]))
        if size > 6_000:
            return full
        return said("a summary" if "Write a summary" in json.dumps(body["messages"][-1]) else "there")

    upstream.answers(rule)
    async with worker(litellm) as rig:
        execution_id = await rig.execute("x" * 3_000, agent_id=await agent(stage, model))
        await rig.reach(execution_id, "waiting_for_input", "failed")
        for number in range(5):
            record = await rig.turn(execution_id, f"{number} " + "y" * 3_000)
            assert (record.status, record.response) == ("waiting_for_input", "there"), record.error_message


async def test_two_calls_with_one_number_are_two_calls(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream
) -> None:
    def part(call_id: str, word: str) -> dict[str, Any]:
        arguments = json.dumps({"command": f"echo {word}"})
        return {"index": 0, "id": call_id, "type": "function", "function": {"name": "shell", "arguments": arguments}}

    both = stream(delta(tool_calls=[part("c1", "one")]), delta(tool_calls=[part("c2", "two")]), delta("tool_calls"))
    upstream.answers([both, text("there")])
    async with worker(litellm) as rig:
        execution_id = await rig.execute("go", agent_id=await agent(stage, "local"))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "there", record.error_message
        completed = [event["data"]["tool_output"] for event in await rig.sent(execution_id, "tool_completed")]
        assert completed == ["one\n", "two\n"]


async def test_calls_that_are_no_json_do_not_lose_the_conversation(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream
) -> None:
    """LiteLLM reads the arguments of earlier calls for Anthropic, and refuses what is no JSON by itself."""
    wrong = Claude().calls("toolu_1", "shell", '{"command": "a"}{"command": "b"}').ends("tool_use")
    upstream.answers([wrong, Claude().says("there").ends("end_turn")])
    async with worker(litellm) as rig:
        execution_id = await rig.execute("go", agent_id=await agent(stage, "claude"))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "there", record.error_message


async def test_a_rate_limit_is_waited_for(stage: Stage, worker: Worker, litellm: str, upstream: Upstream) -> None:
    seconds = 90 if os.environ.get("KUBIYA_SLOW_TESTS") else 3
    free_at = time.monotonic() + seconds

    def rule(path: str, body: dict[str, Any]) -> Reply:
        left = free_at - time.monotonic()
        if left > 0:
            return claude_refuses(429, "This would exceed the limit.", "rate_limit_error", retry_after=f"{left:.0f}")
        return Claude().says("there").ends("end_turn")

    upstream.answers(rule)
    async with worker(litellm) as rig:
        execution_id = await rig.execute("go", agent_id=await agent(stage, "claude"))
        record = await rig.reach(execution_id, "waiting_for_input", "failed", limit=seconds + 60)
        assert record.response == "there", record.error_message
        for sentence in await told(rig, execution_id):
            assert "asks for fewer requests (429): This would exceed the limit. Waiting until" in sentence


REFUSALS = [
    ("gpt", refusal(429, "You exceeded your current quota, please check your plan and billing details.",
                    type="insufficient_quota", code="insufficient_quota"), "waiting_for_input",
     "used up: You exceeded your current quota, please check your plan and billing details."),
    ("claude", claude_refuses(400, "Your credit balance is too low to access the Anthropic API."), "waiting_for_input",
     "is used up: Your credit balance is too low to access the Anthropic API."),
    ("claude", claude_refuses(401, "invalid x-api-key", "authentication_error"), "failed",
     "could not sign in at the provider behind it (401): invalid x-api-key. That is for whoever runs the gateway"),
    ("claude", claude_refuses(400, "tools.0.custom.name: String should match pattern"), "failed",
     "did not accept the request for model claude (400): tools.0.custom.name: String should match pattern."),
    ("no-such-model", text("never"), "failed", "does not offer the model no-such-model to this key"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "reply", "status", "sentence"), REFUSALS)
async def test_refusals_are_told_in_the_providers_own_words(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream, model: str, reply: Reply, status: str, sentence: str
) -> None:
    upstream.answers([reply])
    async with worker(litellm) as rig:
        execution_id = await rig.execute("go", agent_id=await agent(stage, model))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        [said] = await told(rig, execution_id)
    assert record.status == status
    assert sentence in said
    for wrapping in ("litellm.", "Exception", "b'", "Model Group", "Error code", "\n"):
        assert wrapping not in said


async def test_a_setting_that_a_model_does_not_take_is_left_out(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream
) -> None:
    upstream.answers([text("there")])
    async with worker(litellm) as rig:
        agent_id = await agent(stage, "gpt-5", llm_config={"temperature": 0.2, "max_tokens": 900})
        execution_id = await rig.execute("go", agent_id=agent_id)
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "there", record.error_message
        assert any("does not take the setting temperature" in sentence for sentence in await told(rig, execution_id))
    assert [body.get("temperature") for _, body in upstream.asked] == [None]


async def test_a_model_by_the_name_that_the_gateway_lists(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream
) -> None:
    upstream.answers([text("there")])
    async with worker(litellm) as rig:
        for model in ("openai/gpt", "openai/local"):
            record = await rig.reach(
                await rig.execute("go", agent_id=await agent(stage, model)), "waiting_for_input", "failed"
            )
            assert record.response == "there", record.error_message
    assert [body["model"] for _, body in upstream.asked] == ["gpt-4o-mini", "some-model"]


ENDINGS = [
    ("gpt", text("half", "length"), "half", "cut at the model's output limit"),
    ("gpt", text("half", "content_filter"), "half", "content filter"),
    ("gpt", stream(delta("stop")), "answered nothing", "answered nothing"),
    ("claude", Claude().ends("end_turn"), "answered nothing", "answered nothing"),
    ("claude", Claude().says("I may not.").ends("refusal"), "I may not.", "content filter"),
]


@pytest.mark.parametrize(("model", "reply", "response", "sentence"), ENDINGS)
async def test_no_ending_is_silent(
    stage: Stage,
    worker: Worker,
    litellm: str,
    upstream: Upstream,
    model: str,
    reply: Reply,
    response: str,
    sentence: str,
) -> None:
    upstream.answers([reply])
    async with worker(litellm) as rig:
        execution_id = await rig.execute("go", agent_id=await agent(stage, model))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.status == "waiting_for_input", record.error_message
        assert response in record.response
        assert any(sentence in one for one in await told(rig, execution_id))


async def test_megabytes_are_cut_and_paid_once(stage: Stage, worker: Worker, litellm: str, upstream: Upstream) -> None:
    pieces = [delta(content=f"{number} " + "word " * 1_000) for number in range(1_000)]
    upstream.answers([stream(*pieces, delta("stop"))])
    async with worker(litellm) as rig:
        execution_id = await rig.execute("go", agent_id=await agent(stage, "gpt"))
        record = await rig.reach(execution_id, "waiting_for_input", "failed", limit=90)
        assert record.status == "waiting_for_input", record.error_message
        assert len(record.response) > 500_000
        assert any("longer than this worker takes" in one for one in await told(rig, execution_id))
    assert len(upstream.asked) == 1


async def test_a_failure_in_mid_stream_is_tried_again_and_counted(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream
) -> None:
    broken = stream(delta(content="w" * 700), cut=True)
    upstream.answers([broken, stream(delta("stop", content="there"), {"choices": [], "usage": {
        "prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}})])  # fmt: skip
    async with worker(litellm) as rig:
        execution_id = await rig.execute("go", agent_id=await agent(stage, "gpt"))
        record = await rig.reach(execution_id, "waiting_for_input", "failed", limit=60)
        assert record.response == "there", record.error_message
        assert record.usage["completion_tokens"] > 5


async def test_cache_writes_and_costs_are_counted(
    stage: Stage, worker: Worker, litellm: str, upstream: Upstream
) -> None:
    said = (
        Claude()
        .says("there")
        .uses(input_tokens=100, cache_read_input_tokens=40, cache_creation_input_tokens=30, output_tokens=5)
    )
    upstream.answers([said.ends("end_turn")])
    async with worker(litellm) as rig:
        execution_id = await rig.execute("go", agent_id=await agent(stage, "claude"))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "there", record.error_message
        async with stage.client() as api:
            [turn] = (await api.get(f"/executions/{execution_id}/analytics")).json()["turns"]
    numbers = turn["record"]
    assert (numbers["cache_read_tokens"], numbers["cache_creation_tokens"]) == (40, 30)
    assert numbers["output_tokens"] == 5
