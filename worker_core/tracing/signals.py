"""What the environment asks of OpenTelemetry: its specification's variables, and no other."""

from __future__ import annotations

from collections.abc import Mapping

from worker_core.basics.quick_dataclass import dataclass

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Which signals are sent."""

    traces: bool = False
    metrics: bool = False


def wanted(environ: Mapping[str, str]) -> Signals:
    """A signal is sent where an endpoint is named for it, or for all, and nothing switches it off."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Signals()
    return Signals(traces=_sent("TRACES", environ), metrics=_sent("METRICS", environ))


def _sent(signal: str, environ: Mapping[str, str]) -> bool:
    if environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower() not in {"", "otlp"}:
        return False
    return bool(environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or environ.get(_ENDPOINT))


def other_protocol(environ: Mapping[str, str]) -> str:
    """The OTLP protocol that is asked for, where it is none that this worker speaks (`http/protobuf` alone)."""
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if said := environ.get(name, "").strip():
            return "" if said == "http/protobuf" else said
    return ""
