from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.tools.conftest import Call
from worker_core.tools.sleep import SleepTool


async def test_it_waits(call: Call) -> None:
    result = await call(SleepTool(), {"seconds": 0.01})
    assert result.succeeded
    assert result.output == "0.01 seconds have passed."
    bounded = await call(SleepTool(), {"seconds": 200}, timeout=timedelta(seconds=0.01))
    assert bounded.output == "0.01 seconds have passed."


@pytest.mark.parametrize("seconds", [-1, 301, float("nan"), float("inf")])
async def test_what_is_no_time_is_refused(call: Call, seconds: float) -> None:
    assert "between 0 and 300" in ((await call(SleepTool(), {"seconds": seconds})).error or "")


async def test_it_can_be_cancelled(call: Call) -> None:
    task = asyncio.ensure_future(call(SleepTool(), {"seconds": 300}))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
