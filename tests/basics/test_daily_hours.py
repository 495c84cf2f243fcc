"""Hours of each day: written, read, and held against every minute of days with changed clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.basics.daily_hours import DailyHours

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = DailyHours.read("22:00-07:00")


@pytest.mark.parametrize("text", ["22:00-07:00", " 22:00 – 7:00 ", "22:00-7:00"])
def test_they_are_read_as_people_write_them(text: str) -> None:
    assert DailyHours.read(text) == DailyHours(time(22), time(7))
    assert str(DailyHours.read(text)) == "22:00-07:00"


@pytest.mark.parametrize(
    "text", ["", "22-7", "22:00", "24:00-07:00", "22:60-07:00", "22:00-07:00-08:00", "22:00-07:00 x", "٢٢:٠٠-٠٧:٠٠"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="22:00-07:00"):
        DailyHours.read(text)


def test_a_whole_day_is_refused() -> None:
    with pytest.raises(ValueError, match="they end when they begin"):
        DailyHours.read("07:00-07:00")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        hours = DailyHours.read(text)
    except ValueError:
        return
    assert DailyHours.read(str(hours)) == hours


@pytest.mark.parametrize(
    ("clock", "left"),
    [("21:59", 0), ("22:00", 9 * 60), ("23:30", 7 * 60 + 30), ("00:00", 7 * 60), ("06:59", 1), ("07:00", 0)],
)
def test_they_go_over_midnight(clock: str, left: int) -> None:
    now = datetime.combine(date(2026, 5, 1), time.fromisoformat(clock), tzinfo=UTC)
    assert NIGHT.left(now) == timedelta(minutes=left)
    assert NIGHT.hold(now) is bool(left)


@given(st.times(), st.times(), st.datetimes(timezones=st.just(UTC)).filter(lambda now: 1 < now.year < 9999))
def test_they_hold_until_what_is_left_is_over(begin: time, end: time, now: datetime) -> None:
    begin, end = begin.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    if begin == end:
        return
    hours = DailyHours(begin, end)
    assert hours.hold(now) is not DailyHours(end, begin).hold(now)
    if hours.hold(now) and (left := hours.left(now)) > timedelta(seconds=1):
        assert hours.hold(now + left - timedelta(microseconds=1))
        assert not hours.hold(now + left)


@pytest.mark.parametrize("night", [datetime(2026, 3, 28, 22, tzinfo=BERLIN), datetime(2026, 10, 24, 22, tzinfo=BERLIN)])
def test_clocks_that_are_changed_at_night_change_nothing(night: datetime) -> None:
    """Whoever looks every ten minutes at most, and when it says so, looks again when they are over."""
    now, looks = night.astimezone(UTC), 0
    while left := NIGHT.left(now.astimezone(BERLIN).replace(tzinfo=None)):
        now, looks = now + min(left, timedelta(minutes=10)), looks + 1
    over = now.astimezone(BERLIN)
    assert (over.hour, over.minute) == (7, 0)
    assert looks in {48, 60}
