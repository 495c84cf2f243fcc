"""A process that runs one shell call as a worker would: `python -m tests.support.worker_like ROOT COMMAND`.

Prints the call's result and its own peak memory as JSON.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import resource
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from worker_core.sandbox.direct import DirectLauncher
from worker_core.tools.base import ToolContext
from worker_core.tools.shell import ShellTool
from worker_core.workspaces.workspace import Workspace


async def main(root: str, command: str) -> None:
    workspace = await asyncio.to_thread(Workspace.open, Path(root), "execution")
    context = ToolContext(
        execution_id="execution",
        call_id="call",
        workspace=workspace,
        launcher=DirectLauncher(),
        timeout=timedelta(seconds=60),
    )
    tool = ShellTool(timeout=timedelta(seconds=60))
    await tool.run({"command": "true"}, context)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = await tool.run({"command": command}, context)
    unit = 1024 if sys.platform == "darwin" else 1  # bytes there, kilobytes elsewhere
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sys.stdout.write(json.dumps({**dataclasses.asdict(result), "peak_grown_kb": grown // unit}))


ROOT = Path(__file__).parents[2]


def start_worker_like(tmp_path: Path, command: str, **variables: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.worker_like", str(tmp_path), command],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
