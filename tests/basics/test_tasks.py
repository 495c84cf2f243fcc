"""Tasks that nobody waits for."""

from __future__ import annotations

import asyncio
import gc
import weakref
from datetime import timedelta

from worker_core.basics.tasks import TaskKeeper


async def test_a_task_is_kept_until_it_has_ended() -> None:
    keeper, ended = TaskKeeper(), asyncio.Event()

    async def work() -> None:
        # Nothing but the task itself holds what it waits for.
        forgotten: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(
            0.01, lambda held: held() and held().set_result(None), weakref.ref(forgotten)
        )
        await forgotten
        ended.set()

    keeper.start(work(), name="a name")
    assert len(keeper) == 1
    assert "a name" in {task.get_name() for task in asyncio.all_tasks()}
    await asyncio.sleep(0)
    gc.collect()
    async with asyncio.timeout(30):
        await ended.wait()
        while keeper:
            await asyncio.sleep(0)


async def test_what_has_not_ended_is_cancelled_and_waited_for() -> None:
    keeper = TaskKeeper()
    tidied: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            tidied.append("yes")

    keeper.start(work())
    keeper.start(work())
    await asyncio.sleep(0)
    await keeper.end(limit=timedelta(seconds=30))
    assert tidied == ["yes", "yes"]
    assert not keeper
    await keeper.end(limit=timedelta(0))
