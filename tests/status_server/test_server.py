"""Probes and Prometheus, over real sockets: answered by a thread, whatever the event loop and other callers do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Literal

import httpx2
import pytest
from temporalio.runtime import (
    BUFFERED_METRIC_KIND_COUNTER,
    BUFFERED_METRIC_KIND_GAUGE,
    BUFFERED_METRIC_KIND_HISTOGRAM,
    BufferedMetricUpdate,
)

from tests.support.prometheus_text import parsed
from worker_core.errors import ConfigurationError
from worker_core.events import EventBus, ExecutionFinished, ModelCalled, PollingStalled, ToolFinished
from worker_core.settings import load
from worker_core.snapshot import (
    EngineSnapshot,
    EngineState,
    ExecutionView,
    OutboxView,
    QueueStatistics,
    QueueView,
    SandboxView,
)
from worker_core.status_server import server as server_module
from worker_core.status_server import serving_status
from worker_core.status_server.counts import TOKENS
from worker_core.status_server.families import of_the_sdk, prometheus_text
from worker_core.status_server.readiness import Patience
from worker_core.status_server.server import CALLERS, StatusServer
from worker_core.temporal.series import MOST_SERIES, SdkSeries

LIMIT = 60.0


class Engine:
    def __init__(self) -> None:
        self.events = EventBus()
        self.snapshot = snapshot()


def snapshot(state: EngineState = EngineState.RUNNING, *, polling: bool = True, **more: object) -> EngineSnapshot:
    queue = QueueView(
        queue_id="q-1", queue_name='laptops "of" Ada', polling=polling, reason="A secret-looking reason.",
        last_poll_clock=time.monotonic(),
    )  # fmt: skip
    fields = {"since": datetime.now(UTC), "queues": (queue,), **more}
    return EngineSnapshot(state=state, version="1.2.3", executions_limit=4, **fields)  # type: ignore[arg-type]


def queue(**more: object) -> QueueView:
    fields = {"queue_id": "q", "polling": True, "last_poll_clock": time.monotonic(), **more}
    return QueueView(**fields)  # type: ignore[arg-type]


COLLECTED = time.monotonic()
REFUSED = queue(credentials_refused=True)
SILENT = queue(last_poll_clock=time.monotonic() - 180)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
async def server(engine: Engine) -> AsyncIterator[StatusServer]:
    made = StatusServer(engine, host="127.0.0.1", port=0)
    made.open()
    yield made
    made.close()


async def get(server: StatusServer, path: str, **more: object) -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.request("GET", f"http://{server.address}{path}", timeout=LIMIT, **more)  # type: ignore[arg-type]


def talk(server: StatusServer, sent: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


@pytest.mark.parametrize(
    ("now", "code", "word"),
    [
        (snapshot(), 200, "serving"),
        (snapshot(EngineState.STARTING), 503, "starting"),
        (snapshot(EngineState.PAUSED), 503, "paused"),
        (snapshot(EngineState.DRAINING), 503, "draining"),
        (snapshot(EngineState.FAILED), 503, "draining"),
        (snapshot(EngineState.STOPPED), 503, "draining"),
        (snapshot(EngineState.STOPPED, since=None), 503, "starting"),
        (snapshot(polling=False), 503, "stalled"),
        (snapshot(queues=(REFUSED,)), 503, "credentials"),
        (snapshot(EngineState.PAUSED, queues=(REFUSED,)), 503, "credentials"),
        (snapshot(EngineState.DRAINING, queues=(REFUSED,)), 503, "draining"),
        (snapshot(EngineState.PAUSED, queues=(SILENT,)), 503, "paused"),
        (snapshot(queues=(SILENT,)), 503, "stalled"),
        (snapshot(queues=(SILENT, REFUSED)), 503, "credentials"),
        (snapshot(queues=(SILENT, REFUSED, queue())), 200, "serving"),
    ],
)
async def test_ready_says_why_not_in_one_word(
    engine: Engine, server: StatusServer, now: EngineSnapshot, code: int, word: str
) -> None:
    later = time.monotonic() - COLLECTED  # the parameters are as old as the collection, minutes in a whole run
    queues = [replace(one, last_poll_clock=(one.last_poll_clock or 0.0) + later) for one in now.queues]
    engine.snapshot = replace(now, queues=tuple(queues))
    answer = await get(server, "/readyz")
    assert (answer.status_code, answer.text) == (code, f"{word}\n")
    assert (await get(server, "/healthz")).text == "ok\n"
    assert f"kubiya_worker_ready {int(code == 200)}\n" in (await get(server, "/metrics")).text


@pytest.mark.parametrize("set_by", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=-20_000)])
@pytest.mark.parametrize(("seconds_ago", "code"), [(1.0, 200), (180.0, 503)])
async def test_whoever_sets_the_machines_clock_makes_no_worker_ready_or_unready(
    engine: Engine, server: StatusServer, set_by: timedelta, seconds_ago: float, code: int
) -> None:
    """It was set between the last poll and now."""
    then = datetime.now(UTC) - timedelta(seconds=seconds_ago) - set_by
    clock = time.monotonic() - seconds_ago
    one = queue(last_poll_at=then, last_poll_clock=clock, last_heartbeat_at=then, last_heartbeat_clock=clock)
    engine.snapshot = snapshot(queues=(one,))
    assert (await get(server, "/readyz")).status_code == code
    values = parsed((await get(server, "/metrics")).text)
    for what in ("poll", "heartbeat"):
        assert values[f'kubiya_worker_queue_{what}_age_seconds{{queue="q"}}'] == pytest.approx(seconds_ago, abs=LIMIT)


async def test_metrics_are_what_prometheus_reads(engine: Engine, server: StatusServer) -> None:
    queue = QueueView(
        queue_id='q"\\1', polling=True, last_heartbeat_clock=time.monotonic() - 40,
        statistics=QueueStatistics(
            backlog=7, backlog_age_seconds=2.5, added_per_second=1, dispatched_per_second=1, pollers=3, home_backlog=2,
        ),
    )  # fmt: skip
    running = ExecutionView(
        execution_id="e-1", queue_id="q", turn=1, status="running", step="model", started_at=datetime.now(UTC)
    )
    waiting = replace(running, execution_id="e-2", status="waiting_for_approval")
    engine.snapshot = EngineSnapshot(
        state=EngineState.RUNNING, version="1.2.3", queues=(queue,), executions=(running, waiting), executions_limit=4,
        outbox=OutboxView(pending=2, spooled=3, dropped=1, delivered=9),
    )  # fmt: skip
    for status in ("completed", "completed", "failed", "strange"):
        engine.events.publish(ExecutionFinished(execution_id="e", status=status))
    answer = await get(server, "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    values = parsed(answer.text)
    assert values['kubiya_worker_state{state="running"}'] == 1
    assert values['kubiya_worker_executions_finished_total{outcome="completed"}'] == 2
    assert values['kubiya_worker_executions_finished_total{outcome="failed"}'] == 1
    assert values['kubiya_worker_executions_finished_total{outcome="other"}'] == 1
    assert (values["kubiya_worker_executions_running"], values["kubiya_worker_executions_limit"]) == (1, 4)
    assert values['kubiya_worker_executions_waiting{for="approval"}'] == 1
    assert (values["kubiya_worker_outbox_spooled"], values["kubiya_worker_outbox_dropped_total"]) == (3, 1)
    assert values['kubiya_worker_queue_backlog{queue="q\\"\\\\1"}'] == 7
    assert values['kubiya_worker_queue_home_backlog{queue="q\\"\\\\1"}'] == 2
    assert 40 <= values['kubiya_worker_queue_heartbeat_age_seconds{queue="q\\"\\\\1"}'] < 40 + LIMIT
    assert values["process_resident_memory_bytes"] > 1_000_000
    assert not [name for name in values if "poll_age" in name], "what is not known is left out"


async def test_what_adds_up_is_counted_from_events(engine: Engine, server: StatusServer) -> None:
    def tool(*, succeeded: bool, failure: Literal["", "denied", "unknown"] = "") -> ToolFinished:
        return ToolFinished(
            execution_id="e", call_id="c", tool_name="shell", succeeded=succeeded, duration_seconds=1.0, failure=failure
        )

    used = ModelCalled(
        execution_id="e", succeeded=True, duration_seconds=2.0, prompt_tokens=900, completion_tokens=70,
        cached_tokens=400, cost_dollars=0.25,
    )  # fmt: skip
    for event in (
        *(tool(succeeded=True), tool(succeeded=True), tool(succeeded=False), tool(succeeded=False, failure="denied")),
        *(used, used, replace(used, succeeded=False, prompt_tokens=0, completion_tokens=0, cached_tokens=0)),
        *(PollingStalled(queue_id="q-1", sentence="."), PollingStalled(queue_id="other", sentence=".")),
    ):
        engine.events.publish(event)
    engine.snapshot = replace(engine.snapshot, sandbox=SandboxView(name="bubblewrap"))
    values = parsed((await get(server, "/metrics")).text)
    prefix = "kubiya_worker_"
    assert {name: value for name, value in values.items() if name.startswith(f"{prefix}tool_calls")} == {
        f'{prefix}tool_calls_total{{outcome="succeeded"}}': 2, f'{prefix}tool_calls_total{{outcome="failed"}}': 1,
        f'{prefix}tool_calls_total{{outcome="denied"}}': 1, f'{prefix}tool_calls_total{{outcome="unknown"}}': 0,
    }  # fmt: skip
    assert values[f'{prefix}model_calls_total{{outcome="failed"}}'] == 1
    assert [values[f'{prefix}model_tokens_total{{kind="{kind}"}}'] for kind in TOKENS] == [1800, 140, 800]
    assert values[f"{prefix}model_cost_dollars_total"] == 0.75
    assert values[f'{prefix}queue_reconnects_total{{queue="q-1"}}'] == 1
    assert values[f'{prefix}sandbox_info{{sandbox="bubblewrap"}}'] == 1


def update(name: str, kind: int, value: float, unit: str = "", **labels: str) -> BufferedMetricUpdate:
    metric = SimpleNamespace(name=name, kind=kind, unit=unit or None, description="What\nit is")
    return SimpleNamespace(metric=metric, value=value, attributes=labels)  # type: ignore[return-value]


def test_the_sdk_s_metrics_are_told_by_prometheus_conventions() -> None:
    series = SdkSeries()
    for one in (
        update("temporal_request", BUFFERED_METRIC_KIND_COUNTER, 2, operation="Poll", service_name="x"),
        update("temporal_request", BUFFERED_METRIC_KIND_COUNTER, 3, operation="Poll"),
        update("temporal_num_pollers", BUFFERED_METRIC_KIND_GAUGE, 5, task_queue='q"'),
        update("temporal_num_pollers", BUFFERED_METRIC_KIND_GAUGE, 4, task_queue='q"'),
        *(
            update("temporal_request_latency", BUFFERED_METRIC_KIND_HISTOGRAM, value, "s", operation="Poll")
            for value in (0.001, 0.2, 0.25, 9999.0)
        ),
        update("temporal_payload_size", BUFFERED_METRIC_KIND_HISTOGRAM, 3, "bytes"),
    ):
        series.take(one)
    values = parsed(prometheus_text(of_the_sdk(series.metrics.values())))
    assert values['temporal_request_total{operation="Poll"}'] == 5
    assert values['temporal_num_pollers{task_queue="q\\""}'] == 4
    assert values['temporal_request_latency_seconds_bucket{operation="Poll",le="0.25"}'] == 3
    assert values['temporal_request_latency_seconds_count{operation="Poll"}'] == 4
    assert values["temporal_payload_size_bytes_sum"] == 3


def test_series_of_the_sdk_have_a_bound() -> None:
    series = SdkSeries()
    for number in range(2 * MOST_SERIES):
        series.take(update("temporal_request", BUFFERED_METRIC_KIND_COUNTER, 1, workflow_type=str(number)))
        series.take(update("temporal_request", BUFFERED_METRIC_KIND_COUNTER, 1, workflow_type="0"))
    assert len(series.metrics["temporal_request"].values) == MOST_SERIES
    assert series.metrics["temporal_request"].values[("workflow_type", "0"),] == 2 * MOST_SERIES + 1


async def test_nothing_that_people_wrote_is_told(engine: Engine, server: StatusServer) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        text = (await get(server, path)).text
        assert "Ada" not in text
        assert "secret" not in text


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"DELETE /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (b"HEAD /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"GET /readyz/../metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"GET /readyz?verbose HTTP/1.1\r\nHost: localhost:80\r\n\r\n", 200),
        (b"GET /readyz HTTP/1.0\r\n\r\n", 200),
        (b"GET /readyz HTTP/1.1\r\n\r\n", 400),
        (b"GET /readyz HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 403),
        (b"GET /readyz HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 20_000, 431),
        (b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
    ],
)  # fmt: skip
async def test_one_request_brings_one_answer(server: StatusServer, sent: bytes, status: int) -> None:
    received = await asyncio.to_thread(talk, server, sent)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert received.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in received.lower()


async def test_a_name_is_welcome_where_it_listens_for_others(engine: Engine) -> None:
    server = StatusServer(engine, host="0.0.0.0", port=0)
    server.open()
    try:
        port = server.address.rpartition(":")[2]
        server.address = f"127.0.0.1:{port}"
        assert (await get(server, "/readyz", headers={"Host": "worker.apps.svc:8080"})).status_code == 200
    finally:
        server.close()


async def test_callers_that_are_silent_or_slow_hold_up_nobody(server: StatusServer) -> None:
    host, _, port = server.address.rpartition(":")
    silent: list[socket.socket] = []
    try:
        for number in range(3 * CALLERS):
            silent.append(socket.create_connection((host, int(port)), timeout=LIMIT))
            silent[-1].sendall(b"GET /readyz HTTP/1.1\r\nHo"[: number % 25])
        assert (await get(server, "/readyz")).status_code == 200
        for one in silent[: 2 * CALLERS]:
            with contextlib.suppress(ConnectionError):
                assert one.recv(1) == b"", "the first ones made room"
    finally:
        for one in silent:
            one.close()


async def test_a_caller_is_cut_when_its_time_is_over(server: StatusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "CALL_LIMIT", timedelta(milliseconds=50))
    received = await asyncio.to_thread(talk, server, b"GET /readyz HTTP/1.1\r\n")
    assert received == b""


async def test_a_caller_that_reads_nothing_is_cut_as_well(server: StatusServer) -> None:
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT) as mute:
        mute.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + b"x" * 100_000)
        assert (await get(server, "/healthz")).status_code == 200


async def test_a_request_for_metrics_looks_once(server: StatusServer) -> None:
    """A second look would see what the first one asked of the loop, not yet answered."""
    assert "kubiya_worker_event_loop_silent_seconds 0\n" in (await get(server, "/metrics")).text


def in_a_loop(scenario: Callable[[StatusServer], None], engine: Engine, *, patience: Patience) -> None:
    """Run a blocking scenario on the engine's own loop: nothing else turns there meanwhile."""

    async def run() -> None:
        server = StatusServer(engine, host="127.0.0.1", port=0, patience=patience)
        server.open()
        try:
            scenario(server)
        finally:
            server.close()

    asyncio.run(run())


def test_a_blocked_loop_is_told_while_it_is_blocked(engine: Engine) -> None:
    """The loop stands still in `scenario`; answers come all the same."""
    said: list[tuple[str, str]] = []

    def scenario(server: StatusServer) -> None:
        def body(path: str) -> str:
            received = talk(server, b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path.encode())
            return received.rpartition(b"\r\n\r\n")[2].decode().strip()

        assert body("/healthz") == "ok", "nobody knows yet"
        until = time.monotonic() + LIMIT
        while body("/healthz") == "ok":
            assert time.monotonic() < until
        said.append((body("/readyz"), body("/healthz")))
        assert "kubiya_worker_event_loop_silent_seconds 0\n" not in body("/metrics")

    in_a_loop(scenario, engine, patience=Patience(ready=timedelta(milliseconds=20), healthy=timedelta(milliseconds=50)))
    assert said == [("stalled", "stalled")]


async def test_an_error_of_ours_is_one_answer_and_not_the_end(
    server: StatusServer, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.snapshot = None  # type: ignore[assignment]
    assert (await get(server, "/readyz")).status_code == 500
    assert "A request for the status failed." in caplog.text
    engine.snapshot = snapshot()
    assert (await get(server, "/readyz")).status_code == 200


async def test_a_place_that_is_taken_is_a_sentence(engine: Engine, server: StatusServer) -> None:
    port = int(server.address.rpartition(":")[2])
    with (
        pytest.raises(ConfigurationError, match="--status-port"),
        serving_status(engine, host="127.0.0.1", port=port),
    ):
        pass


async def test_nothing_is_left_after_the_end(engine: Engine) -> None:
    server = StatusServer(engine, host="127.0.0.1", port=0)
    server.open()
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT) as waiting:
        server.close()
        server.close()
        assert waiting.recv(1) == b""
    assert not [thread for thread in threading.enumerate() if thread.name == "status-server"]
    with pytest.raises(OSError):
        socket.create_connection((host, int(port)), timeout=LIMIT)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" 0.0.0.0 ", "0.0.0.0"), ("::", "::"), ("[::1]", "::1"), ("localhost", "localhost"), ("::1", "::1"),
        (":8080", None), ("http://x", None), ("x:1", None), ("[::1]:80", None), ("u@h", None), ("h/x", None),
        ("a b", None),
    ],
)  # fmt: skip
def test_a_host_is_one_without_a_port(text: str, kept: str | None) -> None:
    if kept is None:
        with pytest.raises(ConfigurationError, match="it must be an address or a name without a port"):
            load(environ={"KUBIYA_WORKER_STATUS_HOST": text})
    else:
        assert load(environ={}, flags={"status_host": text}).status_host == kept


@pytest.mark.parametrize(("text", "kept"), [("8080", 8080), (" 0 ", 0), ("65535", 65535)])
def test_a_port_is_a_number(text: str, kept: int) -> None:
    assert load(environ={"KUBIYA_WORKER_STATUS_PORT": text}).status_port == kept
    assert load(environ={}, flags={"status_port": kept}).status_port == kept


@pytest.mark.parametrize("text", ["70000", "-1", "8080.0", "x", "1e3", "0.0.0.0:80", "\u0661", "9" * 5000])
def test_other_things_are_no_port(text: str) -> None:
    with pytest.raises(ConfigurationError, match="it must be a port, from 0 to 65535"):
        load(environ={"KUBIYA_WORKER_STATUS_PORT": text})


def test_it_is_off_and_this_machine_s_own_unless_told() -> None:
    settings = load(environ={})
    assert (settings.status_port, settings.status_host) == (None, "127.0.0.1")


async def test_no_port_opens_nothing(engine: Engine) -> None:
    before = threading.active_count()
    with serving_status(engine, host="127.0.0.1", port=None):
        assert threading.active_count() == before
