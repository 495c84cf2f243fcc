"""When a workflow has come to its end."""

from __future__ import annotations

import asyncio

from temporalio.client import Client, WorkflowExecutionStatus

LOOK_EVERY_SECONDS = 0.05


async def closed(client: Client, workflow_id: str) -> None:
    """Return when the workflow, and its parent if it has one, run no more.

    Raises:
        RPCError: there is no such workflow, or the server may not or cannot tell.

    """
    waited_for: str | None = workflow_id
    while waited_for is not None:
        described = await client.get_workflow_handle(waited_for).describe()
        if described.status is WorkflowExecutionStatus.RUNNING:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        else:
            waited_for = described.parent_id
