"""A collector of OTLP over HTTP: what the worker sends, decoded by OpenTelemetry's own messages."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.http_server import Answer, Request, serving


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSpan:
    name: str
    scope: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    failed: bool
    said: str
    events: int
    nanoseconds: int


@dataclass(slots=True)
class Collector:
    port: int = 0
    status: int = 200
    spans: list[SeenSpan] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    """The newest of each name."""

    raw: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, name: str, **attributes: Any) -> list[SeenSpan]:
        return [one for one in self.spans if one.name == name and attributes.items() <= one.attributes.items()]

    def take(self, request: Request) -> Answer:
        if self.status != 200:
            return Answer(status=self.status)
        body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
        self.raw.append(body)
        if request.path == "/v1/traces":
            self._spans(ExportTraceServiceRequest.FromString(body))
        elif request.path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    self.metrics |= {one.name: one for one in scope.metrics}
        return Answer(headers={"Content-Type": "application/x-protobuf", "Content-Length": "0"})

    def _spans(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            self.resources.append(_values(resource.resource.attributes))
            for scope in resource.scope_spans:
                self.spans += [
                    SeenSpan(
                        name=one.name, scope=scope.scope.name, trace=one.trace_id.hex(), id=one.span_id.hex(),
                        parent=one.parent_span_id.hex(), attributes=_values(one.attributes),
                        failed=one.status.code == 2, said=one.status.message, events=len(one.events),
                        nanoseconds=one.end_time_unix_nano - one.start_time_unix_nano,
                    )
                    for one in scope.spans
                ]  # fmt: skip


def _values(attributes: Any) -> dict[str, Any]:
    found = {}
    for one in attributes:
        kind = one.value.WhichOneof("value")
        value = getattr(one.value, kind)
        found[one.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return found


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    with serving(collector.take) as server:
        collector.port = server.port
        yield collector
