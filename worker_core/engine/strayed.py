"""Executions that this worker counts as its own, while another one goes on with them, or nobody.

Several workers of a machine share its steps, so a turn that began here may go on, and end, elsewhere; and who
terminates an execution tells no worker. Such a one would hold a place here for a quarter of an hour, and a drain would
wait for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from worker_core.agents.activities.services import Services
from worker_core.control_plane.errors import ControlPlaneError

log = logging.getLogger(__name__)

AT_ONCE: Final = 20
"""Looked at in one go."""

_MID_TURN: Final = frozenset({"pending", "running", "paused", "waiting_for_approval"})
_LIMIT: Final = timedelta(seconds=5)


async def let_go(services: Services, client_of: Callable[[str], Client | None]) -> list[str]:
    """Look at executions without a step, and forget those that are not this worker's any more.

    Args:
        services: of the engine.
        client_of: Temporal's client of a queue; None while there is none.

    Returns:
        Their ids. Where something cannot be learnt, an execution stays.
    """
    gone = []
    for one in services.tracker.without_steps()[:AT_ONCE]:
        client = client_of(one.queue_id)
        if client is None or not one.workflow_id or await _is_here(services, client, one.execution_id, one.workflow_id):
            continue
        if services.tracker.forget_untouched(one):
            log.info("Execution %s does not go on here; its place is free.", one.execution_id)
            gone.append(one.execution_id)
    return gone


async def _is_here(services: Services, client: Client, execution_id: str, workflow_id: str) -> bool:
    try:
        found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=_LIMIT)
    except RPCError as error:
        return error.status is not RPCStatusCode.NOT_FOUND
    if found.status is not WorkflowExecutionStatus.RUNNING:
        return False
    if pending := found.raw_description.pending_activities:
        return any(
            one.state != PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
            or one.last_worker_identity == client.identity
            for one in pending
        )
    try:
        record = await services.client.get_execution(execution_id)
    except ControlPlaneError:
        return True
    return record.status in _MID_TURN
