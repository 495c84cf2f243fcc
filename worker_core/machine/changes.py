"""Watches the machine below the worker: asleep and awake again, on another network, and how loaded it is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import psutil

from worker_core.basics.clocks import follow_time_zone
from worker_core.basics.sentences import worded
from worker_core.machine.load import HealthSampler
from worker_core.snapshot import Health

LOOK_EVERY = timedelta(seconds=15)
SLEPT_FOR: Final = timedelta(seconds=20)
"""A gap this much longer than the interval between two looks means that the machine, or this process, was away."""


class SleepDetector:
    """Compares clocks between two looks. A wall clock that was set forward looks like sleep too, which is harmless:
    connections are then checked, no more.
    """

    def __init__(
        self,
        *,
        interval: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`interval` is the time between two looks when nothing happens."""
        self._interval = interval.total_seconds()
        self._monotonic, self._wall = monotonic, wall
        self._seen = (monotonic(), wall())

    def woke_up(self) -> bool:
        """Whether the machine slept, or the process stood still, since the last look."""
        before, self._seen = self._seen, (self._monotonic(), self._wall())
        # On Linux and macOS the monotonic clock stands still during sleep, on Windows it goes on: the longer one tells.
        away = max(self._seen[0] - before[0], self._seen[1] - before[1]) - self._interval
        return away > SLEPT_FOR.total_seconds()


def network_fingerprint() -> frozenset[tuple[str, str]]:
    """Interfaces that are up, with their addresses; loopback and link-local addresses left out."""
    try:
        states, addresses = psutil.net_if_stats(), psutil.net_if_addrs()
    except (OSError, psutil.Error):
        return frozenset()
    return frozenset(
        (name, entry.address)
        for name, entries in addresses.items()
        if name in states and states[name].isup
        for entry in entries
        if entry.family in {socket.AF_INET, socket.AF_INET6}
        and not entry.address.startswith(("127.", "169.254.", "fe80:", "::1"))
    )


async def watch(
    *,
    sampler: HealthSampler,
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
    sleep = SleepDetector(interval=every)
    network = network_fingerprint()
    while True:
        await asyncio.sleep(every.total_seconds())
        follow_time_zone()
        with contextlib.suppress(Exception):  # what psutil cannot tell is shown as not known
            on_sample(await sampler.sample())
        now = network_fingerprint()
        if sleep.woke_up():
            on_change(worded("The machine woke from sleep."))
        elif now != network:
            on_change(worded("The network changed."))
        network = now
