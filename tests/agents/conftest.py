from __future__ import annotations

from collections.abc import Iterator

import pytest
from temporalio.client import Client

from tests.support.temporal import temporal_server
from worker_core.secrets import Secret
from worker_core.temporal.connection import Target, connect


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    with temporal_server() as address:
        yield address


@pytest.fixture
async def client(temporal_address: str) -> Client:
    return await connect(Target(host=temporal_address, namespace="default", api_key=Secret("")), identity="test")
