"""OpenTelemetry's library, held to what a worker sends: ids that follow from executions, secrets masked, no content."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from worker_core import __version__
from worker_core.errors import KubiyaError
from worker_core.tracing.ids import span_number, trace_number
from worker_core.tracing.tracer import ROOT, Attribute, SpanKind

log = logging.getLogger(__name__)

SCOPE: Final = "kubiya-worker"
LONGEST: Final = 300
"""Characters of a text in a span."""

_KINDS: Final = {"internal": trace.SpanKind.INTERNAL, "client": trace.SpanKind.CLIENT}


class _Ids(IdGenerator):
    """Random ids, unless the next span's were said."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self._said: ContextVar[tuple[int, int] | None] = ContextVar("said ids", default=None)

    @contextmanager
    def said(self, *, trace_id: int, span_id: int) -> Iterator[None]:
        token = self._said.set((trace_id, span_id))
        try:
            yield
        finally:
            self._said.reset(token)

    def generate_span_id(self) -> int:
        said = self._said.get()
        return said[1] if said is not None else self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        said = self._said.get()
        return said[0] if said is not None else self._random.generate_trace_id()


class _Span:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, attributes: Mapping[str, Attribute]) -> None:
        self._span.set_attributes({name: _bounded(value) for name, value in attributes.items()})

    def failed(self, kind: str, sentence: str = "") -> None:
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR, sentence[:LONGEST] or None))


def resource(host_id: str) -> Resource:
    """What sends: named as the environment says, `kubiya-worker` otherwise."""
    said = Resource.create({"service.version": __version__, "host.id": host_id, "process.pid": os.getpid()})
    if str(said.attributes.get("service.name", "")).startswith("unknown_service"):
        said = said.merge(Resource({"service.name": SCOPE}))
    return said


class Collector:
    """Tells of a collector that is away, and back, once, where the library would tell of each batch."""

    def __init__(self, signal: str, *, misses: str = "") -> None:
        """`signal` is what it takes; `misses`, what becomes of that meanwhile, as it ends a sentence."""
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._signal = signal
        self._misses = misses
        self._takes = True

    def answered(self, *, taken: bool) -> None:
        before, self._takes = self._takes, taken
        if before and not taken:
            log.warning("The collector of OTLP does not take %s%s.", self._signal, self._misses)
        elif taken and not before:
            log.info("The collector of OTLP takes %s again.", self._signal)


class OtelTracer:
    """One per process."""

    def __init__(self, *, mask: Callable[[str], str], host_id: str) -> None:
        collector = Collector("traces", misses="; those that it misses are lost")
        self._ids = _Ids()
        self._provider = TracerProvider(resource=resource(host_id), id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Masked(OTLPSpanExporter(), mask, collector)))
        self._tracer = self._provider.get_tracer(SCOPE, __version__)

    def serve_libraries(self) -> None:
        """The SDK of MCP makes spans of its own, and puts `traceparent` into `_meta`. Once per process."""
        trace.set_tracer_provider(self._provider)

    @contextmanager
    def span(
        self, name: str, *, execution_id: str, turn: int, kind: SpanKind, attributes: Mapping[str, Attribute]
    ) -> Iterator[_Span]:
        with self._tracer.start_as_current_span(
            name[:LONGEST],
            context=self._inside(execution_id, turn),
            kind=_KINDS[kind],
            attributes={key: _bounded(value) for key, value in attributes.items()},
            record_exception=False,
            set_status_on_exception=False,
        ) as begun:
            made = _Span(begun)
            try:
                yield made
            except asyncio.CancelledError:
                made.failed("cancelled")
                raise
            except BaseException as error:
                made.failed(type(error).__name__, error.sentence if isinstance(error, KubiyaError) else "")
                raise

    def record(
        self,
        name: str,
        *,
        execution_id: str,
        turn: int,
        began_at: datetime,
        ended_at: datetime,
        attributes: Mapping[str, Attribute],
        error: str,
    ) -> None:
        context = Context() if turn == ROOT else self._inside(execution_id, ROOT)
        with self._ids.said(trace_id=trace_number(execution_id), span_id=span_number(execution_id, turn)):
            begun = self._tracer.start_span(name[:LONGEST], context=context, start_time=_nanoseconds(began_at))
        made = _Span(begun)
        made.set(attributes)
        if error:
            made.failed(error)
        begun.end(end_time=_nanoseconds(ended_at))

    def headers(self) -> dict[str, str]:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier

    def flush(self, *, limit_seconds: float) -> None:
        # The library's own limit does not hold (opentelemetry-python#4568).
        flushing = threading.Thread(target=self._provider.force_flush, name="traces' flush", daemon=True)
        flushing.start()
        flushing.join(limit_seconds)

    def _inside(self, execution_id: str, turn: int) -> Context:
        """What is under way in this trace, else the turn, wherever its own span is made."""
        trace_id = trace_number(execution_id)
        if trace.get_current_span().get_span_context().trace_id == trace_id:
            return trace.set_span_in_context(trace.get_current_span())
        decision = self._provider.sampler.should_sample(None, trace_id, SCOPE).decision
        sampled = decision is Decision.RECORD_AND_SAMPLE
        context = SpanContext(
            trace_id=trace_id,
            span_id=span_number(execution_id, turn),
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT),
        )
        return trace.set_span_in_context(NonRecordingSpan(context), Context())


class _Masked(SpanExporter):
    """Hands on copies without secrets."""

    def __init__(self, exporter: SpanExporter, mask: Callable[[str], str], collector: Collector) -> None:
        self._exporter = exporter
        self._mask = mask
        self._collector = collector

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export([self._copy(span) for span in spans])
        self._collector.answered(taken=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def _copy(self, span: ReadableSpan) -> ReadableSpan:
        """Without events: what an exception says of itself, and its stack, may quote anything."""
        ours = span.instrumentation_scope is not None and span.instrumentation_scope.name == SCOPE
        said = self._mask(span.status.description) if ours and span.status.description else None
        return ReadableSpan(
            name=self._mask(span.name),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes={
                name: self._mask(value) if isinstance(value, str) else value
                for name, value in (span.attributes or {}).items()
            },
            links=span.links,
            kind=span.kind,
            instrumentation_scope=span.instrumentation_scope,
            status=Status(span.status.status_code, said),
            start_time=span.start_time,
            end_time=span.end_time,
        )


def _bounded(value: Attribute) -> Attribute:
    if isinstance(value, str):
        return value[:LONGEST]
    return [one[:LONGEST] for one in value[:20]] if isinstance(value, list) else value


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
