"""500 tool outputs of 50 KB each in one conversation: a real worker process, a real Temporal, the instant model.

Each time in 100 turns of five calls; with KUBIYA_SLOW_TESTS=1 in 500 turns of one call too. What
grows with a conversation grows alike. Outputs are random, so that no compression helps, and have no `I`: one in
thirty thousand had what looks like Google's and Amazon's keys (AIza, AKIA), and that is masked.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from temporalio.client import Client

from tests.support.engine import home, new_agent, new_queue
from tests.support.playground import Stage
from tests.support.worker_process import worker_process
from worker_core.agents.activities import session_store
from worker_core.agents.compaction import HEADER
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.secrets import Secret

CALLS = 500
OUTPUT_BYTES = 50_000

GROWTH_LIMIT_BYTES = 30_000_000
"""From output 100 to output 500. Measured: 14 MB, up and down with the garbage collector, which lets go what a workflow
that was continued as new had held; 400 outputs that were kept would be 20 MB more, and 80 MB with their copies."""

HISTORY_LIMIT_BYTES = 12_000_000
HISTORY_LIMIT_EVENTS = 6_000
"""Of one run. Temporal proposes to continue as new at 4 MB or 4096 events, and ends a workflow at 50 MB or 51 200."""


@pytest.mark.skipif(sys.platform == "win32", reason="the command that makes the output is one of a POSIX shell")
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "turns",
    [
        100,
        pytest.param(
            CALLS,
            marks=pytest.mark.skipif(
                not os.environ.get("KUBIYA_SLOW_TESTS"), reason="minutes: set KUBIYA_SLOW_TESTS=1"
            ),
        ),
    ],
)
async def test_five_hundred_outputs_leave_history_session_and_memory_flat(
    stage: Stage, tmp_path: Path, turns: int
) -> None:
    each = CALLS // turns
    queue, agent = await new_queue(stage), await new_agent(stage, skills=("shell",))
    client = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    command = f"head -c {OUTPUT_BYTES} /dev/urandom | base64 -w 100 | tr I i | head -c {OUTPUT_BYTES}"
    calls = ["!parallel", *[f"!tool shell {json.dumps({'command': command})}"] * each]
    memory: dict[int, int] = {}
    sessions: list[int] = []

    def prompt(turn: int) -> str:
        return "\n".join([f"long {queue}, turn {turn}", *calls, f"!say turn {turn} done"])

    async def over(execution_id: str, turn: int) -> None:
        async with asyncio.timeout(60):
            while True:
                record = await client.get_execution(execution_id)
                assert record.status not in {"failed", "completed", "cancelled"}, record.error_message
                turns = record.execution_metadata.get("conversation_turns")
                if record.status == "waiting_for_input" and turns == turn:
                    return
                await asyncio.sleep(0.03)

    with worker_process(stage, tmp_path, queue) as worker:
        worker.wait_ready()
        process = psutil.Process(worker.process.pid)
        submitted = await client.execute_agent(agent, Execute(prompt=prompt(1), worker_queue_id=queue))
        execution_id = submitted.execution_id
        await over(execution_id, 1)
        for turn in range(2, turns + 1):
            await client.send_message(execution_id, prompt(turn))
            await over(execution_id, turn)
            if turn * each % 100 == 0:
                memory[turn * each] = process.memory_info().rss
                sessions.append(len(msgspec.json.encode(await client.load_session(execution_id))))
        await client.mark_done(execution_id)
        assert worker.terminate() == 0
    await client.aclose()

    assert memory[500] - memory[100] < GROWTH_LIMIT_BYTES, memory
    assert max(sessions) <= session_store.LARGEST_SESSION_BYTES * 1.05, sessions
    temporal = await Client.connect(stage.info.temporal_host)
    runs = [run async for run in temporal.list_workflows(f"WorkflowId = 'agent-execution-{execution_id}'")]
    assert len(runs) > 1, "the history was never handed on"
    described = [await temporal.get_workflow_handle(run.id, run_id=run.run_id).describe() for run in runs]
    assert max(one.raw_info.history_size_bytes for one in described) < HISTORY_LIMIT_BYTES
    assert max(one.history_length for one in described) < HISTORY_LIMIT_EVENTS

    workspace = home(tmp_path).workspaces / execution_id
    whole = [one.read_bytes() for one in (workspace / ".kubiya/outputs").iterdir()]
    assert len(whole) == CALLS
    assert {len(one) for one in whole} == {OUTPUT_BYTES}
    transcript = [json.loads(line) for line in (workspace / session_store.TRANSCRIPT).read_text().splitlines()]
    assert_whole(transcript, turns=turns)


def assert_whole(transcript: list[dict[str, Any]], *, turns: int) -> None:
    """Every message once, in order, tools' outputs as the model read them, and no summary."""
    ids = [message["message_id"] for message in transcript]
    assert len(ids) == len(set(ids))
    users = [message["content"].splitlines()[0] for message in transcript if message["role"] == "user"]
    assert [text.rpartition(" ")[2] for text in users] == [str(turn) for turn in range(1, turns + 1)]
    answers = [message["content"] for message in transcript if message["role"] == "assistant"]
    assert len(answers) == turns  # a summary in mid-turn takes the script's words from the model: it then says others
    assert answers[0] == "turn 1 done"
    outputs = [message["content"] for message in transcript if message["role"] == "tool"]
    assert len(outputs) == CALLS
    assert min(map(len, outputs)) > 29_000
    assert all("the whole output is in .kubiya/outputs/" in one for one in outputs)
    assert not any(HEADER in str(message["content"]) for message in transcript)
