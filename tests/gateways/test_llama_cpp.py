"""Executions against a real llama.cpp server: its dialect, its strictness, and a context that is soon full."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from tests.gateways.conftest import KEY, Worker, told
from tests.support.engine import new_agent
from tests.support.playground import Stage

AGENT = {"skills": ("shell",), "model_id": "tiny", "system_prompt": "s"}


async def test_a_call_and_an_answer(stage: Stage, worker: Worker, llama: str) -> None:
    async with worker(llama) as rig:
        execution_id = await rig.execute("use the tool", agent_id=await new_agent(stage, **AGENT))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        [completed] = await rig.sent(execution_id, "tool_completed")
        assert (record.response, completed["data"]["tool_output"]) == (
            "It said so.",
            "one two three four five six seven hi\n",
        )
        assert record.usage["total_tokens"] > 0
        record = await rig.turn(execution_id, "use the tool")
        assert (record.status, record.response) == ("waiting_for_input", "It said so.")


async def test_a_call_that_the_limit_cuts_does_not_lose_the_conversation(
    stage: Stage, worker: Worker, llama: str
) -> None:
    """llama.cpp reads the arguments of earlier calls, and answers 500 where they are no JSON."""
    agent_id = await new_agent(stage, llm_config={"max_tokens": 4}, **AGENT)
    async with worker(llama) as rig:
        execution_id = await rig.execute("use the tool", agent_id=agent_id)
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.status == "waiting_for_input", record.error_message
        assert any("cut at the model's output limit" in sentence for sentence in await told(rig, execution_id))
        [completed] = await rig.sent(execution_id, "tool_completed")
        assert "Write less at once" in completed["data"]["tool_error"]
        assert (await rig.turn(execution_id, "go on")).response == "It said so."


async def test_a_conversation_that_fills_its_context_five_times_is_still_answered(
    stage: Stage, worker: Worker, llama: str
) -> None:
    async with worker(llama) as rig:
        execution_id = await rig.execute("first " + "x" * 3_000, agent_id=await new_agent(stage, **AGENT))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        for number in range(14):
            record = await rig.turn(execution_id, f"{number} " + "y" * 3_000)
            assert (record.status, record.response) == ("waiting_for_input", "It said so."), record.error_message


async def test_one_message_that_alone_is_too_long_loses_its_middle(stage: Stage, worker: Worker, llama: str) -> None:
    async with worker(llama) as rig:
        execution_id = await rig.execute("begin " + "x" * 40_000 + " end", agent_id=await new_agent(stage, **AGENT))
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert (record.status, record.response) == ("waiting_for_input", "It said so."), record.error_message


async def test_an_answer_without_end_is_cut_where_the_context_ends(stage: Stage, worker: Worker, llama: str) -> None:
    async with worker(llama) as rig:
        execution_id = await rig.execute("speak on", agent_id=await new_agent(stage, **AGENT))
        record = await rig.reach(execution_id, "waiting_for_input", "failed", limit=60)
        assert record.status == "waiting_for_input", record.error_message
        assert record.response.startswith("zzz")
        assert any("cut at the model's output limit" in sentence for sentence in await told(rig, execution_id))
        assert (await rig.turn(execution_id, "and now?")).response == "It said so."


def test_its_refusal_is_what_our_table_says(llama: str) -> None:
    body = {"messages": [{"role": "user", "content": "x" * 10_000}]}
    asked = urllib.request.Request(
        f"{llama}/chat/completions", json.dumps(body).encode(), {"authorization": f"Bearer {KEY}"}
    )
    try:
        urllib.request.urlopen(asked, timeout=30)
        raise AssertionError("it was taken")
    except urllib.error.HTTPError as refused:
        said = json.loads(refused.read())["error"]
    assert (said["type"], said["n_ctx"]) == ("exceed_context_size_error", 6000)
