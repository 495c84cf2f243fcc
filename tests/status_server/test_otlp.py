"""Metrics by OTLP, where nobody asks for traces."""

from __future__ import annotations

import logging

import pytest

from tests.support.http_server import Answer, serving
from tests.support.processes import eventually
from worker_core.events import EventBus
from worker_core.snapshot import EngineSnapshot
from worker_core.status_server import serving_status


class Engine:
    def __init__(self) -> None:
        self.events = EventBus()
        self.snapshot = EngineSnapshot()


async def test_a_collector_that_takes_no_metrics_is_told_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.NOTSET, logger="opentelemetry")
    answers = [400, 400, 400]
    with serving(lambda _: Answer(status=answers.pop() if answers else 200)) as collector:
        environ = {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"http://127.0.0.1:{collector.port}/v1/metrics",
            "OTEL_METRIC_EXPORT_INTERVAL": "20",
        }
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with serving_status(Engine(), host="127.0.0.1", port=None, environ=environ):
            await eventually(lambda: len(collector.requests) > 4)
    said = [one.message for one in caplog.records if "OTLP" in one.message or one.name.startswith("opentelemetry")]
    assert said == [
        "Metrics are sent by OTLP over HTTP every 0.02 s.",
        "The collector of OTLP does not take metrics.",
        "The collector of OTLP takes metrics again.",
    ]
