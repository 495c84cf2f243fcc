"""Bars of days, as arithmetic."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.models.usage import (
    LEAST_COST_STEP,
    MOST_PARTS,
    MOST_STEPS,
    Measure,
    day_at,
    days_with_numbers,
    labelled,
    moved,
    scale,
    stacked,
    value_of,
)
from worker_core.budgets.usage import DailyUsage, DayNumbers, UsageNumbers

FIRST = date(2026, 9, 1)


@pytest.mark.parametrize(
    ("highest", "lines"),
    [
        (0, (0, 1)),
        (1, (0, 1)),
        (3, (0, 1, 2, 3)),
        (7, (0, 2, 4, 6, 8)),
        (40, (0, 10, 20, 30, 40)),
        (41, (0, 20, 40, 60)),
        (1_500, (0, 500, 1_000, 1_500)),
    ],
)
def test_a_scale_has_few_round_lines(highest: float, lines: tuple[float, ...]) -> None:
    assert scale(highest) == lines


@given(st.floats(0, 1e12), st.sampled_from([1.0, LEAST_COST_STEP]))
def test_a_scale_holds_what_is_highest_and_not_much_more(highest: float, least: float) -> None:
    lines = scale(highest, least_step=least)
    step = lines[1]
    assert lines[0] == 0
    assert 2 <= len(lines) <= MOST_STEPS + 1
    assert lines[-1] >= highest * (1 - 1e-6)
    assert step >= least
    assert lines[-1] - step <= highest, "no line is above the one that is needed"


@given(st.integers(0, 90), st.floats(0, 2_000), st.floats(1, 200))
def test_named_days_end_with_the_last_and_do_not_touch(days: int, width: float, label_width: float) -> None:
    places = labelled(days, width=width, label_width=label_width)
    if not places:
        assert days == 0 or width < label_width
        return
    assert places[-1] == days - 1
    middles = [(place + 0.5) * width / days for place in places]
    middles[-1] = min(middles[-1], width - label_width / 2)
    assert all(after - before >= label_width * (1 - 1e-9) for before, after in itertools.pairwise(middles))
    assert all(middle - label_width / 2 >= -1e-6 for middle in middles)


@given(st.floats(-100, 3_000), st.floats(0, 2_000), st.integers(0, 90))
def test_the_day_under_the_mouse_is_the_one_that_is_drawn_there(x: float, width: float, days: int) -> None:
    place = day_at(x, width=width, days=days)
    if place is None:
        assert days == 0 or width == 0 or not 0 <= x <= width
    else:
        assert 0 <= place < days
        assert place * width / days - 1e-6 <= x <= (place + 1) * width / days + 1e-6


@given(st.integers(1, 90), st.lists(st.sampled_from([-90, -7, -1, 0, 1, 7, 90])))
def test_keys_never_leave_the_days(days: int, keys: list[int]) -> None:
    place = None
    for by in keys:
        before, place = place, moved(place, by, days=days)
        assert place is not None
        assert 0 <= place < days
        assert place == days - 1 if before is None else abs(place - before) <= abs(by)
    assert moved(None, 1, days=0) is None


def test_days_on_which_there_was_something() -> None:
    assert days_with_numbers([UsageNumbers(), UsageNumbers(failed=1), UsageNumbers(), UsageNumbers(cost=0.1)]) == (1, 3)


ROWS = st.lists(
    st.builds(
        DayNumbers,
        day=st.integers(0, 4).map(lambda days: FIRST + timedelta(days=days)),
        agent_id=st.sampled_from("abcdefgh"),
        queue_id=st.sampled_from(["", "p", "q"]),
        numbers=st.builds(
            UsageNumbers, turns=st.integers(0, 3), tokens=st.integers(0, 9), cost=st.sampled_from([0.0, 0.25, 1.5])
        ),
    ),
    max_size=60,
)


@given(ROWS, st.sampled_from(["tokens", "cost", "turns"]), st.sampled_from(["agent", "queue"]))
def test_parts_are_the_whole_bar_and_the_largest_have_a_name(rows: list[DayNumbers], measure: Measure, part) -> None:
    usage = DailyUsage(first=FIRST, last=FIRST + timedelta(days=4), rows=tuple(rows), agents={}, queues={})
    stack = stacked(usage, part, measure)
    for day, numbers in usage.by_day():
        assert sum(stack.days.get(day, ())) == value_of(numbers, measure)
    assert sum(stack.sums) == value_of(usage.total, measure)
    assert len(stack.ids) <= MOST_PARTS
    assert len(stack.sums) == len(stack.ids) + bool(stack.others)
    named = list(stack.sums[: len(stack.ids)])
    assert named == sorted(named, reverse=True)
    taken = {id_: value_of(numbers, measure) for id_, numbers in usage.by(part)}
    assert len(stack.ids) + stack.others == sum(value > 0 for value in taken.values()), "who took nothing is no part"
    if stack.others:
        assert max(value for id_, value in taken.items() if id_ not in stack.ids) <= named[-1]
