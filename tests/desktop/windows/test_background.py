"""What a button starts: carried out beside the window, and given up without a trace."""

from __future__ import annotations

import asyncio
import gc

from desktop.windows.background import Background
from worker_core.errors import KubiyaError


async def test_what_went_wrong_is_said(qapp: object) -> None:
    del qapp
    background, said, done = Background(), list[str](), list[str]()
    background.failed.connect(said.append)

    async def broken() -> None:
        raise KubiyaError("It is as it is.")

    async def well() -> None: ...

    background.ask(broken(), doing="try", done=lambda: done.append("broken"))
    background.ask(well(), doing="try", done=lambda: done.append("well"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert (said, done) == (["It is as it is."], ["well"])


async def test_what_is_given_up_before_it_began_leaves_no_warning(qapp: object) -> None:
    """A loop that ends cancels its tasks, those too that were made a moment ago."""
    del qapp
    begun: list[str] = []

    async def work() -> None:
        begun.append("it")

    before = asyncio.all_tasks()
    Background().ask(work(), doing="try")
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert begun == []
