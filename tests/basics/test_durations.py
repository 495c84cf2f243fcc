"""Times as people write them."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.basics.durations import duration_as_typed, read_duration


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        (90, 90), (0.5, 0.5), ("90", 90), (" 90 ", 90), ("90s", 90), ("90 s", 90), ("5 min", 300), ("5m", 300),
        ("2 h", 7200), ("1 h 30 min", 5400), ("1 hour, 30 minutes", 5400), ("1h30m", 5400), ("7 d", 604_800),
        ("7 Days", 604_800),
        ("1.5 h", 5400), (timedelta(minutes=2), 120),
    ],
)  # fmt: skip
def test_what_people_write(typed: object, seconds: float) -> None:
    assert read_duration(typed) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "typed",
    [
        "", "soon", "5 parsecs", "5 min 5 min", "min", "5 5 min", "1e400", "nan", "inf", True, None, [], "9" * 200,
        "999999999999 d", "-", "5,5 min", 1e300,
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_examples(typed: object) -> None:
    with pytest.raises(ValueError, match=r"seconds, or a time such as 30 s, 5 min, 2 h or 7 d"):
        read_duration(typed)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=365)))
def test_what_is_shown_can_be_typed(span: timedelta) -> None:
    assert abs(read_duration(duration_as_typed(span)) - span) <= timedelta(microseconds=1)


@given(st.text(max_size=200))
def test_no_text_is_trouble(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(read_duration(text), timedelta)


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(seconds=300), "5 min"), (timedelta(minutes=90), "1 h 30 min"), (timedelta(days=7), "7 d"),
        (timedelta(seconds=30), "30 s"), (timedelta(milliseconds=500), "0.5 s"), (timedelta(0), "0 s"),
    ],
)  # fmt: skip
def test_as_it_would_be_typed(span: timedelta, said: str) -> None:
    assert duration_as_typed(span) == said
