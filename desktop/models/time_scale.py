"""Where a moment stands in a picture of time in which long idle gaps are folded. No Qt."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from worker_core.basics.quick_dataclass import dataclass

FOLD_PIXELS: Final = 64.0
"""Of a folded gap; less where there are very many."""

LEAST_FOLD_SECONDS: Final = 10.0
FOLDED_SHARE: Final = 0.15
"""A gap is folded when it is longer than this share of all the work."""

LEAST_SECONDS: Final = 1.0
"""What is shorter does not fill the width."""

LEAST_OF_MOMENTS: Final = 60.0
"""The same where nothing has a length."""

_NO_TIME: Final = 1e-3

_STEPS: Final = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
    86400,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePiece:
    """From `begin` to `end`, in seconds since 1970, at `left` to `right`, in pixels."""

    begin: float
    end: float
    left: float
    right: float
    folded: bool = False


class TimeScale:
    """Pieces without gaps between them; in each, time goes evenly, and in all that are not folded alike."""

    def __init__(self, pieces: Sequence[TimePiece]) -> None:
        """At least one."""
        self.pieces = tuple(pieces)
        self._begins = [piece.begin for piece in pieces]
        self._lefts = [piece.left for piece in pieces]

    @property
    def width(self) -> float:
        return self.pieces[-1].right

    @property
    def begin(self) -> float:
        return self.pieces[0].begin

    @property
    def end(self) -> float:
        return self.pieces[-1].end

    def x_of(self, at: float) -> float:
        piece = self.pieces[max(0, bisect.bisect_right(self._begins, at) - 1)]
        share = (min(max(at, piece.begin), piece.end) - piece.begin) / (piece.end - piece.begin)
        return piece.left + share * (piece.right - piece.left)

    def at_of(self, x: float) -> float:
        """The moment that stands at `x`."""
        piece = self.pieces[max(0, bisect.bisect_right(self._lefts, x) - 1)]
        share = (min(max(x, piece.left), piece.right) - piece.left) / (piece.right - piece.left)
        return piece.begin + share * (piece.end - piece.begin)

    def ticks(self, *, least_pixels: float, since: float, until: float) -> tuple[float, tuple[float, ...]]:
        """The step in seconds, and round moments from `since` to `until` in what is not folded, at least so many pixels
        apart.
        """
        open_pieces = [piece for piece in self.pieces if not piece.folded]
        longest = max(open_pieces, key=lambda piece: piece.end - piece.begin, default=None)
        if longest is None:
            return 1.0, ()
        pixels = (longest.right - longest.left) / (longest.end - longest.begin)
        step = next((step for step in _STEPS if step * pixels >= least_pixels), _STEPS[-1])
        parts = ((max(piece.begin, since), min(piece.end, until)) for piece in open_pieces)
        return step, tuple(itertools.chain.from_iterable(_round_moments(*part, step=step) for part in parts))


def scale_of(busy: Sequence[tuple[float, float]], *, width: float, zoom: float = 1.0) -> TimeScale | None:
    """A scale for what is `busy` (in order, without overlaps): `width` pixels at zoom 1. A fold does not grow beyond
    its full width. None: nothing ever was.
    """
    if not busy:
        return None
    work = sum(until - since for since, until in busy)
    begin, end = busy[0][0], max(busy[-1][1], busy[0][0] + (LEAST_SECONDS if work else LEAST_OF_MOMENTS))
    limit = max(LEAST_FOLD_SECONDS, FOLDED_SHARE * work)
    gaps = [(before[1], after[0]) for before, after in itertools.pairwise(busy) if after[0] - before[1] > limit]
    width = max(1.0, width)
    fold = min(FOLD_PIXELS, width * zoom / 2 / max(1, len(gaps)))
    shown = (end - begin) - sum(until - since for since, until in gaps)
    if shown < _NO_TIME:  # moments alone, far from each other
        return TimeScale(tuple(_evenly(gaps, width * zoom)))
    pixels = max(1.0, width * zoom - fold * len(gaps)) / shown
    return TimeScale(tuple(_pieces(begin, end, gaps, pixels, fold)))


def _pieces(
    begin: float, end: float, gaps: Sequence[tuple[float, float]], pixels: float, fold: float
) -> Iterator[TimePiece]:
    at, x = begin, 0.0
    for since, until in (*gaps, (end, end)):
        if since > at:
            right = x + (since - at) * pixels
            yield TimePiece(begin=at, end=since, left=x, right=right)
            x = right
        if until > since:
            yield TimePiece(begin=since, end=until, left=x, right=x + fold, folded=True)
            x += fold
        at = until


def _evenly(gaps: Sequence[tuple[float, float]], width: float) -> Iterator[TimePiece]:
    each = width / len(gaps)
    for number, (since, until) in enumerate(gaps):
        yield TimePiece(begin=since, end=until, left=number * each, right=(number + 1) * each, folded=True)


def _round_moments(since: float, until: float, *, step: float) -> Iterator[float]:
    """Multiples of `step` by the clock on the wall."""
    offset = datetime.fromtimestamp(since, UTC).astimezone().utcoffset()
    shift = offset.total_seconds() if offset is not None else 0.0
    number = math.ceil((since + shift) / step)
    while (at := number * step - shift) <= until:
        yield at
        number += 1
