"""Spans of executions, as the rest of the worker makes them: nothing happens while nobody asks for traces."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from worker_core.tracing.signals import other_protocol, wanted
from worker_core.tracing.tracer import ROOT, Attribute, Span, SpanKind, Tracer

log = logging.getLogger(__name__)


class _Nothing:
    def set(self, attributes: Mapping[str, Attribute]) -> None:
        pass

    def failed(self, kind: str, sentence: str = "") -> None:
        pass


_NOTHING = _Nothing()
_tracer: Tracer | None = None


def start(*, mask: Callable[[str], str], host_id: str, environ: Mapping[str, str] = os.environ) -> None:
    """Begin to trace where the environment asks for it. The first call in a process counts.

    Args:
        mask: hides secrets in everything that is sent.
        host_id: of this machine.
        environ: usually `os.environ`.
    """
    global _tracer
    if _tracer is not None or not wanted(environ).traces:
        return
    try:
        from worker_core.tracing.otel import OtelTracer
    except ImportError:
        log.warning(
            "The environment asks for traces, but OpenTelemetry is not installed: none are sent. "
            "`pip install 'kubiya-worker[otel]'` adds it."
        )
        return
    if protocol := other_protocol(environ):
        log.warning("OTLP is sent as http/protobuf, not as %s: the endpoint must take that (port 4318).", protocol)
    tracer = OtelTracer(mask=mask, host_id=host_id)
    tracer.serve_libraries()
    _tracer = tracer
    log.info("Traces are sent by OTLP over HTTP.")


def flush(*, limit_seconds: float) -> None:
    """Send what is left, for so long at most. Blocks."""
    if _tracer is not None:
        _tracer.flush(limit_seconds=limit_seconds)


@contextmanager
def span(
    name: str,
    *,
    execution_id: str,
    turn: int = ROOT,
    kind: SpanKind = "internal",
    attributes: Mapping[str, Attribute] | None = None,
) -> Iterator[Span]:
    """What happens in the block, as a part of the turn; what it raises is told by its type alone.

    Args:
        name: by OpenTelemetry's conventions.
        execution_id: whose trace it belongs to.
        turn: of the execution, or `ROOT`.
        kind: `client` where somebody else is asked.
        attributes: by name. No prompts, no arguments, no answers.
    """
    if _tracer is None:
        yield _NOTHING
        return
    with _tracer.span(name, execution_id=execution_id, turn=turn, kind=kind, attributes=attributes or {}) as one:
        yield one


def record(
    name: str,
    *,
    execution_id: str,
    turn: int = ROOT,
    began_at: datetime,
    ended_at: datetime,
    attributes: Mapping[str, Attribute],
    error: str = "",
) -> None:
    """The turn itself, or with `ROOT` the execution: what the spans inside it belong to.

    Args:
        name: by OpenTelemetry's conventions.
        execution_id: whose trace it is.
        turn: which.
        began_at: aware.
        ended_at: aware.
        attributes: as for `span`.
        error: a word of ours; empty: it went well.
    """
    if _tracer is not None:
        _tracer.record(
            name,
            execution_id=execution_id,
            turn=turn,
            began_at=began_at,
            ended_at=ended_at,
            attributes=attributes,
            error=error,
        )


def headers() -> dict[str, str]:
    """W3C trace context of the span that is under way; empty: there is none."""
    return {} if _tracer is None else _tracer.headers()
