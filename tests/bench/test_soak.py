"""The soak finds what grows, finds nothing in noise, and a busy worker stays as it is."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.soak import ALLOWED, Series, report, soak
from bench.trend import trend


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


@pytest.mark.skipif(sys.platform == "win32", reason="the programs are ended with SIGTERM")
def test_a_busy_worker_stays_as_it_is(tmp_path: Path) -> None:
    series = soak(24, tmp_path)
    said, grown = report(series)
    assert series.executions > 5
    # So short, memory is still warming up; `make soak` is what looks at it.
    assert not set(grown) - {"memory"}, said
