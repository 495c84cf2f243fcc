"""After a whole run, no key of the worker stands anywhere but where it belongs."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from temporalio.client import Client

from tests.support.engine import new_agent, new_queue
from tests.support.executions import tool
from tests.support.playground import Stage, until
from tests.support.worker_process import LIMIT_SECONDS, worker_process
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


UNDECLARED = "ghp_7Hq2mZx9Vb4Tc8Nf1Ks6Lw3Rj5Yp0Dg2Xa8C"
KEY_OF_THE_GATEWAY = "sk-canary-5b1e0c9d77"


async def test_a_failure_tells_no_secret_on_any_way(stage: Stage, tmp_path: Path) -> None:
    """A gateway that repeats everything it was given and more, to a worker whose key ends with a line break."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        [key] = [line for line in head.splitlines() if line.lower().startswith("authorization")]
        said = f"no {key} {DECLARED} https://me:pa55w0rd@host {UNDECLARED} {DECLARED.encode().hex()}"
        body = json.dumps({"error": {"message": said, "type": "invalid_request_error"}}).encode()
        writer.write(b"HTTP/1.1 400 X\r\ncontent-type: application/json\r\nconnection: close\r\n")
        writer.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    gateway = await asyncio.start_server(refuse, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{gateway.sockets[0].getsockname()[1]}/v1"
    queue = await new_queue(stage)
    agent = await new_agent(stage, execution_environment={"env_vars": {"MY_TOKEN": DECLARED}})
    client = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    given = {"LITELLM_API_BASE": address, "LITELLM_API_KEY": f"{KEY_OF_THE_GATEWAY}\n", "LOG_LEVEL": "DEBUG"}
    with worker_process(stage, tmp_path, queue, **given) as worker:
        await asyncio.to_thread(worker.wait_ready)
        wish = Execute(prompt="fails\n!say nothing", worker_queue_id=queue)
        execution_id = (await client.execute_agent(agent, wish)).execution_id

        async def over() -> bool:
            return (await client.get_execution(execution_id)).status == "failed"

        await until(over)
        told = await asyncio.to_thread(_program, stage, tmp_path, "execute", "--follow", execution_id)
        bundle = tmp_path / "bundle.zip"
        await asyncio.to_thread(_program, stage, tmp_path, "doctor", "--bundle", str(bundle), **given)
        assert worker.terminate() == 0
        worker.read_to_the_end()
        printed = "\n".join([*worker.lines, *worker.log])
    gateway.close()
    await gateway.wait_closed()
    async with stage.client() as api:
        events = (await api.get(f"/executions/{execution_id}/events?origin=worker")).text
        record = (await api.get(f"/executions/{execution_id}")).text
    temporal = await Client.connect(stage.info.temporal_host)
    history: Any = json.loads(
        (await temporal.get_workflow_handle(f"agent-execution-{execution_id}").fetch_history()).to_json()
    )
    await client.aclose()
    with zipfile.ZipFile(bundle) as opened:
        diagnostics = b"".join(opened.read(name) for name in opened.namelist())
    sinks = {
        "what the worker printed": printed.encode(),
        "what `execute` printed": told.encode(),
        "events": events.encode(),
        "record": record.encode(),
        "history": json.dumps(history).encode() + b"".join(_payloads(history)),
        "diagnostics": diagnostics,
        **{str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()},
    }
    for name in ("events", "record", "history", "what `execute` printed", "what the worker printed"):
        assert b"https://***@host" in sinks[name], f"the failure is told in {name}"
    database = b"".join(path.read_bytes() for path in stage.playground._data_dir.rglob("*") if path.is_file())
    for canary in (KEY_OF_THE_GATEWAY, UNDECLARED, "pa55w0rd"):
        assert canary.encode() not in database, f"{canary} stands in the control plane's database"
    for name, content in sinks.items():
        for canary in (
            KEY_OF_THE_GATEWAY,
            DECLARED,
            DECLARED.encode().hex(),
            UNDECLARED,
            "pa55w0rd",
            stage.info.api_key,
        ):
            assert canary.encode() not in content, f"{canary} stands in {name}"


def _program(stage: Stage, folder: Path, *arguments: str, **environment: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "worker_core", *arguments],
        env={
            **os.environ,
            "KUBIYA_WORKER_HOME": str(folder),
            "KUBIYA_API_KEY": stage.info.api_key,
            "CONTROL_PLANE_URL": stage.info.control_plane_url,
            "NO_COLOR": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    return done.stdout + done.stderr


def _payloads(value: Any) -> list[bytes]:
    """Everything in base64 below, decoded."""
    if isinstance(value, dict):
        found = [one for part in value.values() for one in _payloads(part)]
        if isinstance(data := value.get("data"), str):
            found.append(base64.b64decode(data))
        return found
    return [one for part in value for one in _payloads(part)] if isinstance(value, list) else []
