"""A conversation on a real Temporal whose activities are played by the test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from worker_core.agents.messages import (
    Begin,
    Begun,
    EndExecution,
    FinishTurn,
    GiveUpTurn,
    Message,
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
    asked_by: str = ""
    first: ModelReply | None = None
    """The answer that comes with the beginning."""

    decision: TurnDecision | None = None
    """What comes with that answer, where it ended its turn."""

    ends_with_its_turn: Callable[[FinishTurn], bool] = lambda turn: False
    earlier: tuple[Message, ...] = ()
    homes_lost: int = 0
    """So many beginnings lead to a machine that is gone before it takes anything."""

    meanwhile: Callable[[FinishTurn], Awaitable[None]] | None = None
    """While a turn is finished."""

    while_it_begins: Callable[[], Awaitable[None]] | None = None

    begun: list[Begin] = field(default_factory=list)
    model_calls: list[ModelCall] = field(default_factory=list)
    tool_calls: list[RunTool] = field(default_factory=list)
    finished: list[FinishTurn] = field(default_factory=list)
    turns_announced: list[int] = field(default_factory=list)
    given_up: list[GiveUpTurn] = field(default_factory=list)
    ends: list[EndExecution] = field(default_factory=list)
    saved: list[SaveMessages] = field(default_factory=list)
    refuses_turns: bool = False
    """Later ones cannot be announced."""

    hold_model: asyncio.Event | None = None
    model_call_limit: int = 5
    context_limit_tokens: int = 100_000
    running_now: int = 0
    most_at_once: int = 0

    def activities(self, home: str) -> list[Callable[..., Any]]:
        @activity.defn(name="begin_execution")
        async def begin(request: Begin) -> Begun:
            self.begun.append(request)
            lost = len(self.begun) <= self.homes_lost
            if self.while_it_begins is not None and not request.home_lost:
                await self.while_it_begins()
            return Begun(
                home_queue=f"{home}@gone" if lost else home,
                host_id="gone" if lost else "host",
                persona=Persona(model="scripted", system_prompt="be brief", tools=self.tools, entity_id="a"),
                timeouts=Timeouts(
                    heartbeat=60.0 if self.meanwhile else 5.0,  # calls hear of a cancellation within that
                    home_lost_after=1.0 if lost else 300.0,
                ),
                model_call_limit=self.model_call_limit,
                context_limit_tokens=self.context_limit_tokens,
                earlier=self.earlier,
                asked_by=self.asked_by,
                answer=self.first if request.asks_ahead else None,
                decision=self.decision if request.asks_ahead else None,
            )

        @activity.defn(name="start_turn")
        async def start_turn(turn: StartTurn) -> None:
            self.turns_announced.append(turn.turn)
            if self.refuses_turns:
                raise ApplicationError("no", non_retryable=True)

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
            if self.meanwhile is not None:
                await self.meanwhile(turn)
            return TurnDecision(status=self.decide(turn), ended=self.ends_with_its_turn(turn))

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
async def serving(client: Client, world: World, *, queue: str = "") -> AsyncIterator[str]:
    queue = queue or str(uuid.uuid4())
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


async def until_told(handle: WorkflowHandle[Any, Any], event: str) -> None:
    """Until the history has it: the workflow hears of it before it hears of what ends meanwhile."""
    async with asyncio.timeout(60):
        while f"EVENT_TYPE_WORKFLOW_EXECUTION_{event}" not in await events(handle):
            await asyncio.sleep(0.02)


async def events(handle: WorkflowHandle[Any, Any]) -> list[str]:
    return [EventType.Name(event.event_type) async for event in handle.fetch_history_events()]
