"""`ScheduledJobWrapperWorkflow`: one run of a cron job (protocol, section 7.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ChildWorkflowError, is_cancelled_exception

from worker_core.agents.execution_input import LONGEST_ID
from worker_core.agents.messages import JOB_GONE, JobRecord, JobStatus
from worker_core.agents.workflows import retries
from worker_core.agents.workflows.model_loop import failure_of

_PASSED_ON = (
    "organization_id", "prompt", "system_prompt", "model_id", "model_config", "mcp_servers", "runtime_type",
)  # fmt: skip


@workflow.defn(name="ScheduledJobWrapperWorkflow")
class ScheduledJobWrapperWorkflow:
    """Makes the run's record, runs the agent or team as a child on the same queue, and says how it ended."""

    @workflow.run
    async def run(self, raw: Any = None) -> dict[str, Any]:
        given = {key: value for key, value in (raw if isinstance(raw, Mapping) else {}).items() if value is not None}
        execution_id = str(given.get("execution_id") or workflow.uuid4())[:LONGEST_ID]
        about = given.get("user_metadata")
        metadata: dict[str, Any] = {"trigger_type": "cron", **(about if isinstance(about, Mapping) else {})}
        job_id = str(metadata.get("job_id") or "")
        team = bool(given.get("team_id"))
        began = workflow.now()
        try:
            await workflow.execute_activity(
                "create_job_record",
                JobRecord(
                    execution_id=execution_id,
                    job_id=job_id,
                    kind="teams" if team else "agents",
                    entity_id=str(given.get("team_id") or given.get("agent_id") or ""),
                    prompt=str(given.get("prompt") or ""),
                    trigger_metadata={key: value for key, value in metadata.items() if key != "job_id"},
                ),
                start_to_close_timeout=retries.CONTROL_PLANE_CALL,
                heartbeat_timeout=retries.HEARTBEAT,
                retry_policy=retries.CONTROL_PLANE_RETRY,
            )
        except ActivityError as error:
            if failure_of(error).type != JOB_GONE:
                raise
            sentence = failure_of(error).message
            return {"status": "cancelled", "reason": "job_deleted", "execution_id": execution_id, "message": sentence}
        child = self._child_input(given, execution_id, metadata, team=team)
        try:
            result: dict[str, Any] = await workflow.execute_child_workflow(
                "TeamExecutionWorkflow" if team else "AgentExecutionWorkflow",
                child,
                id=f"{'team' if team else 'agent'}-execution-{execution_id}",
                result_type=dict,
            )
        except (ChildWorkflowError, asyncio.CancelledError) as error:
            status = "cancelled" if is_cancelled_exception(error) else "failed"
            sentence = failure_of(error.__cause__ or error).message if status == "failed" else ""
            await self._tell(execution_id, job_id, status, began=began, sentence=sentence)
            raise
        await self._tell(execution_id, job_id, "completed", began=began)
        return result

    async def _tell(self, execution_id: str, job_id: str, status: str, *, began: datetime, sentence: str = "") -> None:
        if not job_id:
            return
        await workflow.execute_activity(
            "set_job_status",
            JobStatus(
                execution_id=execution_id,
                job_id=job_id,
                status=status,
                duration_ms=round((workflow.now() - began) / timedelta(milliseconds=1)),
                error=sentence,
            ),
            start_to_close_timeout=retries.CONTROL_PLANE_CALL,
            heartbeat_timeout=retries.HEARTBEAT,
            retry_policy=_LAST_WORD,
        )

    def _child_input(
        self, given: Mapping[str, Any], execution_id: str, metadata: Mapping[str, Any], *, team: bool
    ) -> dict[str, Any]:
        """The table 7.3 or 7.5: never more than the child knows."""
        own = {"team_id": given.get("team_id"), "team_config": given.get("team_config") or given.get("config") or {}}
        if not team:
            own = {"agent_id": given.get("agent_id"), "agent_config": given.get("agent_config") or {}}
        passed = {key: given[key] for key in _PASSED_ON if key in given}
        return {"execution_id": execution_id, **own, **passed, "user_metadata": dict(metadata)}


_LAST_WORD = RetryPolicy(maximum_interval=timedelta(seconds=10), maximum_attempts=50)
