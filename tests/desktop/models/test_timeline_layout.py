"""Lines and bars: nothing that overlaps covers another, and very many cost no more than there are pixels."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from desktop.models.timeline import LANES, SpanState, TimelineSpan
from desktop.models.timeline_layout import MOST_LINES, THIN, bars_of, rows_of

STATES: tuple[SpanState, ...] = ("done", "failed", "unknown")


def span(begin: float, end: float | None, state: SpanState = "done") -> TimelineSpan:
    return TimelineSpan(lane="tool", name="x", begin=begin, end=end, state=state)


SPANS = st.lists(
    st.builds(
        lambda lane, begin, took, state: TimelineSpan(lane=lane, name="x", begin=begin, end=begin + took, state=state),
        st.sampled_from(LANES),
        st.floats(0, 1000),
        st.floats(0, 200),
        st.sampled_from(STATES),
    ),
    max_size=40,
).map(lambda spans: sorted(spans, key=lambda one: one.begin))


@given(SPANS)
def test_every_span_has_one_line_and_overlaps_none_in_it(spans: list[TimelineSpan]) -> None:
    rows = rows_of(spans)
    drawn = [id(one) for lines in rows.values() for line in lines for one in line.spans]
    assert sorted(drawn) == sorted(map(id, spans))
    assert list(rows) == [lane for lane in LANES if any(one.lane == lane for one in spans)]
    for lane, lines in rows.items():
        assert len(lines) <= MOST_LINES
        for line in lines[: MOST_LINES - 1]:
            assert all(one.lane == lane for one in line.spans)
            assert all(before.until(0) <= after.begin for before, after in itertools.pairwise(line.spans))


@given(SPANS, st.floats(0, 1000), st.floats(0, 300))
def test_a_look_at_a_part_misses_nothing_of_it(spans: list[TimelineSpan], since: float, length: float) -> None:
    for lines in rows_of(spans).values():
        for line in lines:
            seen = line.within(since, since + length)
            there = [one for one in line.spans if one.begin <= since + length and one.until(0) >= since]
            assert [one for one in seen if one in there] == there


@given(SPANS, st.floats(0.01, 10))
def test_bars_hold_every_span_and_a_failure_is_always_seen(spans: list[TimelineSpan], pixels: float) -> None:
    for lines in rows_of(spans).values():
        for line in lines:
            bars = bars_of(line.spans, x_of=lambda at: at * pixels, now=0)
            assert [id(one) for bar in bars for one in bar.spans] == [id(one) for one in line.spans]
            assert all(bar.right - bar.left >= THIN - 1e-6 for bar in bars)
            assert all(bar.tone == "danger" for bar in bars if any(one.state == "failed" for one in bar.spans))
            assert all(bar.right - bar.left <= THIN + 1e-6 for bar in bars if len(bar.spans) > 1)


def test_two_thousand_spans_in_a_few_pixels_are_a_few_bars() -> None:
    [line] = rows_of([span(number, number + 1, "failed" if number == 700 else "done") for number in range(2_000)])[
        "tool"
    ]
    bars = bars_of(line.spans, x_of=lambda at: at / 5, now=0)
    assert len(bars) <= 400 / THIN + 1
    assert [bar.tone for bar in bars].count("danger") == 1
    assert len(line.within(500, 510)) <= 12, "only what is seen is looked at"


def test_what_runs_keeps_its_line() -> None:
    lines = rows_of([span(0, None), span(1, 2), span(3, 4)])["tool"]
    assert [len(line.spans) for line in lines] == [1, 2]
