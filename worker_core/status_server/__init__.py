"""`/healthz`, `/readyz` and `/metrics` for probes and Prometheus, where the setting `status_port` names a port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker_core.status_server.server import Watched


@contextmanager
def serving_status(engine: Watched, *, host: str, port: int | None) -> Iterator[None]:
    """Serve the status of an engine inside the block, on whose loop it runs; without a port, nothing is loaded.

    Raises:
        ConfigurationError: it cannot listen there.
    """
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
