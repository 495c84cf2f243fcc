"""A turn that ended with its last answer: the workflow takes the decision, and holds nothing back that is over."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from temporalio.client import Client, WorkflowFailureError

from tests.agents.workflows.world import World, reply, serving, start, tool, until_state, until_told
from worker_core.agents.messages import UNDECIDED, FinishTurn, ModelCall, ModelReply, ToolOutcome, TurnDecision
from worker_core.agents.turn_end import LARGEST_ENDED_CHARACTERS, with_answer

ENDED = TurnDecision(status="completed", last_sequence=9, recorded=True, ended=True)
AHEAD = replace(reply("ahead"), answered_at="2026-01-02T03:04:05+00:00")


async def test_a_turn_that_ended_with_its_answer_needs_no_other_step(client: Client) -> None:
    world = World(answer=lambda call: reply("never"), first=AHEAD, decision=ENDED)
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        result = await handle.result()
        told = await handle.query("get_state")
    assert (result["status"], result["response"], result["usage"]["prompt_tokens"]) == ("completed", "ahead", 10)
    assert (world.model_calls, world.finished, world.ends) == ([], [], [])
    assert told["messages"][1]["timestamp"] == AHEAD.answered_at  # as the session has it
    assert world.begun[0].began_at


async def test_the_conversation_goes_on_after_a_turn_that_ended_with_its_answer(client: Client) -> None:
    world = World(answer=lambda call: reply("second"), first=AHEAD, decision=TurnDecision(status="waiting_for_input"))
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        await until_state(handle, "waiting_for_input")
        await handle.signal("add_message", "again")
        result = await handle.result()
    assert [turn.turn for turn in world.finished] == [2]
    assert [message["content"] for message in world.finished[0].messages] == ["again", "second"]
    assert (result["response"], result["usage"]["prompt_tokens"]) == ("second", 20)


async def test_an_end_whose_outcome_is_not_known_is_asked_for_as_one_that_was_under_way(client: Client) -> None:
    world = World(answer=lambda call: reply("never"), first=AHEAD, decision=UNDECIDED)
    async with serving(client, world) as queue:
        await (await start(client, queue)).result()
    [turn] = world.finished
    assert turn.moved
    assert [message["content"] for message in turn.messages] == ["hello", "ahead"]
    assert turn.messages[1]["timestamp"] == AHEAD.answered_at


@pytest.mark.parametrize("decision", [ENDED, UNDECIDED], ids=["ended", "not known"])
async def test_paused_while_its_turn_ended_it_holds_nothing_back(client: Client, decision: TurnDecision) -> None:
    async def pause() -> None:
        await handle.signal("pause_execution")
        await until_told(handle, "SIGNALED")

    world = World(answer=lambda call: reply("never"), first=AHEAD, decision=decision, while_it_begins=pause)
    handle = await start(client, queue := str(uuid.uuid4()))
    async with serving(client, world, queue=queue):
        result = await handle.result()
    assert result["status"] == "completed"


async def test_a_message_while_its_turn_ended_begins_anew(client: Client) -> None:
    async def say() -> None:
        await handle.signal("add_message", "wait")
        await until_told(handle, "SIGNALED")

    world = World(
        answer=lambda call: reply(f"answer {call.turn}"),
        first=AHEAD,
        decision=ENDED,
        while_it_begins=say,
        ends_with_its_turn=lambda turn: True,
    )
    handle = await start(client, queue := str(uuid.uuid4()))
    async with serving(client, world, queue=queue):
        result = await handle.result()
    assert [(begun.home_lost, bool(begun.began_at)) for begun in world.begun] == [(False, True), (True, False)]
    assert (result["response"], result["conversation_turns"]) == ("answer 2", 2)
    assert [turn.turn for turn in world.finished] == [2]


async def test_cancelled_while_its_turn_ended_it_has_ended_once(client: Client) -> None:
    async def cancel() -> None:
        await handle.cancel()
        await until_told(handle, "CANCEL_REQUESTED")

    world = World(answer=lambda call: reply("never"), first=AHEAD, decision=ENDED, while_it_begins=cancel)
    handle = await start(client, queue := str(uuid.uuid4()))
    async with serving(client, world, queue=queue):
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert world.ends == []


# --- later answers ----------------------------------------------------------------------------------------------------


def calls_a_tool_first(call: ModelCall) -> ModelReply:
    return reply(f"last of turn {call.turn}") if call.after_tools else reply("look", tool("shell"))


def as_its_step_does(turn: FinishTurn) -> FinishTurn:
    """Without what tells when the answer had come."""
    messages = tuple({key: value for key, value in one.items() if key != "timestamp"} for one in turn.messages)
    return replace(turn, messages=messages, completed_at="", duration_ms=0)


async def test_a_call_carries_the_end_that_its_step_would_ask_for(client: Client) -> None:
    world = World(answer=calls_a_tool_first, decide=lambda turn: "waiting_for_input" if turn.turn == 1 else "completed")
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        await until_state(handle, "waiting_for_input")
        await handle.signal("add_message", "again")
        await handle.result()
    for turn, call in zip(world.finished, [one for one in world.model_calls if one.after_tools], strict=True):
        assert call.ending is not None
        answer = replace(calls_a_tool_first(call), answered_at=turn.completed_at)
        assert as_its_step_does(with_answer(call.ending, answer)) == as_its_step_does(turn)
        assert turn.tool_names == ("shell",)
    assert [one.ending is None for one in world.model_calls] == [False, False, True, False], "not before it is told of"
    assert world.finished[1].total_usage.prompt_tokens == 40


async def test_a_turn_that_ended_with_a_later_answer_needs_no_other_step(client: Client) -> None:
    def answer(call: ModelCall) -> ModelReply:
        said = calls_a_tool_first(call)
        return replace(said, decision=ENDED, answered_at=AHEAD.answered_at) if call.after_tools else said

    world = World(answer=answer)
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        result = await handle.result()
        told = await handle.query("get_state")
    assert (result["status"], result["response"]) == ("completed", "last of turn 1")
    assert (len(world.model_calls), world.finished, world.ends) == (2, [], [])
    assert told["messages"][-1]["timestamp"] == AHEAD.answered_at


async def test_an_end_with_a_later_answer_whose_outcome_is_not_known_is_asked_for(client: Client) -> None:
    world = World(answer=lambda call: replace(reply("said"), decision=UNDECIDED, answered_at=AHEAD.answered_at))
    async with serving(client, world) as queue:
        await (await start(client, queue)).result()
    [turn] = world.finished
    assert turn.moved
    assert turn.messages[1]["timestamp"] == AHEAD.answered_at


async def test_a_turn_that_could_not_be_announced_does_not_end_with_its_answer(client: Client) -> None:
    world = World(answer=calls_a_tool_first, decide=lambda turn: "waiting_for_input", refuses_turns=True)
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        await until_state(handle, "waiting_for_input")
        await handle.signal("add_message", "again")
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert [(call.turn, call.ending is None) for call in world.model_calls] == [
        (1, False), (1, False), (2, True), (2, True),
    ]  # fmt: skip
    assert [turn.turn for turn in world.finished] == [1]


async def test_each_turn_has_its_own_end(client: Client) -> None:
    """One that ended with its answer says nothing of the next one."""

    def answer(call: ModelCall) -> ModelReply:
        said = reply(f"answer {call.turn}")
        return replace(said, decision=TurnDecision(status="waiting_for_input")) if call.turn == 1 else said

    world = World(answer=answer)
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        await until_state(handle, "waiting_for_input")
        await handle.signal("add_message", "again")
        result = await handle.result()
    assert (result["response"], [turn.turn for turn in world.finished]) == ("answer 2", [2])
    assert not world.finished[0].moved


async def test_what_is_long_to_store_is_stored_by_a_step_of_its_own(client: Client) -> None:
    def printed(length: int) -> World:
        return World(answer=calls_a_tool_first, run=lambda request: ToolOutcome(succeeded=True, output=length * "x"))

    for length, carried in ((LARGEST_ENDED_CHARACTERS // 2, True), (LARGEST_ENDED_CHARACTERS, False)):
        world = printed(length)
        async with serving(client, world) as queue:
            await (await start(client, queue)).result()
        assert [call.ending is not None for call in world.model_calls] == [True, carried]
