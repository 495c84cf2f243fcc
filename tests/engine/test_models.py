"""Executions against gateways as they are: what they refuse, how they end their answers, and how the turn goes on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Rig, new_agent, running_engine
from tests.support.model_server import ModelServer, Reply, Rule, calling, delta, model_server, refusal, stream, text
from tests.support.playground import Stage
from worker_core.agents.activities import model_call
from worker_core.secrets import Secret

SHELL = json.dumps({"command": "echo hi"})


@asynccontextmanager
async def running(
    stage: Stage, folder: Path, rule: Rule | list[Reply], **settings: Any
) -> AsyncIterator[tuple[Rig, ModelServer]]:
    async with model_server(rule) as server:
        options = {"llm_base_url": server.url, "llm_api_key": Secret("kb-test-key"), **settings}
        async with running_engine(stage, folder, **options) as rig:
            yield rig, server


async def told(rig: Rig, execution_id: str) -> list[tuple[str, str]]:
    """(severity, sentence) of what viewers were told."""
    events = await rig.sent(execution_id, "error")
    return [(event["data"]["severity"], event["data"]["details"]["error_message"]) for event in events]


async def test_a_turn_with_thinking_makes_three_calls_in_a_row(stage: Stage, tmp_path: Path) -> None:
    """As Claude behind LiteLLM: whoever calls a tool without the signed thoughts before it is refused."""

    def rule(body: dict[str, Any]) -> Reply:
        calls = [one for one in body["messages"] if one["role"] == "assistant"]
        for number, message in enumerate(calls):
            [block] = message.get("thinking_blocks") or [{}]
            if block != {"type": "thinking", "thinking": f"thought {number}", "signature": f"sig{number}"}:
                return refusal(400, "messages.1.content.0.type: Expected `thinking`, but found `tool_use`")
        if len(calls) == 3:
            return text("three done")
        number = len(calls)
        thought = {"type": "thinking", "thinking": f"thought {number}"}
        call = {"index": 0, "id": f"c{number}", "function": {"name": "shell", "arguments": SHELL}}
        return stream(
            delta(reasoning_content=f"thought {number}", thinking_blocks=[thought]),
            delta(thinking_blocks=[{"type": "thinking", "thinking": "", "signature": f"sig{number}"}]),
            delta(tool_calls=[call]),
            delta("tool_calls"),
        )

    async with running(stage, tmp_path, rule) as (rig, server):
        agent_id = await new_agent(stage, llm_config={"reasoning_effort": "low"})
        execution_id = await rig.execute("think", agent_id=agent_id)
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "three done"
        assert [body["reasoning_effort"] for body in server.asked] == ["low"] * 4
        assert len(await rig.sent(execution_id, "tool_completed")) == 3


async def test_calls_that_are_no_json_do_not_lose_the_conversation(stage: Stage, tmp_path: Path) -> None:
    """As strict servers: they look at the whole history."""
    answers = [
        calling("shell", '{"command": "echo', finish="tool_calls"),
        calling("shell<|channel|>commentary", SHELL, call_id="c2"),
        calling("no such tool!", "[]", call_id="c3"),
        stream(delta("stop")),
        stream(delta("stop")),
        text("and on"),
    ]

    def rule(body: dict[str, Any]) -> Reply:
        for message in body["messages"]:
            if message["role"] == "assistant" and not message.get("content") and not message.get("tool_calls"):
                return refusal(400, "messages: text content blocks must be non-empty")
            for call in message.get("tool_calls", ()):
                try:
                    assert isinstance(json.loads(call["function"]["arguments"]), dict)
                    assert call["function"]["name"].replace("_", "a").isalnum()
                except (ValueError, AssertionError):
                    return refusal(500, "Failed to parse tool call arguments as JSON")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async with running(stage, tmp_path, rule) as (rig, _):
        execution_id = await rig.execute("go")
        await rig.reach(execution_id, "waiting_for_input", "failed")
        record = await rig.turn(execution_id, "and now?")
        assert (record.status, record.response) == ("waiting_for_input", "and on")
        completed = [event["data"] for event in await rig.sent(execution_id, "tool_completed")]
        assert [event["status"] for event in completed] == ["failed", "success", "failed"]


LONG_CALL = '{"path": "a.txt", "content": "' + "x" * 2_000


@pytest.mark.parametrize(
    ("replies", "severity", "said", "requests", "response"),
    [
        ([text("half a sent", "length")], "warning", "cut at the model's output limit", 1, "half a sent"),
        ([text("half", "content_filter")], "warning", "content filter", 1, "half"),
        ([stream(delta("content_filter"))], "warning", "content filter", 1, "content filter"),
        ([stream(delta(refusal="I will not."), delta("stop"))], "warning", "declined", 1, "I will not."),
        ([stream(delta("stop")), text("there")], "", "", 2, "there"),
        ([stream(delta("stop"))], "warning", "answered nothing", 2, "answered nothing"),
        ([stream(delta("tool_calls")), text("there")], "", "", 2, "there"),
        ([stream(delta("stop", reasoning_content="hm"))], "warning", "thought, and did not", 2, "did not answer"),
        ([text("ha", "error"), text("there")], "info", "tried again (2 of 6)", 2, "there"),
        ([stream(delta(content="ha"), {"error": {"message": "Overloaded", "code": 529}}), text("there")],
         "info", "Waiting until", 2, "there"),
        ([calling("write_file", LONG_CALL, finish="length"), text("there")], "", "", 2, "there"),
        ([stream(delta(function_call={"name": "shell", "arguments": SHELL}), delta("function_call")), text("there")],
         "", "", 2, "there"),
    ],
)  # fmt: skip
async def test_no_ending_is_silent(
    stage: Stage, tmp_path: Path, replies: list[Reply], severity: str, said: str, requests: int, response: str
) -> None:
    async with running(stage, tmp_path, replies) as (rig, server):
        execution_id = await rig.execute("go")
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.status == "waiting_for_input"
        assert response in record.response
        assert len(server.asked) == requests
        heard = await told(rig, execution_id)
        assert [one for one in heard if said in one[1]] if said else heard == []
        assert {one[0] for one in heard} <= {severity}


async def test_a_call_cut_by_the_limit_is_asked_for_with_more_room_then_told_to_the_model(
    stage: Stage, tmp_path: Path
) -> None:
    cut = calling("write_file", LONG_CALL, finish="length")
    async with running(stage, tmp_path, [cut, cut, text("smaller then")]) as (rig, server):
        execution_id = await rig.execute("go")
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "smaller then"
    assert [body.get("max_tokens") for body in server.asked] == [None, 32_000, None]
    assert "Write less at once" in server.turns[2][-1]["content"]
    assert json.loads(server.turns[2][-2]["tool_calls"][0]["function"]["arguments"])["raw"]


async def test_a_conversation_that_filled_its_context_five_times_is_still_answered(
    stage: Stage, tmp_path: Path
) -> None:
    """As llama.cpp with 4 000 tokens, one for two characters: far from the worker's own estimate."""
    refused: list[int] = []

    def rule(body: dict[str, Any]) -> Reply:
        size = len(json.dumps(body["messages"]))
        if size > 8_000:
            refused.append(size)
            return refusal(
                400,
                "request exceeds the available context size, try increasing it",
                type="exceed_context_size_error", n_ctx=4_000,
            )  # fmt: skip
        last = str(body["messages"][-1].get("content"))
        return text("a summary" if "Write a summary" in last else f"{last[-3:]} " + "y" * 2_500)

    async with running(stage, tmp_path, rule) as (rig, server):
        execution_id = await rig.execute("1st " + "x" * 3_000 + " 000")
        await rig.reach(execution_id, "waiting_for_input", "failed")
        for number in range(1, 12):
            record = await rig.turn(execution_id, "z" * 3_000 + f" {number:03}")
            assert record.status == "waiting_for_input", record.error_message
            assert record.response.startswith(f"{number:03} ")
    assert len(refused) >= 5
    assert any("Summary of the conversation" in str(message["content"]) for message in server.turns[-1])


async def test_what_a_server_says_of_its_context_is_kept_as_the_limit(stage: Stage, tmp_path: Path) -> None:
    refused: list[int] = []

    def rule(body: dict[str, Any]) -> Reply:
        tokens = round(len(json.dumps(body["messages"])) / 3.5)
        if tokens > 4_000:
            refused.append(tokens)
            return refusal(400, "too much", type="exceed_context_size_error", n_ctx=4_000)
        usage = {"prompt_tokens": tokens, "completion_tokens": 700, "total_tokens": tokens + 700}
        return stream(delta("stop", content="y" * 2_500), {"choices": [], "usage": usage})

    async with running(stage, tmp_path, rule) as (rig, _):
        execution_id = await rig.execute("x" * 2_500)
        await rig.reach(execution_id, "waiting_for_input", "failed")
        for number in range(12):
            await rig.turn(execution_id, f"{number} " + "z" * 2_500)
    assert len(refused) == 1, "afterwards the worker summarises before it is refused"


async def test_a_rate_limit_costs_its_time_and_nothing_else(stage: Stage, tmp_path: Path) -> None:
    seconds = 90 if os.environ.get("KUBIYA_SLOW_TESTS") else 2
    limited = refusal(429, "Rate limit reached", headers={"llm_provider-retry-after": str(seconds)})
    async with running(stage, tmp_path, [limited, text("there")], model_attempts=1) as (rig, server):
        begun = time.monotonic()
        execution_id = await rig.execute("go")
        record = await rig.reach(execution_id, "waiting_for_input", "failed", limit=seconds + 60)
        assert record.response == "there"
        assert time.monotonic() - begun >= seconds
        [(severity, sentence)] = await told(rig, execution_id)
    assert (severity, len(server.asked)) == ("info", 2)
    assert "Rate limit reached. Waiting until" in sentence
    assert f"({seconds} s)" in sentence or "1 min 3" in sentence


PASSING = [
    ([refusal(500, "no luck")] * 2, 2, "failed (500): no luck."),
    ([refusal(502, "no luck")] * 2, 2, "failed (502): no luck."),
    ([Reply(status=200, cut=True)] * 2, 2, "broke off"),
    ([refusal(429, "You exceeded your current quota", code="insufficient_quota")], 1, "quota, budget or credit"),
    ([refusal(402, "Your balance is 0")], 1, "Your balance is 0."),
]


@pytest.mark.parametrize(("replies", "requests", "said"), PASSING)
async def test_a_turn_that_failed_for_a_passing_cause_can_be_continued(
    stage: Stage, tmp_path: Path, replies: list[Reply], requests: int, said: str
) -> None:
    first = [calling("shell", SHELL)]
    async with running(stage, tmp_path, [*first, *replies, text("there")], model_attempts=2) as (rig, server):
        execution_id = await rig.execute("go")
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert (record.status, len(server.asked)) == ("waiting_for_input", 1 + requests)
        severity, sentence = (await told(rig, execution_id))[-1]
        assert severity == "error"
        assert said in sentence
        assert "again" not in sentence
        record = await rig.turn(execution_id, "and now?")
        assert (record.status, record.response) == ("waiting_for_input", "there")
        roles = [message["role"] for message in server.turns[-1]]
        assert roles[-4:] == ["user", "assistant", "tool", "user"], "what was done before the failure is known"
        session = await rig.client.load_session(execution_id)
        assert [one["content"] for one in session["messages"] if one["role"] == "user"] == ["go", "and now?"]
        await rig.client.mark_done(execution_id)
        assert (await rig.reach(execution_id, "completed")).status == "completed"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_what_no_waiting_mends_fails_at_once(stage: Stage, tmp_path: Path, status: int) -> None:
    async with running(stage, tmp_path, [refusal(status)]) as (rig, server):
        record = await rig.reach(await rig.execute("go"), "waiting_for_input", "failed")
        assert (record.status, len(server.asked)) == ("failed", 1)
        assert "no luck" in record.error_message


async def test_a_wait_that_is_too_long_is_not_waited_for(stage: Stage, tmp_path: Path) -> None:
    limited = refusal(429, "Rate limit reached", headers={"retry-after": "7200"})
    async with running(stage, tmp_path, [limited]) as (rig, server):
        execution_id = await rig.execute("go")
        assert (await rig.reach(execution_id, "waiting_for_input", "failed")).status == "waiting_for_input"
        [(_, sentence)] = await told(rig, execution_id)
    assert "asks to be left alone until" in sentence
    assert "`model_wait`" in sentence
    assert len(server.asked) == 1


async def test_long_thinking_is_told_once(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_call, "THINKING_TOLD_AFTER_SECONDS", -1.0)
    thoughts = [delta(reasoning_content="hm ")] * 5
    async with running(stage, tmp_path, [stream(*thoughts, delta("stop", content="there"))]) as (rig, _):
        execution_id = await rig.execute("go")
        assert (await rig.reach(execution_id, "waiting_for_input", "failed")).response == "there"
        [(severity, sentence)] = await told(rig, execution_id)
    assert severity == "info"
    assert sentence.endswith("is thinking.")


async def test_five_megabytes_are_cut_and_paid_once(stage: Stage, tmp_path: Path) -> None:
    huge = stream(*[delta(content="word " * 2_000)] * 500, delta("stop"))
    async with running(stage, tmp_path, [huge, text("there")]) as (rig, server):
        execution_id = await rig.execute("go")
        record = await rig.reach(execution_id, "waiting_for_input", "failed", limit=60)
        assert record.status == "waiting_for_input"
        assert 500_000 < len(record.response) <= 600_000
        assert len(server.asked) == 1
        assert any("longer than this worker takes" in sentence for _, sentence in await told(rig, execution_id))
        assert (await rig.turn(execution_id, "and?")).response == "there"


async def test_costs_cache_writes_and_the_tokens_of_broken_attempts_are_counted(stage: Stage, tmp_path: Path) -> None:
    usage = {
        "prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "cost": 0.25,
        "prompt_tokens_details": {"cached_tokens": 40, "cache_creation_tokens": 30},
    }  # fmt: skip
    broken = stream(delta(content="w" * 700), cut=True)
    good = stream(delta("stop", content="there"), {"choices": [], "usage": usage})
    async with running(stage, tmp_path, [broken, good]) as (rig, _):
        execution_id = await rig.execute("go")
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        async with stage.client() as api:
            [turn] = (await api.get(f"/executions/{execution_id}/analytics")).json()["turns"]
    numbers = turn["record"]
    assert numbers["total_cost"] == 0.25
    assert (numbers["cache_read_tokens"], numbers["cache_creation_tokens"]) == (40, 30)
    assert numbers["output_tokens"] == 5 + 200
    assert record.usage["completion_tokens"] == 205


async def test_settings_that_are_not_honoured_or_refused_are_named(stage: Stage, tmp_path: Path) -> None:
    def rule(body: dict[str, Any]) -> Reply:
        if "temperature" in body:
            return refusal(400, "Unsupported value", param="temperature", code="unsupported_value")
        return text("there")

    async with running(stage, tmp_path, rule) as (rig, server):
        asked = {"temperature": 0.2, "seed": 1, "tool_choice": "required", "odd": 2}
        execution_id = await rig.execute("go", agent_id=await new_agent(stage, llm_config=asked))
        assert (await rig.reach(execution_id, "waiting_for_input", "failed")).response == "there"
        sentences = [sentence for _, sentence in await told(rig, execution_id)]
    assert "not honoured by this worker: odd, tool_choice." in sentences[0]
    assert "does not take the setting temperature; it is left out." in sentences[1]
    assert [(body["seed"], "odd" in body) for body in server.asked] == [(1, False)] * 2


@pytest.mark.parametrize(("listed", "sent"), [(["openai/x"], "openai/x"), (["x"], "x"), (None, "x")])
async def test_a_prefix_stays_where_the_gateway_lists_it(
    stage: Stage, tmp_path: Path, listed: list[str] | None, sent: str
) -> None:
    async with running(stage, tmp_path, [text("there")]) as (rig, server):
        server.models = listed
        agent_id = await new_agent(stage, model_id="openai/x")
        await rig.reach(await rig.execute("go", agent_id=agent_id), "waiting_for_input", "failed")
    assert [body["model"] for body in server.asked] == [sent]
