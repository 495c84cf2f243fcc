"""A sandbox for a call that its model still writes.

From the first piece of a call to its start it takes the rest of the answer, the end of one activity and the begin of
another: longer than a sandbox takes to be made. So it is made then, and an execution's first call finds one that
waits, as the later ones do. It holds nothing of the call, and nothing is decided by it: a call that is denied leaves it
unused, and it goes as all spares do (`sandbox/spares.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from worker_core.agents.activities.call_limits import limits_of_tool
from worker_core.agents.activities.gpu_calls import gpus_for
from worker_core.agents.activities.services import Services
from worker_core.basics.threads import in_thread
from worker_core.network.reachable import Network
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, Prepares
from worker_core.workspaces.workspace import Workspace

log = logging.getLogger(__name__)

NETWORK_OF: Final[Mapping[str, Network | None]] = {
    "shell": None,
    "python": None,
    **dict.fromkeys(("read_file", "write_file", "edit_file", "list_files", "search_files"), Network.OFF),
}
"""The tools that nearly always run in the walls that all calls of their execution share, and what they may reach there
(as in `Launcher.wrap`). Others start no process, or one of their own kind."""


def foresee(services: Services, *, execution_id: str, tool: str, queue_id: str) -> asyncio.Future[None] | None:
    """Make a sandbox for a call that is about to come, beside everything else.

    Args:
        services: of the engine.
        execution_id: whose call it is.
        tool: as the model names it.
        queue_id: by which the call's limits are found, and whether it has GPUs; who has them as an agent or by a
            skill's own name makes its own sandbox.

    Returns:
        What ends when it is there, or cannot be made, and raises nothing. None: there is nothing to make.
    """
    launcher, settings = services.launcher, services.settings
    # Where folders are granted, which of them it sees is known by the call alone.
    if tool not in NETWORK_OF or settings.folders or not isinstance(launcher, Prepares):
        return None

    def make() -> None:
        with suppress(OSError):  # the call meets it again, and says so
            found = gpus_for(settings, skill_type=tool, names=(queue_id, tool))
            workspace = Workspace.open(services.workspaces, execution_id).path
            command = Command(
                argv=(),
                cwd=workspace,
                environment=tool_environment({}, call_mark=f"{execution_id}/"),
                limits=limits_of_tool(settings, queue_id=queue_id, skill=None).processes,
                gpus=None if found is None else found.grant,
                is_call=True,
            )
            launcher.prepare(command, workspace=workspace, network=NETWORK_OF[tool])

    try:
        return in_thread(make)
    except RuntimeError as error:  # there are no threads any more
        log.debug("No sandbox is made for a call of %s: %s", tool, error)
        return None
