"""The soak finds what grows, finds nothing in noise, and a busy worker stays as it is."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.soak import ALLOWED, Busy, Series, busy, report
from bench.trend import trend
from tests.support.processes import LIMIT_SECONDS, wait_until


def noise(*, seed: int, count: int, leak: float) -> list[float]:
    chance = random.Random(seed)
    return [80 + chance.gauss(0, 1.5) + leak * number / count for number in range(count)]


@given(st.integers(0, 10_000), st.integers(40, 400))
def test_noise_does_not_grow(seed: int, count: int) -> None:
    assert not trend(noise(seed=seed, count=count, leak=0)).grows(allowed=4)


@given(st.integers(0, 10_000), st.integers(40, 400))
def test_a_leak_does(seed: int, count: int) -> None:
    assert trend(noise(seed=seed, count=count, leak=8)).grows(allowed=4)


@given(st.floats(-1e3, 1e3), st.floats(-10, 10), st.integers(3, 200))
def test_a_line_is_found_exactly(start: float, slope: float, count: int) -> None:
    line = trend([start + slope * number for number in range(count)])
    assert line.slope == pytest.approx(slope, abs=1e-6)
    assert line.growth == pytest.approx(slope * (count - 1), abs=1e-4)


def test_two_measurements_have_no_trend() -> None:
    with pytest.raises(ValueError, match="three measurements"):
        trend([1, 2])


def test_the_report_names_what_grew() -> None:
    series = Series(values={name: noise(seed=1, count=90, leak=0) for name in ALLOWED})
    assert report(series)[1] == []
    series.values["descriptors"] = [float(number) for number in range(90)]
    said, grown = report(series)
    assert grown == ["descriptors"]
    assert "descriptors" in said
    assert "GROWS" in said


MORE_BY_CHANCE = {"descriptors": 1.0, "threads": 16.0, "tasks": 1.0, "processes": 0.0, "connections": 20.0}
"""At rest, than at the rest before: pools of threads and connections were not full."""


def at_rest(worker: Busy) -> dict[str, float]:
    """What a worker holds once it stays the same."""
    seen: list[dict[str, float]] = []

    def stays() -> bool:
        time.sleep(0.5)
        seen.append({name: worker.holds()[name] for name in MORE_BY_CHANCE})
        return len(seen) > 3 and all(one["tasks"] == seen[-1]["tasks"] for one in seen[-4:])

    wait_until(stays)
    return seen[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="the programs are ended with SIGTERM")
def test_a_worker_that_was_busy_is_at_rest_what_it_was(tmp_path: Path) -> None:
    with busy(tmp_path) as worker:
        first = worker.work(8).executions
        before = at_rest(worker)
        second = worker.work(16).executions
        assert min(first, second) > 3

        def more() -> dict[str, float]:
            now = worker.holds()
            return {name: now[name] for name, most in MORE_BY_CHANCE.items() if now[name] > before[name] + most}

        until = time.monotonic() + LIMIT_SECONDS
        while left := more():
            assert time.monotonic() < until, f"{second} executions left {left}; before them {before}"
            time.sleep(0.5)
