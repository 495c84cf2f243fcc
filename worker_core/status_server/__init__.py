"""How a worker is: `/healthz`, `/readyz` and `/metrics` where the setting `status_port` names a port, and the same
metrics by OTLP where OpenTelemetry's standard variables ask for them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from worker_core.tracing.signals import wanted

if TYPE_CHECKING:
    from worker_core.status_server.measures import Watched

log = logging.getLogger(__name__)


@contextmanager
def serving_status(
    engine: Watched, *, host: str, port: int | None, environ: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Tell how an engine is inside the block, on whose loop it runs; where nobody asks, nothing is loaded.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    with _pushing(engine, environ), _listening(engine, host, port):
        yield


@contextmanager
def _listening(engine: Watched, host: str, port: int | None) -> Iterator[None]:
    if port is None:
        yield
        return
    from worker_core.status_server.server import StatusServer

    server = StatusServer(engine, host=host, port=port)
    server.open()
    try:
        yield
    finally:
        server.close()


@contextmanager
def _pushing(engine: Watched, environ: Mapping[str, str]) -> Iterator[None]:
    if not wanted(environ).metrics:
        yield
        return
    from worker_core.status_server.measures import Measures

    try:
        from worker_core.status_server.otlp import MetricsPush
    except ImportError:
        log.warning(
            "The environment asks for metrics by OTLP, but OpenTelemetry is not installed: none are sent. "
            "`pip install 'kubiya-worker[otel]'` adds it."
        )
        yield
        return
    measures = Measures(engine)
    push = MetricsPush(measures, host_id=engine.snapshot.host_id, environ=environ)
    push.start()
    try:
        yield
    finally:
        push.close()
        measures.close()
