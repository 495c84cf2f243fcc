"""Work whose amount a stranger decides leaves most of the time to others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from worker_core.basics import pace
from worker_core.basics.pace import AT_ONCE_SECONDS, REST, Pace


async def test_little_work_goes_on_and_much_is_followed_by_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    now, rests = [0.0], list[float]()

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        now[0] += seconds

    # For it alone: the modules themselves are everybody's, also those threads' that other tests have left.
    monkeypatch.setattr(pace, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(pace, "asyncio", SimpleNamespace(sleep=sleep))
    worker = Pace()
    for _ in range(100):
        now[0] += AT_ONCE_SECONDS / 10
        await worker.rest()
    assert len(rests) == pytest.approx(10, abs=1)
    assert sum(rests) == pytest.approx(REST * 100 * AT_ONCE_SECONDS / 10, rel=0.15)
    now[0] += 100.0  # waiting for the network is no work
    worker.begin()
    await worker.rest()
    assert len(rests) == pytest.approx(10, abs=1)
