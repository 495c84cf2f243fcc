"""The activities of an execution, as the SDK knows them. Their names are this worker's own; the server never sees them.

What they do is in `steps.py`, which brings half of the worker: it is imported when the first one is called, so that a
worker that waits for work is small and starts quickly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from temporalio import activity

from worker_core.agents.messages import (
    Begin,
    Begun,
    ClaudeReply,
    ClaudeTurn,
    EndExecution,
    FinishTurn,
    GiveUpTurn,
    JobRecord,
    JobStatus,
    ModelCall,
    ModelReply,
    RunTool,
    SaveMessages,
    StartTurn,
    ToolOutcome,
    TurnDecision,
)

if TYPE_CHECKING:
    from worker_core.agents.activities.services import QueueContext, Services
    from worker_core.agents.activities.steps import Steps


class AgentActivities:
    """One instance per queue."""

    def __init__(self, services: Services, queue: QueueContext) -> None:
        self._services = services
        self._queue = queue
        self._made: Steps | None = None

    def leave(self) -> None:
        """The worker leaves: said before its pollers stop."""
        if self._made is not None:
            self._made.leave()

    def at_the_queue(self) -> Sequence[Callable[..., Any]]:
        """What runs on the shared queue: the step that finds an execution its home, and an end without one."""
        return (self.begin_execution, self.end_execution, self.create_job_record, self.set_job_status)

    def at_home(self) -> Sequence[Callable[..., Any]]:
        """What runs on this machine's own queue."""
        return (
            self.start_turn,
            self.call_model,
            self.run_tool,
            self.run_claude_turn,
            self.save_messages,
            self.finish_turn,
            self.give_up_turn,
            self.end_execution,
        )

    @activity.defn(name="begin_execution")
    async def begin_execution(self, begin: Begin) -> Begun:
        return await (await self._steps()).begin_execution(begin)

    @activity.defn(name="start_turn")
    async def start_turn(self, turn: StartTurn) -> None:
        await (await self._steps()).start_turn(turn)

    @activity.defn(name="call_model")
    async def call_model(self, call: ModelCall) -> ModelReply:
        return await (await self._steps()).call_model(call)

    @activity.defn(name="run_claude_turn")
    async def run_claude_turn(self, turn: ClaudeTurn) -> ClaudeReply:
        return await (await self._steps()).run_claude_turn(turn)

    @activity.defn(name="run_tool")
    async def run_tool(self, request: RunTool) -> ToolOutcome:
        return await (await self._steps()).run_tool(request)

    @activity.defn(name="save_messages")
    async def save_messages(self, save: SaveMessages) -> None:
        await (await self._steps()).save_messages(save)

    @activity.defn(name="finish_turn")
    async def finish_turn(self, turn: FinishTurn) -> TurnDecision:
        return await (await self._steps()).finish_turn(turn)

    @activity.defn(name="give_up_turn")
    async def give_up_turn(self, turn: GiveUpTurn) -> TurnDecision:
        return await (await self._steps()).give_up_turn(turn)

    @activity.defn(name="end_execution")
    async def end_execution(self, end: EndExecution) -> None:
        await (await self._steps()).end_execution(end)

    @activity.defn(name="create_job_record")
    async def create_job_record(self, job: JobRecord) -> None:
        await (await self._steps()).create_job_record(job)

    @activity.defn(name="set_job_status")
    async def set_job_status(self, job: JobStatus) -> None:
        await (await self._steps()).set_job_status(job)

    async def _steps(self) -> Steps:
        if self._made is None:
            steps = await asyncio.to_thread(_imported)
            if self._made is None:  # the first ones come together, and share what they begin
                self._made = steps(self._services, self._queue)
        return self._made


def _imported() -> type[Steps]:
    from worker_core.agents.activities.steps import Steps

    return Steps
