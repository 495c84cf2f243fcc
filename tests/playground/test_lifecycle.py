"""Start, stop, restart, and what is left when the process is killed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psutil
import pytest

from tests.support.playground import running_playground, sse, until
from worker_core.errors import ConfigurationError, ExitCode
from worker_core.playground.server import Playground
from worker_core.playground.temporal_server import free_port
from worker_core.secrets import Secret

SERVE = """
import asyncio, os, sys
from pathlib import Path
from worker_core.playground.command import serve
asyncio.run(serve(data_dir=Path(sys.argv[1]), json=sys.argv[2] == "json"))
sys.stdout.flush()
os._exit(0)
"""


def alive(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def gone(pid: int, *, limit: float = 60) -> bool:
    deadline = time.monotonic() + limit
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def served(data_dir: Path, *, form: str = "json") -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SERVE, str(data_dir), form],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


async def ending_of(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, and what was printed since the last line that was read."""
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout, process.stderr
    async with asyncio.timeout(60):
        texts = await asyncio.to_thread(lambda: (out.read(), err.read()))
        return (await asyncio.to_thread(process.wait, 60), *texts)


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    ports = {"port": free_port("127.0.0.1"), "temporal_port": free_port("127.0.0.1")}
    with running_playground(tmp_path, **ports) as before:
        async with before.client() as api:
            prompt = {"prompt": "p", "worker_queue_id": before.info.queue_id}
            execution = (await api.post(f"/agents/{before.info.agent_id}/execute", json=prompt)).json()
            path = f"/executions/{execution['execution_id']}"
            await api.post(f"{path}/events", json={"event_type": "x", "data": {"sequence": 1}})
            await api.post(f"{path}/session", json={"messages": [{"role": "user", "content": "c"}]})
            await api.patch(f"/agents/{before.info.agent_id}", json={"model_id": "my-choice"})
            created = (await api.get(path)).json()
    with running_playground(tmp_path, **ports) as after:
        assert after.info == before.info
        async with after.client() as api:
            assert (await api.get(path)).json() == created
            await api.post(f"{path}/events", json={"event_type": "x", "data": {"sequence": 1}})
            events = (await api.get(f"{path}/events")).json()
            assert [event["data"] for event in events] == [{"sequence": 1}]
            assert (await api.get(f"{path}/session")).json()["message_count"] == 1
            assert (await api.get(f"/agents/{after.info.agent_id}")).json()["model_id"] == "my-choice"
            handle = after.playground.context.temporal.get_workflow_handle(execution["workflow_id"])
            described = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(handle.describe(), after.loop))
            assert described.task_queue == before.info.queue_id


async def test_stopping_ends_streams_and_processes(tmp_path: Path) -> None:
    with running_playground(tmp_path) as stage:
        pid = stage.playground.temporal_pid
        assert pid is not None
        async with stage.client() as api:
            body = {"prompt": "p", "worker_queue_id": stage.info.queue_id}
            execution = (await api.post(f"/agents/{stage.info.agent_id}/execute", json=body)).json()
            async with api.stream("GET", f"/executions/{execution['execution_id']}/stream") as response:
                events = sse(response)
                assert (await anext(events)).event == "connected"
                stopping = asyncio.run_coroutine_threadsafe(stage.playground.stop(), stage.loop)
                assert [event.event async for event in events][-1] == "reconnect"
        await asyncio.wrap_future(stopping)
    assert not alive(pid)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(stage.info.control_plane_url, trust_env=False)


async def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    with running_playground(tmp_path) as stage:
        if os.name != "nt":
            for name in ("credentials.json", "playground.db"):
                assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        assert stage.info.api_key not in repr(stage.info)
        assert stage.info.api_key not in repr(stage.playground.context)


async def test_a_folder_serves_one_playground_at_a_time(tmp_path: Path) -> None:
    with running_playground(tmp_path), pytest.raises(ConfigurationError, match="in use by another playground"):
        await Playground(data_dir=tmp_path, discover_models=False).start()


async def test_failed_starts_are_sentences_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await Playground(data_dir=tmp_path / "file").start()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "playground.db").write_bytes(b"no database" * 100)
    with pytest.raises(ConfigurationError, match="not a playground database"):
        await Playground(data_dir=tmp_path / "bad").start()
    with pytest.raises(ConfigurationError, match="llm_url"):
        Playground(data_dir=tmp_path, llm_url="not a url")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConfigurationError, match="Choose another port") as failed:
            await Playground(data_dir=tmp_path / "port", port=port, discover_models=False).start()
    assert failed.value.exit_code == ExitCode.NOT_CONFIGURED
    with running_playground(tmp_path / "port"):  # the folder was let go
        pass


async def test_serve_prints_one_line_of_json_and_ends_on_sigterm(tmp_path: Path) -> None:
    with served(tmp_path) as process:
        assert process.stdout is not None
        info = json.loads(await asyncio.to_thread(process.stdout.readline))
        assert list(info) == ["control_plane_url", "api_key", "queue_id", "agent_id", "temporal_host", "llm_url"]
        headers = {"Authorization": f"Bearer {info['api_key']}"}
        url = f"{info['control_plane_url']}/api/v1/agents/{info['agent_id']}"
        assert httpx2.get(url, headers=headers, trust_env=False).status_code == 200
        children = psutil.Process(process.pid).children(recursive=True)
        assert children[-1].name() == ("temporal" if os.name != "nt" else "temporal.exe")
        process.send_signal(signal.SIGTERM)
        assert await ending_of(process) == (0, "", "")
        assert all(gone(child.pid) for child in children)


async def test_serve_speaks_to_people_and_ends_on_sigint(tmp_path: Path) -> None:
    with served(tmp_path, form="text") as process:
        assert process.stdout is not None
        assert "ready" in await asyncio.to_thread(process.stdout.readline)
        process.send_signal(signal.SIGINT)
        code, out, err = await ending_of(process)
        assert (code, err) == (0, "")
        assert "kubiya-worker start --queue-id" in out


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PR_SET_PDEATHSIG")
async def test_a_killed_playground_leaves_no_temporal_and_starts_again(tmp_path: Path) -> None:
    with served(tmp_path) as process:
        assert process.stdout is not None
        first = json.loads(await asyncio.to_thread(process.stdout.readline))
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        assert children
        assert await asyncio.to_thread(lambda: all(gone(child.pid) for child in children))
    with running_playground(tmp_path) as stage:
        assert (stage.info.queue_id, stage.info.api_key) == (first["queue_id"], first["api_key"])


async def test_a_given_gateway_is_handed_out_and_asked(tmp_path: Path) -> None:
    """The scripted model of one playground is the gateway of another."""
    with running_playground(tmp_path / "a") as model:
        options: dict[str, Any] = {
            "llm_url": model.info.llm_url, "llm_api_key": Secret(model.info.llm_api_key),
        }  # fmt: skip
        with running_playground(tmp_path / "b", **options) as stage:
            assert stage.info.llm_url == model.info.llm_url
            assert stage.info.llm_api_key == ""
            async with stage.client() as api:
                start = (await api.post(f"/worker-queues/{stage.info.queue_id}/start", json={})).json()
                assert start["litellm_api_key"] == model.info.llm_api_key
                assert (await api.get(f"/agents/{stage.info.agent_id}")).json()["model_id"] == "scripted"
                prompt = str(uuid4())
                body = {"prompt": prompt, "worker_queue_id": stage.info.queue_id}
                execution = (await api.post(f"/agents/{stage.info.agent_id}/execute", json=body)).json()
                turn = {"execution_id": execution["execution_id"], "turn_number": 1, "model": "scripted",
                        "started_at": "2026-01-01T00:00:00Z", "response_preview": "It is all completed."}  # fmt: skip
                assert (await api.post("/analytics/turns", json=turn)).status_code == 201
                status = (await api.get(f"/executions/{execution['execution_id']}")).json()["status"]
            assert status == "completed"  # the scripted model quotes the question, which names it
            assert len(model.model_calls(prompt)) == 1


async def test_a_local_model_server_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker_core.playground import gateway

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            body = b'{"object":"list","data":[{"id":"llama"}]}'
            head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(gateway, "PROBE_LIMIT", gateway.LIST_LIMIT)  # slow machines: only speed is at stake
        monkeypatch.setattr(gateway, "LOCAL", (("Nothing", free_port("127.0.0.1")), ("Ollama", port)))
        found = await gateway.discovered()
    assert found is not None
    assert (found.name, found.model, found.url) == ("Ollama", "llama", f"http://127.0.0.1:{port}/v1")


async def test_a_stop_signal_during_the_start_is_obeyed(tmp_path: Path) -> None:
    from worker_core.playground.command import serve

    serving = asyncio.create_task(serve(data_dir=tmp_path, json=True, out=io.StringIO()))
    await until(lambda: _exists(tmp_path / "playground.db"))
    os.kill(os.getpid(), signal.SIGINT)
    await serving
    assert not [child for child in psutil.Process().children() if "temporal" in child.name() and alive(child.pid)
                and str(tmp_path) in " ".join(child.cmdline())]  # fmt: skip


async def _exists(path: Path) -> bool:
    return path.exists()
