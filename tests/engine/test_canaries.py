"""After a whole run, no key of the worker stands anywhere but where it belongs."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from temporalio.client import Client

from tests.engine.test_executions import tool
from tests.support.engine import new_agent, new_queue
from tests.support.playground import Stage, until
from tests.support.worker_process import worker_process
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.secrets import Secret

DECLARED = "declared-canary-71c2e9f04b"
"""A secret of the execution: its own tools may have it, and nobody may read of it."""


async def test_a_canary_is_in_no_sink_after_a_full_run(stage: Stage, tmp_path: Path) -> None:
    own = [stage.info.api_key, stage.info.llm_api_key]
    assert all(len(key) > 10 for key in own)
    queue = await new_queue(stage)
    agent = await new_agent(
        stage,
        execution_environment={"env_vars": {"MY_TOKEN": DECLARED, "STOLEN": stage.info.llm_api_key}},
    )
    client = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    prompt = "\n".join(
        [
            "canaries",
            tool("echo $MY_TOKEN; echo $MY_TOKEN | rev | rev; printf %s $MY_TOKEN | base64; echo got:${#MY_TOKEN}"),
            tool("tr '\\0' '\\n' < /proc/$PPID/environ"),
            f"!tool python {json.dumps({'code': 'import os; print(os.environ)'})}",
            f"!tool write_file {json.dumps({'path': 'kept.txt', 'content': 'nothing secret'})}",
            tool(f"echo {DECLARED} >&2; exit 3"),
            "!say over",
        ]
    )
    with worker_process(stage, tmp_path, queue, KUBIYA_WORKER_SANDBOX="auto", LOG_LEVEL="DEBUG") as worker:
        await asyncio.to_thread(worker.wait_ready)
        wish = Execute(prompt=prompt.replace(DECLARED, "$MY_TOKEN"), worker_queue_id=queue)
        execution_id = (await client.execute_agent(agent, wish)).execution_id

        async def over() -> bool:
            return (await client.get_execution(execution_id)).status == "waiting_for_input"

        await until(over)
        assert worker.terminate() == 0
        worker.read_to_the_end()
        printed = "\n".join([*worker.lines, *worker.log])
    async with stage.client() as api:
        events = (await api.get(f"/executions/{execution_id}/events?origin=worker")).text
        session = (await api.get(f"/executions/{execution_id}/session")).text
        record = (await api.get(f"/executions/{execution_id}")).text
    temporal = await Client.connect(stage.info.temporal_host)
    history: Any = json.loads(
        (await temporal.get_workflow_handle(f"agent-execution-{execution_id}").fetch_history()).to_json()
    )
    await client.aclose()
    sinks = {
        "what it printed": printed.encode(),
        "events": events.encode(),
        "session": session.encode(),
        "record": record.encode(),
        "history": json.dumps(history).encode() + b"".join(_payloads(history)),
        **{str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()},
    }
    assert any("kept.txt" in name for name in sinks)
    assert f"got:{len(DECLARED)}" in session, "the tool did have its variable"
    for name, content in sinks.items():
        for canary in (*own, DECLARED):
            for form in (canary.encode(), base64.b64encode(canary.encode()).rstrip(b"=")[:-1]):
                assert form not in content, f"a canary stands in {name}"


def _payloads(value: Any) -> list[bytes]:
    """Everything in base64 below, decoded."""
    if isinstance(value, dict):
        found = [one for part in value.values() for one in _payloads(part)]
        if isinstance(data := value.get("data"), str):
            found.append(base64.b64decode(data))
        return found
    return [one for part in value for one in _payloads(part)] if isinstance(value, list) else []
