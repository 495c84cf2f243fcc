"""Measures this machine for a window that is looked at."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.basics.clocks import follow_time_zone

if TYPE_CHECKING:
    from worker_core.machine.load import HealthSampler
    from worker_core.snapshot import Health


class Sampling:
    """Makes its sampler in a thread when it is first asked: that looks at disks and processes."""

    def __init__(self, *, disk: Path) -> None:
        """`disk`: a folder on the one that is measured."""
        self._disk = disk
        self._sampler: HealthSampler | None = None

    async def sample(self) -> Health:
        follow_time_zone()  # a window without an engine of its own shows times, too
        if self._sampler is None:
            from worker_core.machine.load import HealthSampler

            self._sampler = await asyncio.to_thread(HealthSampler, disk_path=self._disk)
        return await self._sampler.sample()
