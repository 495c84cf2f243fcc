from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.support.playground import Stage


@pytest.fixture
async def api(stage: Stage) -> AsyncIterator[httpx2.AsyncClient]:
    async with stage.client() as client:
        yield client


@pytest.fixture
async def model(stage: Stage) -> AsyncIterator[httpx2.AsyncClient]:
    async with stage.model_client() as client:
        yield client
