"""`/healthz`, `/readyz` and `/metrics` for probes and Prometheus, where the setting `status_address` names a place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker_core.status_server.server import Watched


@contextmanager
def serving_status(engine: Watched, address: str) -> Iterator[None]:
    """Serve the status of an engine inside the block, on whose loop it runs; without an address, nothing is loaded.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    if not address:
        yield
        return
    from worker_core.status_server.server import StatusServer

    server = StatusServer(engine, address)
    server.open()
    try:
        yield
    finally:
        server.close()
