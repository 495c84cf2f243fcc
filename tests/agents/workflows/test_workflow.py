"""The workflow against a real Temporal server; only what lies behind its activities is made up."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from worker_core.agents.messages import (
    Begin,
    Begun,
    EndExecution,
    FinishTurn,
    GiveUpTurn,
    ModelCall,
    ModelReply,
    Persona,
    RunTool,
    SaveMessages,
    StartTurn,
    Timeouts,
    ToolCall,
    ToolOutcome,
    TurnDecision,
    Usage,
)
from worker_core.agents.workflows.workflow import AgentExecutionWorkflow


def reply(content: str, *calls: ToolCall) -> ModelReply:
    return ModelReply(
        content=content,
        message_id="m",
        model="scripted",
        finish_reason="tool_calls" if calls else "stop",
        tool_calls=calls,
        usage=Usage(prompt_tokens=10, completion_tokens=2, total_tokens=12),
    )


def tool(name: str, call_id: str = "call_1", arguments: str = "{}") -> ToolCall:
    return ToolCall(call_id=call_id, name=name, arguments=arguments)


@dataclass
class World:
    """Stands behind the activities and remembers what they were asked."""

    answer: Callable[[ModelCall], ModelReply]
    decide: Callable[[FinishTurn], str] = lambda turn: "completed"
    run: Callable[[RunTool], ToolOutcome] = lambda request: ToolOutcome(succeeded=True, output="done")
    tools: tuple[dict[str, Any], ...] = ()
    begun: list[Begin] = field(default_factory=list)
    model_calls: list[ModelCall] = field(default_factory=list)
    tool_calls: list[RunTool] = field(default_factory=list)
    finished: list[FinishTurn] = field(default_factory=list)
    turns_announced: list[int] = field(default_factory=list)
    given_up: list[GiveUpTurn] = field(default_factory=list)
    ends: list[EndExecution] = field(default_factory=list)
    saved: list[SaveMessages] = field(default_factory=list)
    hold_model: asyncio.Event | None = None
    model_call_limit: int = 5
    context_limit_tokens: int = 100_000
    running_now: int = 0
    most_at_once: int = 0

    def activities(self, home: str) -> list[Callable[..., Any]]:
        @activity.defn(name="begin_execution")
        async def begin(request: Begin) -> Begun:
            self.begun.append(request)
            return Begun(
                home_queue=home,
                host_id="host",
                persona=Persona(model="scripted", system_prompt="be brief", tools=self.tools, entity_id="a"),
                timeouts=Timeouts(heartbeat=5.0),
                model_call_limit=self.model_call_limit,
                context_limit_tokens=self.context_limit_tokens,
            )

        @activity.defn(name="start_turn")
        async def start_turn(turn: StartTurn) -> None:
            self.turns_announced.append(turn.turn)

        @activity.defn(name="call_model")
        async def call_model(call: ModelCall) -> ModelReply:
            self.model_calls.append(call)
            if self.hold_model is not None:
                while not self.hold_model.is_set():
                    activity.heartbeat()
                    await asyncio.sleep(0.02)
            return self.answer(call)

        @activity.defn(name="run_tool")
        async def run_tool(request: RunTool) -> ToolOutcome:
            self.tool_calls.append(request)
            self.running_now += 1
            self.most_at_once = max(self.most_at_once, self.running_now)
            await asyncio.sleep(0.05)
            self.running_now -= 1
            return self.run(request)

        @activity.defn(name="finish_turn")
        async def finish_turn(turn: FinishTurn) -> TurnDecision:
            self.finished.append(turn)
            return TurnDecision(status=self.decide(turn))

        @activity.defn(name="give_up_turn")
        async def give_up(turn: GiveUpTurn) -> TurnDecision:
            self.given_up.append(turn)
            return TurnDecision(status="waiting_for_input")

        @activity.defn(name="end_execution")
        async def end(request: EndExecution) -> None:
            self.ends.append(request)

        @activity.defn(name="save_messages")
        async def save(request: SaveMessages) -> None:
            self.saved.append(request)

        return [begin, start_turn, call_model, run_tool, save, finish_turn, give_up, end]


@asynccontextmanager
async def serving(client: Client, world: World) -> AsyncIterator[str]:
    queue = str(uuid.uuid4())
    async with Worker(
        client,
        task_queue=queue,
        workflows=[AgentExecutionWorkflow],
        activities=world.activities(queue),
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield queue


async def start(client: Client, queue: str, **changes: Any) -> WorkflowHandle[Any, dict[str, Any]]:
    execution_id = str(uuid.uuid4())
    given: dict[str, Any] = {
        "execution_id": execution_id,
        "agent_id": "a",
        "organization_id": "acme",
        "prompt": "hello",
        "system_prompt": None,
        "model_id": None,
        "model_config": None,
        "agent_config": None,
        "mcp_servers": None,
        "user_metadata": {"user_email": "a@b.c"},
        "runtime_type": None,
        "api_key": "tok-canary",
        "control_plane_url": "http://elsewhere.test",
        "something_new": [1, 2],
        **changes,
    }
    return await client.start_workflow(
        "AgentExecutionWorkflow", given, id=f"agent-execution-{execution_id}", task_queue=queue, result_type=dict
    )


async def until_state(handle: WorkflowHandle[Any, Any], status: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            state: dict[str, Any] = await handle.query("get_state")
            if state["status"] == status:
                return state
            await asyncio.sleep(0.02)


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
