"""Sends what `/metrics` tells by OTLP over HTTP, where OpenTelemetry's variables ask for it (the extra `otel`)."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from worker_core import __version__
from worker_core.status_server.families import Family
from worker_core.status_server.measures import Measures
from worker_core.temporal.series import BOUNDS, Distribution
from worker_core.tracing.otel import SCOPE, Collector, resource

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 60.0
LAST_LIMIT_SECONDS: Final = 2.0
"""For the last numbers, when the worker leaves."""

_CUMULATIVE = AggregationTemporality.CUMULATIVE


class MetricsPush:
    """One thread, which looks and sends in turn."""

    def __init__(self, measures: Measures, *, host_id: str, environ: Mapping[str, str] = os.environ) -> None:
        self._collector = Collector("metrics")
        self._measures = measures
        self._resource = resource(host_id)
        self._exporter: MetricExporter = OTLPMetricExporter()
        self._began = time.time_ns()
        self._every = _every_seconds(environ)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._push, name="metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()
        log.info("Metrics are sent by OTLP over HTTP every %g s.", self._every)

    def close(self) -> None:
        """Send once more, and end; what takes longer than a moment is left to itself."""
        self._closing.set()
        self._thread.join(LAST_LIMIT_SECONDS)

    def _push(self) -> None:
        ends = False
        while not ends:
            ends = self._closing.wait(self._every)
            try:
                result = self._exporter.export(self._data(self._measures.families()))
            except Exception:
                log.exception("Metrics could not be made.")
                continue
            self._collector.answered(taken=result is MetricExportResult.SUCCESS)

    def _data(self, families: Iterable[Family]) -> MetricsData:
        now = time.time_ns()
        scope = ScopeMetrics(
            scope=InstrumentationScope(SCOPE, __version__),
            metrics=[self._metric(one, now) for one in families],
            schema_url="",
        )
        whole = ResourceMetrics(resource=self._resource, scope_metrics=[scope], schema_url="")
        return MetricsData(resource_metrics=[whole])

    def _metric(self, family: Family, now: int) -> Metric:
        data: Sum | Gauge | Histogram
        if family.kind == "histogram":
            data = Histogram(data_points=list(self._distributions(family, now)), aggregation_temporality=_CUMULATIVE)
        elif family.kind == "counter":
            data = Sum(
                data_points=list(self._numbers(family, now)), aggregation_temporality=_CUMULATIVE, is_monotonic=True
            )
        else:
            data = Gauge(data_points=list(self._numbers(family, now)))
        # What turns OTLP into Prometheus' form adds the ending again.
        return Metric(name=family.name.removesuffix("_total"), description=family.help, unit="", data=data)

    def _numbers(self, family: Family, now: int) -> Iterator[NumberDataPoint]:
        for labels, value in family.samples.items():
            if not isinstance(value, Distribution):
                yield NumberDataPoint(
                    attributes=dict(labels), start_time_unix_nano=self._began, time_unix_nano=now, value=float(value)
                )

    def _distributions(self, family: Family, now: int) -> Iterator[HistogramDataPoint]:
        for labels, value in family.samples.items():
            if isinstance(value, Distribution):
                buckets = list(value.buckets)
                yield HistogramDataPoint(
                    attributes=dict(labels),
                    start_time_unix_nano=self._began,
                    time_unix_nano=now,
                    count=sum(buckets),
                    sum=value.total,
                    bucket_counts=buckets,
                    explicit_bounds=BOUNDS,
                    min=value.least,
                    max=value.most,
                )


def _every_seconds(environ: Mapping[str, str]) -> float:
    with contextlib.suppress(ValueError):
        if (milliseconds := int(environ.get("OTEL_METRIC_EXPORT_INTERVAL", ""))) > 0:
            return milliseconds / 1000
    return EVERY_SECONDS
