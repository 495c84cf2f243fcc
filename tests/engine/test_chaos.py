"""Two workers of one machine on one queue, killed at random moments: every execution completes, nothing runs twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.support.engine import home, new_queue
from tests.support.executions import Viewer, sequences, submit, tool
from tests.support.playground import Stage
from tests.support.worker_process import worker_process
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.secrets import Secret

EXECUTIONS = 50
KILLS = 4
SEED = 20261124


@pytest.mark.timeout(400)
async def test_kills_at_random_moments_repeat_nothing_and_lose_nothing(stage: Stage, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    queue = await new_queue(stage)
    client = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    viewer = Viewer(stage, client)
    prompts = [
        "\n".join(
            [
                f"chaos {number} {queue}",
                tool("echo one >> calls"),
                f"!stream 20 {chance.randint(1, 40)}",
                tool(f"sleep {chance.random():.2f}; echo two >> calls"),
                "!say over",
            ]
        )
        for number in range(EXECUTIONS)
    ]
    executions = [await submit(stage, client, queue, prompt) for prompt in prompts]

    async def finished() -> bool:
        records = await asyncio.gather(*(client.get_execution(one) for one in executions))
        assert not [record.error_message for record in records if record.status == "failed"]
        return all(record.status == "waiting_for_input" for record in records)

    for _ in range(KILLS):
        with worker_process(stage, tmp_path, queue) as first, worker_process(stage, tmp_path, queue) as second:
            first.wait_ready()
            second.wait_ready()
            await asyncio.sleep(chance.uniform(0.2, 1.5))  # the moment is what chance decides, not what is waited for
            first.kill()
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            second.kill()
    with worker_process(stage, tmp_path, queue) as last:
        last.wait_ready()
        async with asyncio.timeout(300):
            while not await finished():
                await asyncio.sleep(0.1)
        assert last.terminate() == 0

    for number, execution_id in enumerate(executions):
        calls = Counter((home(tmp_path).workspaces / execution_id / "calls").read_text().split())
        assert calls["one"] <= 1, "a tool call was made twice"
        assert calls["two"] <= 1, "a tool call was made twice"
        session = await client.load_session(execution_id)
        assert session is not None
        outputs = [message["content"] for message in session["messages"] if message["role"] == "tool"]
        assert len(outputs) == 2
        for word, output in zip(("one", "two"), outputs, strict=True):
            # What did not take effect is not claimed: it was cut off in mid-call, and the model was told so.
            assert calls[word] == 1 or "unknown" in output
        events = await viewer.sent(execution_id)
        assert sequences(events) == sorted(set(sequences(events)))
        asked = len(stage.model_calls(f"chaos {number} {queue}"))
        assert asked <= 3 + KILLS, "completed model calls were repeated"
    await client.aclose()
