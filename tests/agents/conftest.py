from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from temporalio.client import Client

from tests.support.temporal import temporal_server
from worker_core.secrets import Secret
from worker_core.temporal.connection import Target, connect, metrics


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    with temporal_server() as address:
        yield address


@pytest.fixture
async def client(temporal_address: str) -> AsyncIterator[Client]:
    async def drain() -> None:
        while True:
            metrics().drain()
            await asyncio.sleep(0.2)

    draining = asyncio.create_task(drain())
    yield await connect(
        Target(host=temporal_address, namespace="default", api_key=Secret("")), identity="test", mask=str
    )
    draining.cancel()
