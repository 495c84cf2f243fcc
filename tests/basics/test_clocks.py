from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from worker_core.basics.clocks import FIRST_TIME, TRUSTED_AFTER_SECONDS, LeastTime, last_used, steady

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Machine:
    """Its clock, which somebody sets, and the other one, which nobody does."""

    def __init__(self) -> None:
        self.wall, self.passed = NOON, 0.0
        self.other: datetime | None = None
        self.least = LeastTime(other=lambda: self.other, wall=lambda: self.wall.timestamp(), steady=lambda: self.passed)

    def wait(self, seconds: float) -> None:
        self.passed += seconds
        self.wall += timedelta(seconds=seconds)

    def said(self) -> datetime | None:
        now = self.least.now()
        return None if now is None else datetime.fromtimestamp(now, UTC)


def test_nobody_sets_the_steady_one() -> None:
    before = steady()
    assert steady() >= before


@pytest.mark.parametrize("ahead", [-400 * DAY, -DAY, 0 * DAY, DAY, 36_500 * DAY])
def test_the_earlier_of_two_clocks_counts(ahead: timedelta) -> None:
    machine = Machine()
    machine.other = NOON
    machine.wall += ahead
    assert machine.said() == min(NOON, NOON + ahead)


def test_alone_a_clock_is_believed_once_nobody_has_set_it_for_an_hour() -> None:
    machine = Machine()
    assert machine.said() is None
    machine.wait(TRUSTED_AFTER_SECONDS)
    assert machine.said() == machine.wall


@pytest.mark.parametrize("ahead", [-DAY, DAY, 36_500 * DAY])
def test_one_that_was_set_is_believed_an_hour_later(ahead: timedelta) -> None:
    machine = Machine()
    machine.wait(TRUSTED_AFTER_SECONDS)
    machine.wall += ahead
    assert machine.said() is None
    machine.wait(TRUSTED_AFTER_SECONDS - 1)
    assert machine.said() is None
    machine.wait(1)
    assert machine.said() == machine.wall


def test_what_a_clock_gains_is_no_setting() -> None:
    machine = Machine()
    for _ in range(48):
        machine.wait(1800)
        machine.wall += timedelta(seconds=0.5)
    assert machine.said() == machine.wall


def test_what_is_dated_before_any_time_that_can_be_is_dated_anew(tmp_path: Path) -> None:
    now = time.time()
    for said, expected in ((now - 5, now - 5), (FIRST_TIME, FIRST_TIME), (0.0, now)):
        os.utime(tmp_path, (said, said))
        assert last_used(tmp_path, now) == pytest.approx(expected, abs=1)
    if os.utime in os.supports_follow_symlinks:
        assert tmp_path.stat().st_mtime == pytest.approx(now, abs=1)
