"""The worker of a version to come, whose workflows take another first step: `python -m tests.support.other_version`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from worker_core.agents.workflows.execution import ExecutionWorkflow
from worker_core.cli import main

_live = ExecutionWorkflow._live


async def live(self: ExecutionWorkflow, *given: Any) -> dict[str, Any]:
    await asyncio.sleep(0.01)  # in a workflow: a timer, which no history of before has
    return await _live(self, *given)


if __name__ == "__main__":
    ExecutionWorkflow._live = live  # type: ignore[method-assign]
    sys.exit(main())
