"""The workflow against a real Temporal server; only what lies behind its activities is made up."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from tests.agents.workflows.world import World, events, reply, serving, start, tool, until_state, until_told
from worker_core.agents.messages import (
    FinishTurn,
    Message,
    ModelCall,
    ModelReply,
    ToolOutcome,
)
from worker_core.agents.workflows.workflow import AgentExecutionWorkflow

RUNNER = UnsandboxedWorkflowRunner()
ACTIVITY = "EVENT_TYPE_ACTIVITY_TASK"


async def test_one_turn_ends_with_the_result_that_the_server_knows(client: Client) -> None:
    world = World(answer=lambda call: reply("hi there"))
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        result = await handle.result()
    assert result["success"] is True
    assert result["status"] == "completed"
    assert result["response"] == "hi there"
    assert result["conversation_turns"] == 1
    assert result["usage"]["prompt_tokens"] == result["usage"]["input_tokens"] == 10
    assert [end.status for end in world.ends] == ["completed"]
    assert world.model_calls[0].messages == (
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hello"},
    )


async def test_tool_calls_go_back_to_the_model_under_their_own_ids(client: Client) -> None:
    answers = iter([reply("let me see", tool("shell", "x"), tool("shell", "x")), reply("seen")])
    world = World(
        answer=lambda call: next(answers),
        run=lambda request: ToolOutcome(succeeded=False, output="boom", error="It exited with 1."),
    )
    async with serving(client, world) as queue:
        await (await start(client, queue)).result()
    assistant, first, second = world.model_calls[1].messages[2:]
    ids = [call["id"] for call in assistant["tool_calls"]]
    assert len(set(ids)) == 2
    assert [first["tool_call_id"], second["tool_call_id"]] == ids
    assert "It exited with 1." in first["content"]
    assert "boom" in first["content"]
    session = world.finished[0].messages
    assert [message["role"] for message in session] == ["user", "assistant", "tool", "tool", "assistant"]
    assert world.finished[0].tool_names == ("shell", "shell")


async def test_calls_that_only_read_run_together_and_others_in_order(client: Client) -> None:
    answers = iter(
        [reply("", tool("read", "a"), tool("read", "b"), tool("write", "c"), tool("write", "d")), reply("done")]
    )
    world = World(
        answer=lambda call: next(answers),
        tools=(
            {"name": "read", "description": "", "parameters": {}, "read_only": True},
            {"name": "write", "description": "", "parameters": {}, "read_only": False},
        ),
    )
    async with serving(client, world) as queue:
        await (await start(client, queue)).result()
    assert world.most_at_once == 2
    assert [request.call.call_id for request in world.tool_calls][2:] == ["c", "d"]


async def test_history_is_kept_over_three_turns_and_queued_messages_are_all_fed(client: Client) -> None:
    world = World(answer=lambda call: reply(f"answer {call.turn}"), decide=lambda turn: "waiting_for_input")
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        state = await until_state(handle, "waiting_for_input")
        assert state["is_waiting_for_input"] is True
        await handle.signal("add_message", {"role": "user", "content": "two", "timestamp": "t", "message_id": "id2"})
        async with asyncio.timeout(60):
            while len(world.finished) < 2:
                await asyncio.sleep(0.02)
        await until_state(handle, "waiting_for_input")
        world.hold_model = asyncio.Event()
        await handle.signal("add_message", {"role": "user", "content": "three", "message_id": "id3"})
        async with asyncio.timeout(60):
            while len(world.model_calls) < 3:
                await asyncio.sleep(0.02)
        await handle.signal("add_message", {"role": "user", "content": "four"})
        await handle.signal("add_message", {"role": "user", "content": "five"})
        world.hold_model.set()
        async with asyncio.timeout(60):
            while len(world.finished) < 4:
                await asyncio.sleep(0.02)
        await handle.signal("mark_as_done")
        result = await handle.result()
    assert result["conversation_turns"] == 4
    said = [message["content"] for message in world.model_calls[-1].messages if message["role"] == "user"]
    assert said == ["hello", "two", "three", "four\n\nfive"], "no user speaks twice in a row"
    assert [m["content"] for m in world.model_calls[-1].messages if m["role"] == "assistant"] == [
        "answer 1", "answer 2", "answer 3",
    ]  # fmt: skip
    assert world.finished[1].messages[0]["message_id"] == "id2"
    assert world.turns_announced == [2, 3, 4]


async def test_an_answer_that_came_with_the_beginning_is_not_asked_for_again(client: Client) -> None:
    answers = iter([reply("after the tool"), reply("second")])
    world = World(
        answer=lambda call: next(answers),
        first=reply("ahead", tool("shell")),
        decide=lambda turn: "waiting_for_input" if turn.turn == 1 else "completed",
    )
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        await until_state(handle, "waiting_for_input")
        await handle.signal("add_message", "again")
        result = await handle.result()
    assert [call.turn for call in world.model_calls] == [1, 2]
    assert [message["content"] for message in world.finished[0].messages] == [
        "hello",
        "ahead",
        "done",
        "after the tool",
    ]
    assert (result["response"], result["usage"]["prompt_tokens"]) == ("second", 30)
    assert world.begun[0].asks_ahead


async def test_an_answer_that_is_still_to_come_is_asked_for_as_one_that_is_under_way(client: Client) -> None:
    answers = iter([reply("", tool("shell")), reply("hi")])
    world = World(answer=lambda call: next(answers), asked_by="1@1.00")
    async with serving(client, world) as queue:
        await (await start(client, queue)).result()
    assert [call.asked_by for call in world.model_calls] == ["1@1.00", ""]


async def test_an_answer_that_another_process_makes_is_asked_for_until_that_one_hears_it(client: Client) -> None:
    def answer(call: ModelCall) -> ModelReply:
        return replace(reply(""), elsewhere=True) if call.passed_on < 3 else reply("hi")

    world = World(answer=answer, asked_by="1@1.00")
    async with serving(client, world) as queue:
        result = await (await start(client, queue)).result()
    assert [call.passed_on for call in world.model_calls] == [0, 1, 2, 3]
    assert {call.asked_by for call in world.model_calls} == {"1@1.00"}
    assert (result["response"], result["usage"]["prompt_tokens"]) == ("hi", 10)


async def test_an_answer_that_was_asked_for_ahead_is_never_a_summary(client: Client) -> None:
    """Where a worker took the conversation for short enough, and the workflow does not."""
    earlier = tuple(
        Message(role=role, content="x" * 4_000, timestamp="", message_id=f"{number}_{role}")
        for number in range(5)
        for role in ("user", "assistant")
    )
    world = World(
        answer=lambda call: reply("summary"), first=reply("ahead"), earlier=earlier, context_limit_tokens=4_000
    )
    async with serving(client, world) as queue:
        result = await (await start(client, queue)).result()
    assert [call.silent for call in world.model_calls] == [True]
    assert result["response"] == "ahead"


async def test_what_is_paused_before_it_begins_asks_nothing_ahead(client: Client) -> None:
    world = World(answer=lambda call: reply("hi"), first=reply("ahead"))
    handle = await start(client, queue := str(uuid.uuid4()))
    await handle.signal("pause_execution")
    async with serving(client, world, queue=queue):
        await until_state(handle, "paused")
        await handle.signal("resume_execution")
        result = await handle.result()
    assert [begun.asks_ahead for begun in world.begun] == [False]
    assert result["response"] == "hi"


async def test_a_turn_that_ended_its_execution_leaves_nothing_to_do(client: Client) -> None:
    world = World(answer=lambda call: reply("hi"), ends_with_its_turn=lambda turn: True)
    async with serving(client, world) as queue:
        result = await (await start(client, queue)).result()
    assert (result["status"], world.ends) == ("completed", [])


@pytest.mark.parametrize("homes_lost", [0, 1])
async def test_a_turns_end_says_that_another_machine_may_have_been_at_it(client: Client, homes_lost: int) -> None:
    world = World(answer=lambda call: reply("never"), first=reply("ahead"), homes_lost=homes_lost)
    async with serving(client, world) as queue:
        await (await start(client, queue)).result()
    assert [turn.moved for turn in world.finished] == [bool(homes_lost)]


async def test_a_message_in_the_moment_of_the_end_begins_anew(client: Client) -> None:
    async def answer_it(turn: FinishTurn) -> None:
        if turn.turn == 1:
            await handle.signal("add_message", "wait")
            await until_told(handle, "SIGNALED")

    world = World(
        answer=lambda call: reply(f"answer {call.turn}"), ends_with_its_turn=lambda turn: True, meanwhile=answer_it
    )
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        result = await handle.result()
    assert [(begun.home_lost, begun.asks_ahead) for begun in world.begun] == [(False, True), (True, False)]
    assert (world.turns_announced, world.ends) == ([2], [])
    assert (result["status"], result["response"], result["conversation_turns"]) == ("completed", "answer 2", 2)
    assert world.model_calls[1].messages[-1]["content"] == "wait"


async def test_cancelled_in_the_moment_of_the_end_it_has_ended_once(client: Client) -> None:
    async def cancel(turn: FinishTurn) -> None:
        await handle.cancel()
        await until_told(handle, "CANCEL_REQUESTED")

    world = World(answer=lambda call: reply("hi"), ends_with_its_turn=lambda turn: True, meanwhile=cancel)
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert (len(world.finished), world.ends) == (1, [])


async def test_cancelled_before_it_hears_of_its_end_it_has_ended_once(client: Client) -> None:
    """Both come at once to a worker that was away: the SDK raises then, whatever has come besides."""
    finishing, go_on = asyncio.Event(), asyncio.Event()

    async def wait(turn: FinishTurn) -> None:
        finishing.set()
        await go_on.wait()

    world = World(answer=lambda call: reply("hi"), ends_with_its_turn=lambda turn: True, meanwhile=wait)
    queue = str(uuid.uuid4())
    async with Worker(client, task_queue=queue, activities=world.activities(queue)):
        async with Worker(client, task_queue=queue, workflows=[AgentExecutionWorkflow], workflow_runner=RUNNER):
            handle = await start(client, queue)
            async with asyncio.timeout(60):
                await finishing.wait()
        await handle.cancel()
        go_on.set()
        async with asyncio.timeout(60):
            while (kinds := await events(handle)).count(f"{ACTIVITY}_SCHEDULED") > kinds.count(f"{ACTIVITY}_COMPLETED"):
                await asyncio.sleep(0.02)
        async with Worker(client, task_queue=queue, workflows=[AgentExecutionWorkflow], workflow_runner=RUNNER):
            with pytest.raises(WorkflowFailureError):
                await handle.result()
    assert (len(world.finished), world.ends) == (1, [])


async def test_a_cancelled_execution_says_so_once_and_not_failed(client: Client) -> None:
    world = World(answer=lambda call: reply("never"), hold_model=asyncio.Event())
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        async with asyncio.timeout(60):
            while not world.model_calls:
                await asyncio.sleep(0.02)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        state = await handle.query("get_state")
    assert [end.status for end in world.ends] == ["cancelled"]
    assert world.ends[0].interrupted
    assert [message["role"] for message in world.ends[0].messages] == ["user"]
    assert state["status"] == "cancelled"


async def test_paused_makes_no_call_until_resumed(client: Client) -> None:
    answers = iter([reply("", tool("shell")), reply("after")])
    world = World(answer=lambda call: next(answers), hold_model=asyncio.Event())
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        async with asyncio.timeout(60):
            while not world.model_calls:
                await asyncio.sleep(0.02)
        await handle.signal("pause_execution")
        world.hold_model.set()
        state = await until_state(handle, "paused")
        assert state["is_paused"] is True
        await asyncio.sleep(0.3)
        assert world.tool_calls == []
        await handle.signal("resume_execution")
        assert (await handle.result())["response"] == "after"


async def test_a_permanent_failure_is_one_sentence_everywhere(client: Client) -> None:
    def refuse(call: ModelCall) -> ModelReply:
        raise ApplicationError("The gateway refused the key.", "authentication", type="Refused", non_retryable=True)

    world = World(answer=refuse)
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.message == "The gateway refused the key."
    (end,) = world.ends
    assert (end.status, end.error, end.error_category) == ("failed", "The gateway refused the key.", "authentication")
    assert end.messages, "the conversation so far is stored"


async def test_a_model_that_never_stops_calling_tools_is_stopped(client: Client) -> None:
    world = World(answer=lambda call: reply("", tool("shell")))
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert "after 5 model calls" in str(caught.value.cause)
    assert len(world.model_calls) == 5


async def test_the_history_replays(client: Client) -> None:
    answers = iter([reply("look", tool("shell")), reply("done"), reply("again")])
    world = World(
        answer=lambda call: next(answers),
        decide=lambda turn: "waiting_for_input" if turn.turn == 1 else "completed",
    )
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        await until_state(handle, "waiting_for_input")
        await handle.signal("add_message", {"role": "user", "content": "more"})
        await handle.result()
        history = await handle.fetch_history()
    replayer = Replayer(
        workflows=[AgentExecutionWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=client.data_converter,
    )
    await replayer.replay_workflow(history)


async def test_a_turn_that_failed_for_a_passing_cause_waits_for_its_user(client: Client) -> None:
    def answer(call: ModelCall) -> ModelReply:
        if call.turn == 1:
            details = ("llm_model_error", {"usage": {"prompt_tokens": 7, "total_tokens": 7}})
            raise ApplicationError("The quota is used up.", *details, type="GatewayPassing", non_retryable=True)
        return reply("there")

    world = World(answer=answer)
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        state = await until_state(handle, "waiting_for_input")
        assert state["error_message"] == "The quota is used up."
        await handle.signal("add_message", {"role": "user", "content": "now?"})
        result = await handle.result()
    [given_up] = world.given_up
    assert (given_up.error, given_up.error_category) == ("The quota is used up.", "llm_model_error")
    assert given_up.usage.prompt_tokens == 7
    assert [message["content"] for message in given_up.messages] == ["hello"]
    assert (result["status"], result["response"], result["usage"]["prompt_tokens"]) == ("completed", "there", 17)
    assert world.model_calls[-1].messages[-1]["content"] == "hello\n\nnow?"


async def test_each_step_is_missed_soon_where_its_worker_dies(client: Client) -> None:
    """A step without heartbeats is missed when its time is up: after a minute or more."""
    noise = random.Random(7)

    def answer(call: ModelCall) -> ModelReply:
        if call.turn == 1:
            raise ApplicationError(
                "The quota is used up.", "llm_model_error", type="GatewayPassing", non_retryable=True
            )
        return reply("", tool("shell")) if len(world.tool_calls) < 2 else reply("there")

    much = ToolOutcome(succeeded=True, output="".join(noise.choices("0123456789abcdef", k=200_000)))
    world = World(answer=answer, run=lambda request: much, context_limit_tokens=1_000_000)
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        await until_state(handle, "waiting_for_input")
        await handle.signal("add_message", {"role": "user", "content": "now?"})
        await handle.result()
        history = await handle.fetch_history()
    limits = {
        event.activity_task_scheduled_event_attributes.activity_type.name: (
            event.activity_task_scheduled_event_attributes.heartbeat_timeout.ToTimedelta()
        )
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    }
    assert set(limits) == {
        "begin_execution", "start_turn", "call_model", "run_tool", "save_messages", "finish_turn", "give_up_turn",
        "end_execution",
    }  # fmt: skip
    assert {name: limit for name, limit in limits.items() if not timedelta() < limit <= timedelta(seconds=10)} == {}


async def test_an_execution_that_nobody_attends_fails_all_the_same(client: Client) -> None:
    def refuse(call: ModelCall) -> ModelReply:
        raise ApplicationError("The quota is used up.", "llm_model_error", type="GatewayPassing", non_retryable=True)

    world = World(answer=refuse, hold_model=asyncio.Event())
    async with serving(client, world) as queue:
        handle = await start(client, queue)
        await handle.signal("mark_as_done")
        assert world.hold_model is not None
        world.hold_model.set()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert world.given_up == []
    assert [end.error for end in world.ends] == ["The quota is used up."]
