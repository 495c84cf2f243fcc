"""A first turn that ended with its answer: the workflow takes the decision, and holds nothing back that is over."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from temporalio.client import Client, WorkflowFailureError

from tests.agents.workflows.world import World, reply, serving, start, until_state, until_told
from worker_core.agents.messages import UNDECIDED, TurnDecision

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
