"""Traces of real executions, as a real collector gets them over a real socket."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import home, new_agent, new_queue
from tests.support.executions import tool
from tests.support.http_server import Answer, serving
from tests.support.otlp import Collector, SeenSpan, collecting
from tests.support.playground import Stage, until
from tests.support.processes import eventually
from tests.support.worker_process import LIMIT_SECONDS, WorkerProcess, worker_process
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import Execute
from worker_core.secrets import Secret
from worker_core.tracing.ids import span_number, trace_number
from worker_core.tracing.signals import Signals, other_protocol, wanted

SERVER = Path(__file__).with_name("meta_server.py")
PROMPT_WORD = "confidential-prompt-word"
SECRET = "kw-secret-4711-0815"
posix = pytest.mark.skipif(sys.platform == "win32", reason="workers are ended by signals")


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[ControlPlaneClient]:
    made = ControlPlaneClient(base_url=stage.info.control_plane_url, api_key=Secret(stage.info.api_key))
    yield made
    await made.aclose()


def asked(collector: Collector, **more: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRICS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", **more,
    }  # fmt: skip


async def begun(client: ControlPlaneClient, queue: str, agent: str, prompt: str) -> str:
    return (await client.execute_agent(agent, Execute(prompt=prompt, worker_queue_id=queue))).execution_id


async def reach(client: ControlPlaneClient, execution_id: str, *statuses: str) -> None:
    async def reached() -> bool:
        return (await client.get_execution(execution_id)).status in statuses

    await until(reached)


def ended(worker: WorkerProcess) -> int:
    worker.process.send_signal(signal.SIGTERM)
    return worker.process.wait(LIMIT_SECONDS)


def inside(spans: list[SeenSpan], outer: SeenSpan) -> list[str]:
    return sorted(one.name for one in spans if one.parent == outer.id)


def check_metrics(collector: Collector, *, tool_calls: int) -> None:
    """They are those of the page."""
    [succeeded] = [
        one
        for one in collector.metrics["kubiya_worker_tool_calls"].sum.data_points
        if one.attributes[0].value.string_value == "succeeded"
    ]
    assert succeeded.as_double == tool_calls
    assert collector.metrics["kubiya_worker_tool_calls"].sum.is_monotonic
    assert collector.metrics["kubiya_worker_executions_limit"].gauge.data_points[0].as_double > 0
    latency = collector.metrics["temporal_activity_execution_latency_seconds"].histogram.data_points[0]
    assert latency.count == sum(latency.bucket_counts) > 0
    assert latency.min <= latency.sum


@posix
async def test_an_execution_is_one_trace_from_its_beginning_to_a_server_of_mcp(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    queue = await new_queue(stage)
    servers: dict[str, Any] = {"meta": {"command": sys.executable, "args": [str(SERVER)]}}
    agent = await new_agent(stage, skills=("shell",), execution_environment={"mcp_servers": servers})
    more = {"OTEL_SERVICE_NAME": "my-workers", "OTEL_METRICS_EXPORTER": "otlp", "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    with (
        collecting() as collector,
        worker_process(stage, tmp_path, queue, **asked(collector, **more)) as worker,
    ):
        worker.wait_ready()
        lines = (
            f"{PROMPT_WORD} {queue}", tool(f"echo {SECRET}"), tool(f"echo {PROMPT_WORD}; exit 3"),
            "!tool meta__look {}", "!say done",
        )  # fmt: skip
        execution_id = await begun(client, queue, agent, "\n".join(lines))
        await reach(client, execution_id, "waiting_for_input")
        await client.cancel(execution_id)
        await eventually(lambda: collector.named("end_execution"))
        assert ended(worker) == 0
    spans = [one for one in collector.spans if one.trace == f"{trace_number(execution_id):032x}"]
    assert {one.trace for one in collector.spans if one.scope == "kubiya-worker"} == {spans[0].trace}
    [root] = collector.named("execution")
    [turn] = collector.named("invoke_agent")
    assert (root.parent, root.id, root.attributes["gen_ai.agent.id"]) == (
        "",
        f"{span_number(execution_id, 0):016x}",
        agent,
    )
    assert (turn.parent, turn.id) == (root.id, f"{span_number(execution_id, 1):016x}")
    assert inside(spans, root) == ["end_execution", "invoke_agent"]
    calls = [name for name in inside(spans, turn) if name.startswith("execute_tool")]
    assert calls == ["execute_tool look", "execute_tool shell", "execute_tool shell"]
    chats = [one for one in spans if one.name.startswith("chat ")]
    assert len(chats) == 4
    for chat in chats:
        assert chat.attributes["gen_ai.operation.name"] == "chat"
        assert chat.attributes["gen_ai.conversation.id"] == execution_id
        assert chat.attributes["gen_ai.usage.input_tokens"] > 0
        assert chat.attributes["gen_ai.response.finish_reasons"]
        assert chat.parent == turn.id
    assert turn.attributes["gen_ai.usage.input_tokens"] == sum(
        chat.attributes["gen_ai.usage.input_tokens"] for chat in chats
    )
    assert turn.nanoseconds >= max(chat.nanoseconds for chat in chats)
    bad, good = sorted(collector.named("execute_tool shell"), key=lambda one: one.failed, reverse=True)
    assert (bad.failed, bad.attributes["error.type"], good.failed) == (True, "tool_failed", False)
    [look] = collector.named("execute_tool look")
    assert look.attributes["kubiya.mcp.server"] == "meta"
    [meta] = (home(tmp_path).workspaces / execution_id / "meta").read_text().splitlines()
    _, trace, parent, _ = json.loads(meta)["traceparent"].split("-")
    [mcp] = [one for one in spans if one.id == parent]
    assert (trace, mcp.parent, mcp.attributes["mcp.method.name"]) == (look.trace, look.id, "tools/call")
    assert collector.resources[0]["service.name"] == "my-workers"
    assert collector.resources[0]["host.id"]
    sent = b"".join(collector.raw)
    assert PROMPT_WORD.encode() not in sent
    assert SECRET.encode() not in sent
    assert not any(one.events for one in collector.spans)
    check_metrics(collector, tool_calls=2)


@posix
async def test_a_trace_outlives_its_worker(stage: Stage, tmp_path: Path, client: ControlPlaneClient) -> None:
    queue = await new_queue(stage)
    with collecting() as collector:
        with worker_process(stage, tmp_path, queue, **asked(collector)) as worker:
            worker.wait_ready()
            execution_id = await begun(client, queue, stage.info.agent_id, f"first {queue}\n!say one")
            await reach(client, execution_id, "waiting_for_input")
            await eventually(lambda: collector.named("invoke_agent"))
            worker.kill()
        with worker_process(stage, tmp_path, queue, **asked(collector)) as worker:
            worker.wait_ready()
            await client.send_message(execution_id, f"second {queue}\n!say two")
            await eventually(lambda: len(collector.named("invoke_agent")) == 2)
    assert {one.trace for one in collector.spans} == {f"{trace_number(execution_id):032x}"}
    first, second = (one.id for one in collector.named("invoke_agent"))
    assert [one.parent for one in collector.spans if one.name.startswith("chat ")] == [first, second]
    assert len(collector.named("execution")) == 1


@posix
async def test_a_collector_that_is_dead_costs_nothing(stage: Stage, tmp_path: Path, client: ControlPlaneClient) -> None:
    queue = await new_queue(stage)
    with collecting() as collector:
        collector.status = 503
        with worker_process(stage, tmp_path, queue, **asked(collector)) as worker:
            worker.wait_ready()
            execution_id = await begun(client, queue, stage.info.agent_id, f"dead {queue}\n!instant")
            await reach(client, execution_id, "waiting_for_input")
            assert ended(worker) == 0
    told = [line for line in worker.log if "OTLP" in line]
    assert len([line for line in told if "does not take" in line]) <= 1
    assert not [line for line in worker.log if "ERROR" in line]
    assert not collector.spans


@posix
async def test_an_owner_s_own_gateway_is_told_the_trace(
    stage: Stage, tmp_path: Path, client: ControlPlaneClient
) -> None:
    said = {"choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}], "model": "m"}
    answer = Answer(headers={"Content-Type": "application/json"}, parts=(json.dumps(said).encode(),))
    queue = await new_queue(stage)
    with collecting() as collector, serving(lambda _: answer) as gateway:
        own = {"LITELLM_API_BASE": f"http://127.0.0.1:{gateway.port}", "LITELLM_API_KEY": "sk-key"}
        with worker_process(stage, tmp_path, queue, **asked(collector), **own) as worker:
            worker.wait_ready()
            execution_id = await begun(client, queue, stage.info.agent_id, f"told {queue}")
            await reach(client, execution_id, "waiting_for_input")
            assert ended(worker) == 0
    [call] = [one for one in gateway.requests if one.method == "POST"]
    [chat] = [one for one in collector.spans if one.name.startswith("chat ")]
    assert call.headers["traceparent"] == f"00-{chat.trace}-{chat.id}-01"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, Signals()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, Signals(traces=True, metrics=True)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, Signals()),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, Signals(traces=True)),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c"}, Signals(metrics=True)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "True"}, Signals()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, Signals(metrics=True)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_METRICS_EXPORTER": "console"}, Signals(traces=True)),
    ],
)
def test_what_is_sent_follows_the_standard_variables(environ: dict[str, str], found: Signals) -> None:
    assert wanted(environ) == found


def test_a_protocol_that_is_not_spoken_is_noticed() -> None:
    assert other_protocol({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) == "grpc"
    assert other_protocol({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}) == ""


@pytest.mark.parametrize(
    "environ",
    [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}],
)
def test_nothing_is_imported_where_nobody_asks(environ: dict[str, str]) -> None:
    code = (
        "import sys; from worker_core.tracing import spans; spans.start(mask=str, host_id='h');"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')], sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": "/usr/bin:/bin", **environ})


def test_without_the_extra_it_says_so(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker_core.tracing import spans

    monkeypatch.setitem(sys.modules, "worker_core.tracing.otel", None)
    spans.start(mask=str, host_id="h", environ={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert "pip install 'kubiya-worker[otel]'" in caplog.text
    with spans.span("nothing", execution_id="e") as one:
        one.set({"a": 1})
    assert spans.headers() == {}
