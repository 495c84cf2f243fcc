from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.topics import Topics, topics
from worker_core.hooks import answering


@pytest.fixture
def server() -> Iterator[Topics]:
    with topics() as server:
        yield server


@pytest.fixture
def no_long_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "REST", timedelta(milliseconds=20))
    monkeypatch.setattr(answering, "LOOK", timedelta(milliseconds=50))
