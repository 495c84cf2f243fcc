from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.fake_control_plane import FakeControlPlane
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.secrets import Secret


@pytest.fixture
async def plane() -> AsyncIterator[FakeControlPlane]:
    async with FakeControlPlane() as running:
        yield running


@pytest.fixture
async def client(plane: FakeControlPlane) -> AsyncIterator[ControlPlaneClient]:
    made = ControlPlaneClient(base_url=plane.url, api_key=Secret(plane.api_key))
    yield made
    await made.aclose()
