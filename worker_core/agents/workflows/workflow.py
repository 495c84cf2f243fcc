"""The workflow types that the control plane starts. Names, inputs and results are the protocol's (section 7)."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.workflows.carried import Carried
from worker_core.agents.workflows.execution import ExecutionWorkflow
from worker_core.agents.workflows.model_loop import Spent, failure_of


@workflow.defn(name="AgentExecutionWorkflow")
class AgentExecutionWorkflow(ExecutionWorkflow):
    """One execution of an agent: turns until the server, the user or a failure ends it."""

    @workflow.run
    async def run(self, raw: Any = None, carried: Carried | None = None) -> dict[str, Any]:
        execution = ExecutionInput.from_wire(raw, kind="agents", fallback_id=str(workflow.uuid4()))
        return await self._live(raw, execution, carried)


@workflow.defn(name="TeamExecutionWorkflow")
class TeamExecutionWorkflow(ExecutionWorkflow):
    """One execution of a team: the leader answers, and gives its members tasks as it would call tools."""

    @workflow.run
    async def run(self, raw: Any = None, carried: Carried | None = None) -> dict[str, Any]:
        execution = ExecutionInput.from_wire(raw, kind="teams", fallback_id=str(workflow.uuid4()))
        return await self._live(raw, execution, carried)


@workflow.defn(name="DynamicAgentExecutionWorkflow")
class DynamicAgentExecutionWorkflow(ExecutionWorkflow):
    """One turn of an agent that exists in the input alone. A failure is its result, not an error (7.7)."""

    turns_end = False

    @workflow.run
    async def run(self, raw: Any = None) -> dict[str, Any]:
        execution = ExecutionInput.from_dynamic_wire(raw, fallback_id=str(workflow.uuid4()))
        self._take(raw, execution)
        progress = self._progress
        progress.status = "running"
        try:
            await self._begin()
            progress.turn = 1
            await self._answer(Spent())
        except (Exception, asyncio.CancelledError) as error:
            if is_cancelled_exception(error):
                await self._end("cancelled", interrupted=True)
                raise
            failure = failure_of(error)
            self._error = failure.message
            await self._end("failed", failure=failure)
            return self._dynamic_result("FAILED")
        await self._end("completed")
        return self._dynamic_result("COMPLETED")

    async def _between_calls(self, spent: Spent) -> None:  # noqa: ARG002
        await self._save_if_much()

    def _dynamic_result(self, status: str) -> dict[str, Any]:
        return {
            "status": status,
            "response": self._progress.response or None,
            "error_message": self._error,
            "usage": self._progress.usage.to_wire(),
        }
