"""Where moments stand: in order, and long idle gaps folded."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from desktop.models.time_scale import FOLD_PIXELS, TimeScale, scale_of

NOON = 1_767_268_800.0


def made(busy: list[tuple[float, float]], *, width: float = 600.0, zoom: float = 1.0) -> TimeScale:
    scale = scale_of(busy, width=width, zoom=zoom)
    assert scale is not None
    return scale


@st.composite
def busy_times(draw: st.DrawFn) -> list[tuple[float, float]]:
    at, found = NOON, []
    for gap, took in draw(
        st.lists(
            st.tuples(st.floats(0.01, 1e6), st.one_of(st.just(0.0), st.floats(0.01, 1e4))), min_size=1, max_size=12
        )
    ):
        found.append((at + gap, at + gap + took))
        at += gap + took
    return found


def test_nothing_has_no_scale() -> None:
    assert scale_of([], width=100) is None


def test_a_night_is_folded_and_what_was_done_fills_the_width() -> None:
    scale = made([(NOON, NOON + 60), (NOON + 40_000, NOON + 40_060)])
    assert [piece.folded for piece in scale.pieces] == [False, True, False]
    first, night, second = scale.pieces
    assert night.right - night.left == FOLD_PIXELS
    assert first.right - first.left == pytest.approx(second.right - second.left)
    assert scale.width == pytest.approx(600)


def test_a_short_rest_is_not_folded() -> None:
    assert len(made([(NOON, NOON + 60), (NOON + 65, NOON + 100)]).pieces) == 1


@given(busy_times(), st.floats(1, 4000), st.floats(1, 100))
def test_pieces_join_and_the_width_is_what_was_asked_for(
    busy: list[tuple[float, float]], width: float, zoom: float
) -> None:
    scale = made(busy, width=width, zoom=zoom)
    assert all(before.right == after.left for before, after in itertools.pairwise(scale.pieces))
    assert all(piece.end > piece.begin for piece in scale.pieces)
    assert scale.width == pytest.approx(width * zoom, rel=1e-3, abs=1)


@given(busy_times(), st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_later_is_never_further_left_and_a_place_leads_back_to_its_moment(
    busy: list[tuple[float, float]], shares: list[float]
) -> None:
    scale = made(busy)
    moments = [scale.begin + share * (scale.end - scale.begin) for share in sorted(shares)]
    places = [scale.x_of(moment) for moment in moments]
    assert places == sorted(places)
    for moment, place in zip(moments, places, strict=True):
        assert scale.x_of(scale.at_of(place)) == pytest.approx(place, abs=0.5)
        assert scale.begin <= scale.at_of(place) <= scale.end
        assert scale.at_of(place) == pytest.approx(moment, abs=(scale.end - scale.begin) / 50)


@given(busy_times())
def test_no_work_is_in_a_fold(busy: list[tuple[float, float]]) -> None:
    scale = made(busy)
    assume(any(not piece.folded for piece in scale.pieces))
    for piece in scale.pieces:
        if piece.folded:
            assert not any(begin < piece.end and piece.begin < end for begin, end in busy if end > begin)


@given(busy_times(), st.floats(20, 200))
def test_ticks_are_round_apart_and_never_in_a_fold(busy: list[tuple[float, float]], apart: float) -> None:
    scale = made(busy, width=1000)
    step, ticks = scale.ticks(least_pixels=apart, since=scale.begin, until=scale.end)
    assert all(abs((at / step) - round(at / step)) < 1e-3 for at in ticks if step < 900), "zones differ by quarters"
    for piece in scale.pieces:
        inside = [scale.x_of(at) for at in ticks if piece.begin < at < piece.end]
        assert not (piece.folded and inside)
        if step < 86_400:
            assert all(after - before >= apart * 0.99 for before, after in itertools.pairwise(inside))
