"""Watches the machine below the worker: asleep and awake again, on another network, and how loaded it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

from worker_core import health
from worker_core.snapshot import Health

LOOK_EVERY = timedelta(seconds=15)


async def watch(
    *,
    sampler: health.HealthSampler,
    on_sample: Callable[[Health], None],
    on_change: Callable[[str], None],
    every: timedelta = LOOK_EVERY,
) -> None:
    """Look until cancelled.

    Args:
        sampler: measures.
        on_sample: hears each measurement.
        on_change: hears, as a sentence, what may have broken connections.
        every: time between two looks.
    """
    sleep = health.SleepDetector(interval=every)
    network = health.network_fingerprint()
    while True:
        await asyncio.sleep(every.total_seconds())
        with contextlib.suppress(Exception):  # what psutil cannot tell is shown as not known
            on_sample(await sampler.sample())
        now = health.network_fingerprint()
        if sleep.woke_up():
            on_change("The machine woke from sleep.")
        elif now != network:
            on_change("The network changed.")
        network = now
