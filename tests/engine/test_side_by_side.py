"""One execution is hostile, another goes on beside it: what the hostile one does costs the other little of the loop."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Rig, new_agent, running_engine
from tests.support.playground import Stage, until

SERVER = Path(__file__).resolve().parents[1] / "mcp" / "strange_server.py"
ROUNDS = 3
MOST_TIMES_AS_LONG = 2.0


async def flooding(stage: Stage, kind: str) -> tuple[str, str]:
    """An agent, and the call with which its model floods the worker for as long as the test lasts."""
    if kind == "output":
        agent = await new_agent(stage, skills=("shell",))
        return agent, f"!tool shell {json.dumps({'command': 'yes 0123456789 | head -c 45000000'})}"
    servers: dict[str, Any] = {"strange": {"command": sys.executable, "args": [str(SERVER)]}}
    agent = await new_agent(stage, execution_environment={"mcp_servers": servers})
    return agent, f"!tool strange__{kind} {json.dumps({'number': 1_000_000})}"


async def streamed(rig: Rig, number: int) -> float:
    """Seconds that an answer takes which comes word by word: hundreds of turns of the loop, and little work."""
    began = time.perf_counter()
    execution_id = await rig.execute(f"beside {number}\n!stream 200 5")
    record = await rig.reach(execution_id, "waiting_for_input", "failed")
    assert "word199" in record.response
    seconds = time.perf_counter() - began
    await rig.client.mark_done(execution_id)
    return seconds


@pytest.mark.parametrize("kind", ["output", "errors"])
async def test_a_flood_takes_little_of_the_loop_from_another_execution(kind: str, stage: Stage, tmp_path: Path) -> None:
    agent, line = await flooding(stage, kind)
    times = []
    async with running_engine(stage, tmp_path) as rig:
        await streamed(rig, 0)  # what is imported once is there then
        for number in range(ROUNDS):
            alone = await streamed(rig, 2 * number + 1)
            hostile = await rig.execute(f"hostile {kind} {number}\n{line}\n!say over", agent_id=agent)
            await until(lambda hostile=hostile: rig.sent(hostile, "tool_started"))
            times.append(await streamed(rig, 2 * number + 2) / alone)
            await rig.cancel(hostile)
            await rig.until(lambda: not rig.snapshot.executions)
            if times[-1] < MOST_TIMES_AS_LONG:
                break
    assert min(times) < MOST_TIMES_AS_LONG, times
