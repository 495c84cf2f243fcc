from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.temporal import temporal_server


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    with temporal_server() as address:
        yield address
