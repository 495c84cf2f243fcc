"""Limits of one skill's calls, over a real Temporal: they hold there, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.engine import new_agent, running_engine
from tests.support.executions import tool
from tests.support.playground import Stage
from worker_core.settings.call_limits import read_call_limit


async def test_limits_of_a_skill(stage: Stage, tmp_path: Path) -> None:
    said = ("python.memory_mb=200", "shell.time=1", "another-queue.time=1")
    agent_id = await new_agent(stage)
    python = f"!tool python {json.dumps({'code': 'x = bytearray(400 << 20)'})}"
    async with running_engine(stage, tmp_path, tool_limits=tuple(map(read_call_limit, said))) as rig:
        lines = ["go", python, tool("sleep 60"), tool("echo quick", "!say done")]
        execution_id = await rig.execute("\n".join(lines), agent_id=agent_id)
        await rig.reach(execution_id, "waiting_for_input")
        memory, time, quick = (one["data"] for one in await rig.sent(execution_id, "tool_completed"))
    assert "MemoryError" in memory["tool_output"]
    assert time["tool_error"].startswith("It did not end within 1 s")
    assert quick["tool_output"] == "quick\n"
