from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from worker_core.basics.loop_thread import LoopThread, TookTooLong


def test_a_loop_in_a_thread_gives_results_errors_and_limits() -> None:
    async def answer() -> int:
        return 42

    async def fail() -> None:
        raise TimeoutError("its own")

    thread = LoopThread("test")
    assert thread.call(answer(), limit=timedelta(seconds=5)) == 42
    with pytest.raises(TimeoutError, match="its own"):
        thread.call(fail(), limit=timedelta(seconds=5))
    with pytest.raises(TookTooLong, match="longer than"):
        thread.call(asyncio.sleep(60), limit=timedelta(milliseconds=1))
    thread.close()
    assert not thread.is_running
    assert thread.call(answer(), limit=timedelta(seconds=5)) == 42, "one that was closed begins anew"
    thread.close()


def test_one_loop_serves_callers_that_block_and_callers_that_wait() -> None:
    thread = LoopThread("test")

    async def where() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    waited = asyncio.run(thread.run(where()))
    assert waited is thread.call(where(), limit=timedelta(seconds=5))
    thread.close()
