"""Many executions at once, with two tool calls each: what one takes on the clock, and what it takes while it waits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from bench.processes import with_bytecode
from bench.result import Result
from bench.stage import at_once, stage

FEW: Final = 10
MANY: Final = (200, 1000)
EACH_MS: Final = 150
WAITING_KB: Final = 50


def measure_many(folder: Path) -> list[Result]:
    """Beside a few at once, which is what a worker that stays as quick takes. Needs three minutes."""
    with_bytecode("worker_core", "bench")
    return asyncio.run(_measure(folder))


async def _measure(folder: Path) -> list[Result]:
    results = []
    async with stage(folder) as here:
        await at_once(here, FEW)  # it fills what the worker keeps
        few = await at_once(here, FEW)
        for number in MANY:
            crowd = await at_once(here, number)
            results.append(
                Result(
                    name=f"{number} executions at once, two tool calls each: one of them",
                    unit="ms",
                    ours=crowd.seconds / number * 1000,
                    bare=few.seconds / FEW * 1000,
                    goal=EACH_MS,
                )
            )
    results.append(
        Result(
            name=f"{number} executions at once: memory of one that waits",
            unit="KB",
            ours=crowd.grown_megabytes / number * 1000,
            bare=None,
            goal=WAITING_KB,
        )
    )
    return results
