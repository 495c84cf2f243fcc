"""Long executions: summaries, continue-as-new, and sizes that stay under Temporal's limits. A real Temporal server."""

from __future__ import annotations

import asyncio
import random

import pytest
from temporalio.client import Client, WorkflowExecution, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from tests.agents.workflows.world import World, reply, serving, start, tool, until_state
from worker_core.agents import compaction
from worker_core.agents.messages import Message, ModelCall, ModelReply, ToolOutcome, Usage
from worker_core.agents.workflows.carried import Carried


async def test_what_does_not_fit_becomes_a_summary(client: Client) -> None:
    seen: list[ModelCall] = []

    def answer(call: ModelCall) -> ModelReply:
        seen.append(call)
        if call.messages[-1]["content"] == compaction.REQUEST:
            return reply("the user counts; so far: summarised")
        return reply(f"answer to {call.messages[-1]['content'][:7]} " + "x" * 3000)

    world = World(answer=answer, decide=lambda turn: "waiting_for_input", context_limit_tokens=4_000)
    async with serving(client, world) as queue:
        handle = await start(client, queue, prompt="turn 1")
        for number in range(2, 8):
            await until_state(handle, "waiting_for_input")
            await handle.signal("add_message", {"role": "user", "content": f"turn {number}"})
            async with asyncio.timeout(60):
                while len(world.finished) < number:
                    await asyncio.sleep(0.02)
        await handle.signal("mark_as_done")
        result = await handle.result()
    assert result["conversation_turns"] == 7
    summaries = [call for call in seen if call.silent]
    assert summaries
    assert all(call.tools == () for call in summaries)
    last = seen[-1].messages
    assert sum(len(message["content"]) for message in last) < 4_000 * 3.5
    assert any("summarised" in message["content"] for message in last)
    # The session was told everything that was said, and no summary.
    stored = [message["content"] for turn in world.finished for message in turn.messages]
    assert [text for text in stored if text.startswith("turn")] == [f"turn {number}" for number in range(1, 8)]
    assert not any("summarised" in text for text in stored)


async def test_many_turns_continue_as_new_and_keep_everything(client: Client) -> None:
    """Each turn adds output that does not compress; histories end and begin anew without anybody noticing."""
    noise = random.Random(7)
    turns = 40

    def answer(call: ModelCall) -> ModelReply:
        if call.silent:
            return reply("summary")
        if call.messages[-1]["role"] == "user":
            return reply("", tool("shell", f"call_{call.turn}"))
        return reply(f"turn {call.turn} done")

    world = World(
        answer=answer,
        run=lambda request: ToolOutcome(succeeded=True, output=noise.randbytes(25_000).hex()),
        decide=lambda turn: "waiting_for_input",
        context_limit_tokens=100_000,
        earlier=(Message(role="user", content="long ago", timestamp="", message_id="0"),),
    )
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        for number in range(1, turns + 1):
            async with asyncio.timeout(60):
                while len(world.finished) < number:
                    await asyncio.sleep(0.01)
            await handle.signal(
                "add_message", {"role": "user", "content": f"again {number}", "message_id": f"m{number}"}
            )
        async with asyncio.timeout(60):
            while len(world.finished) <= turns:
                await asyncio.sleep(0.01)
        await handle.signal("mark_as_done")
        result = await client.get_workflow_handle(handle.id).result()
        state = await client.get_workflow_handle(handle.id).query("get_state")
        runs = [run async for run in client.list_workflows(f"WorkflowId = '{handle.id}'")]
        carried = [await _carried(client, run) for run in runs]
    assert result["conversation_turns"] == turns + 1
    assert result["response"] == f"turn {turns + 1} done"
    assert state["status"] == "completed"
    assert len(runs) > 1, "the history was never handed on"
    assert len({request.call.call_id for request in world.tool_calls}) == turns + 1
    heard = [m["content"] for turn in world.finished for m in turn.messages if m["role"] == "user"]
    assert heard == ["hello", *(f"again {number}" for number in range(1, turns + 1))]
    assert [message["content"] for message in world.model_calls[0].messages[1:2]] == ["long ago\n\nhello"]
    largest = max(run.history_length for run in runs)
    assert largest < 5_000
    handed_on = [one for one in carried if one is not None]
    assert handed_on
    assert not any(one.begun.earlier for one in handed_on), "the conversation would be handed on twice"


async def _carried(client: Client, run: WorkflowExecution) -> Carried | None:
    """What a run was handed by the one before it."""
    async for event in client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads[1:]
        [*handed_on] = await client.data_converter.decode(payloads, [Carried] * len(payloads))
        return handed_on[0] if handed_on else None
    return None


async def test_messages_too_large_for_temporal_do_not_stop_an_execution(client: Client) -> None:
    noise = random.Random(8)
    huge = noise.randbytes(900_000).hex()
    world = World(answer=lambda call: reply("read"), decide=lambda turn: "waiting_for_input")
    async with serving(client, world) as queue:
        handle = await start(client, queue, prompt=huge)
        for number in range(1, 5):
            async with asyncio.timeout(60):
                while len(world.finished) < number:
                    await asyncio.sleep(0.02)
            await handle.signal("add_message", {"role": "user", "content": huge})
        async with asyncio.timeout(60):
            while len(world.finished) < 5:
                await asyncio.sleep(0.02)
        await handle.signal("mark_as_done")
        result = await handle.result()
    assert result["conversation_turns"] == 5
    assert all("characters left out" in str(call.messages) for call in world.model_calls[:1])


async def test_one_turn_with_very_much_output_is_saved_in_the_middle(client: Client) -> None:
    noise = random.Random(9)
    calls = 45

    def answer(call: ModelCall) -> ModelReply:
        done = sum(1 for message in call.messages if message["role"] == "tool")
        if call.silent:
            return reply("summary")
        return reply("", tool("shell", "")) if len(world.tool_calls) < calls else reply(f"after {done}")

    world = World(
        answer=answer,
        run=lambda request: ToolOutcome(succeeded=True, output=noise.randbytes(14_000).hex()),
        model_call_limit=100,
        context_limit_tokens=200_000,
    )
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        result = await client.get_workflow_handle(handle.id).result()
    assert result["status"] == "completed"
    assert world.saved, "nothing was saved before the end of the turn"
    ids = [m["message_id"] for part in [*world.saved, *world.finished] for m in part.messages]
    assert len(ids) == len(set(ids))
    assert sum(1 for one in ids if "_tool_" in one) == calls
    assert world.finished[0].tool_names == ("shell",) * calls


async def test_a_gateway_that_says_full_is_believed(client: Client) -> None:
    refused: list[int] = []

    def answer(call: ModelCall) -> ModelReply:
        if call.silent:
            return reply("summary")
        if len(call.messages) > 5:
            refused.append(len(call.messages))
            raise ApplicationError("The context is full.", type="ContextFull", non_retryable=True)
        return ModelReply(content="fits", message_id="m", model="s", finish_reason="stop", usage=Usage(prompt_tokens=1))

    world = World(answer=answer, decide=lambda turn: "waiting_for_input" if turn.turn < 4 else "completed")
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        for number in range(1, 4):
            async with asyncio.timeout(60):
                while len(world.finished) < number:
                    await asyncio.sleep(0.02)
            await handle.signal("add_message", {"role": "user", "content": f"more {number}"})
        result = await handle.result()
    assert refused
    assert result["status"] == "completed"


async def test_a_gateway_is_sent_less_and_less_until_it_takes_it(client: Client) -> None:
    """What it calls full is far from our estimate, and its summary may be refused as well."""
    refused: list[int] = []

    def answer(call: ModelCall) -> ModelReply:
        size = sum(len(str(message["content"])) for message in call.messages)
        if size > 4_000:
            refused.append(size)
            details = ("llm_model_error", {"limit_tokens": 3_000})
            raise ApplicationError("The context is full.", *details, type="ContextFull", non_retryable=True)
        return reply("summary" if call.silent else f"turn {call.turn}")

    world = World(answer=answer, decide=lambda turn: "waiting_for_input" if turn.turn < 6 else "completed")
    async with serving(client, world) as queue:
        handle = await start(client, queue, prompt="x" * 30_000)
        for number in range(1, 6):
            async with asyncio.timeout(60):
                while len(world.finished) < number:
                    await asyncio.sleep(0.02)
            await handle.signal("add_message", {"role": "user", "content": f"more {number} " + "y" * 3_000})
        result = await handle.result()
    assert len(refused) >= 3
    assert (result["status"], result["response"]) == ("completed", "turn 6")


async def test_a_refusal_that_no_shortening_mends_ends_the_execution(client: Client) -> None:
    def answer(call: ModelCall) -> ModelReply:
        raise ApplicationError("The context is full.", "llm_model_error", type="ContextFull", non_retryable=True)

    world = World(answer=answer)
    async with serving(client, world) as queue:
        handle = await start(client, queue, prompt="x" * 30_000)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert len(world.model_calls) < 12
    assert [end.error for end in world.ends] == ["The context is full."]
