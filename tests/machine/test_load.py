from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.claude.installation import supported_runtimes
from worker_core.control_plane.system_info import system_info
from worker_core.machine import changes
from worker_core.machine.changes import SLEPT_FOR, SleepDetector
from worker_core.machine.load import HealthSampler, ProcessorMeter


async def test_a_sample_is_of_this_machine_and_this_process(tmp_path: Path) -> None:
    sample = await HealthSampler(disk_path=tmp_path / "not" / "yet").sample()
    assert sample.cpu_percent is None or 0 <= sample.cpu_percent <= 100
    assert 0 < sample.memory_percent < 100
    assert 0 < sample.memory_used_bytes < sample.memory_total_bytes
    assert 0 < sample.disk_used_bytes <= sample.disk_total_bytes
    assert 1_000_000 < sample.process_rss_bytes < sample.memory_total_bytes


class Times(NamedTuple):
    user: float
    idle: float
    iowait: float = 0.0
    guest: float = 0.0


def test_the_processor_is_measured_from_look_to_look_in_whatever_thread() -> None:
    looks = iter([Times(100, 900), Times(103, 906, iowait=1), Times(113, 906, iowait=1), Times(113.05, 906.05, 1)])
    meter = ProcessorMeter(times=lambda: next(looks))
    said: list[float | None] = []
    for _ in range(3):  # psutil's own meter says 0 in each of these threads
        thread = threading.Thread(target=lambda: said.append(meter.percent()))
        thread.start()
        thread.join()
    assert said == [30.0, 100.0, None]


def test_what_guests_took_is_counted_once() -> None:
    looks = iter([Times(0, 0), Times(user=6, idle=4, guest=5)])
    assert ProcessorMeter(times=lambda: next(looks)).percent() == 60.0


def test_system_info_tells_the_truth() -> None:
    info = system_info(runtimes=supported_runtimes())
    claude = ("claude_code",) if importlib.util.find_spec("claude_agent_sdk") else ()
    assert (info.pid, info.supported_runtimes) == (os.getpid(), ("default", *claude))
    assert info.memory_total is None


async def test_system_info_with_a_sample_has_its_numbers(tmp_path: Path) -> None:
    sample = await HealthSampler(disk_path=tmp_path).sample()
    info = system_info(sample, runtimes=())
    assert (info.memory_total, info.disk_percent) == (sample.memory_total_bytes, sample.disk_percent)


@given(
    steps=st.lists(st.tuples(st.floats(0, 40), st.floats(-7200, 7200)), max_size=20),
    interval=st.integers(1, 60),
)
def test_sleep_is_a_gap_in_the_clock_that_ran_on(steps: list[tuple[float, float]], interval: int) -> None:
    clock = {"monotonic": 0.0, "wall": 1e9}
    detector = SleepDetector(
        interval=timedelta(seconds=interval), monotonic=lambda: clock["monotonic"], wall=lambda: clock["wall"]
    )
    for ran, jumped in steps:
        clock["monotonic"] += ran
        clock["wall"] += ran + jumped
        away = max(ran, ran + jumped) - interval
        if abs(away - SLEPT_FOR.total_seconds()) > 0.001:
            assert detector.woke_up() is (away > SLEPT_FOR.total_seconds())
        else:
            detector.woke_up()


def test_the_fingerprint_is_stable_and_without_loopback() -> None:
    first = changes.network_fingerprint()
    assert first == changes.network_fingerprint()
    assert not any(address.startswith("127.") for _, address in first)


async def test_the_watch_tells_of_sleep_and_of_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = iter([{("eth0", "10.0.0.1")}, {("eth0", "10.0.0.1")}, {("wlan0", "10.0.0.2")}])
    slept = iter([False, False, True])
    last = {("wlan0", "10.0.0.2")}
    monkeypatch.setattr(changes, "network_fingerprint", lambda: frozenset(next(networks, last)))
    monkeypatch.setattr(SleepDetector, "woke_up", lambda self: next(slept, False))
    told: list[str] = []
    samples: list[object] = []
    watching = asyncio.create_task(
        changes.watch(
            sampler=HealthSampler(disk_path=tmp_path),
            on_sample=samples.append,
            on_change=told.append,
            every=timedelta(milliseconds=5),
        )
    )
    async with asyncio.timeout(60):
        while len(samples) < 5:
            await asyncio.sleep(0.005)
    watching.cancel()
    assert told == ["The network changed.", "The machine woke from sleep."]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows asks for the time zone each time")
async def test_the_watch_follows_the_time_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = asyncio.Event()
    watching = asyncio.create_task(
        changes.watch(
            sampler=HealthSampler(disk_path=tmp_path), on_sample=lambda _: arrived.set(), on_change=lambda _: None,
            every=timedelta(milliseconds=10),
        )
    )  # fmt: skip
    try:
        monkeypatch.setenv("TZ", "THERE-05:45")
        async with asyncio.timeout(60):
            await arrived.wait()
        assert datetime.now().astimezone().utcoffset() == timedelta(hours=5, minutes=45)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        monkeypatch.undo()
        time.tzset()
