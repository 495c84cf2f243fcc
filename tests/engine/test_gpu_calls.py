"""GPUs of one agent's calls, over a real Temporal: another's see none. The nodes are stand-ins."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.engine import new_agent, running_engine
from tests.support.executions import tool
from tests.support.gpus import GPUS
from tests.support.playground import Stage
from tests.support.walls import needs_bubblewrap
from worker_core.machine import gpus
from worker_core.machine.gpus import NO_GPU, Found

LOOK = "ls /dev | grep nvidia | tr '\\n' ' '; echo $CUDA_VISIBLE_DEVICES"


class Machine:
    found = Found(grant=GPUS)

    def find(self, wanted: str) -> Found:
        return self.found


@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is Linux's")
@needs_bubblewrap
async def test_another_execution_without_the_grant_sees_none(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    monkeypatch.setattr(gpus, "MACHINE", machine)
    chosen, other = await new_agent(stage), await new_agent(stage)
    code = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"
    python = f"!tool python {json.dumps({'code': code})}"
    told: dict[str, list[str]] = {}
    async with running_engine(
        stage, tmp_path, sandbox="auto", require_sandbox="always", gpu="all", gpu_for=(chosen,), gpu_calls=1
    ) as rig:
        for agent_id in (chosen, other):
            execution_id = await rig.execute("\n".join(["go", tool(LOOK), python, tool(LOOK)]), agent_id=agent_id)
            await rig.reach(execution_id, "waiting_for_input")
            completed = await rig.sent(execution_id, "tool_completed")
            assert {one["data"]["sandbox"] for one in completed} == {"bubblewrap"}
            told[agent_id] = [one["data"]["tool_output"] for one in completed]
        machine.found = Found(grant=NO_GPU, problem="This machine has no GPU 7.")
        execution_id = await rig.execute("\n".join(["go", tool(LOOK)]), agent_id=chosen)
        await rig.reach(execution_id, "waiting_for_input")
        [without] = await rig.sent(execution_id, "tool_completed")
        said = [one["data"]["message"] for one in await rig.sent(execution_id, "tool_progress")]
    nodes = "nvidia-caps nvidia-uvm nvidia0 nvidiactl 0\n"
    assert told == {chosen: [nodes, "0\n", nodes], other: ["-1\n", "-1\n", "-1\n"]}
    assert without["data"]["tool_output"] == "-1\n"
    assert "This machine has no GPU 7." in said
