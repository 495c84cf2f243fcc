from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.support.playground import Stage, running_playground


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running_playground(tmp_path_factory.mktemp("playground")) as running:
        yield running


@pytest.fixture
async def api(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    async with stage.client() as client:
        yield client


@pytest.fixture
async def model(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    async with stage.model_client() as client:
        yield client
