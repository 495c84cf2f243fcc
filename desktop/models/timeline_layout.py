"""Which line a span is drawn in, and what is drawn of very many in few pixels. No Qt."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from typing import Final

from desktop.look.tokens import Tone
from desktop.models.timeline import LANES, LaneName, TimelineSpan
from worker_core.basics.quick_dataclass import dataclass

MOST_LINES: Final = 4
"""Of one lane; what overlaps more than that lies over the last one."""

THIN: Final = 2.0
"""Pixels of the narrowest bar, and within which several become one."""

_WORST_FIRST: Final[tuple[Tone, ...]] = ("danger", "warning", "accent", "success", "neutral")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """Spans that are drawn in one line, by their beginning; `reach` has the latest end up to each."""

    spans: tuple[TimelineSpan, ...]
    reach: tuple[float, ...]
    begins: tuple[float, ...]

    def within(self, since: float, until: float) -> tuple[TimelineSpan, ...]:
        """Those of which something lies there, and maybe a few before."""
        return self.spans[bisect.bisect_left(self.reach, since) : bisect.bisect_right(self.begins, until)]


@dataclass(slots=True, kw_only=True)
class TimelineBar:
    """One or several spans as one mark."""

    left: float
    right: float
    tone: Tone
    spans: list[TimelineSpan]
    thin: bool


def rows_of(spans: Sequence[TimelineSpan]) -> dict[LaneName, tuple[TimelineRow, ...]]:
    """By lane, and only lanes with something in them. `spans` are ordered by their beginning."""
    found: dict[LaneName, tuple[TimelineRow, ...]] = {}
    for lane in LANES:
        lines: list[list[TimelineSpan]] = []
        ends: list[float] = []
        for span in spans:
            if span.lane != lane:
                continue
            free = next((number for number, end in enumerate(ends) if end <= span.begin), len(ends))
            free = min(free, MOST_LINES - 1)
            if free == len(lines):
                lines.append([])
                ends.append(span.begin)
            lines[free].append(span)
            ends[free] = max(ends[free], float("inf") if span.end is None else span.end)
        if lines:
            found[lane] = tuple(_row(line) for line in lines)
    return found


def bars_of(spans: Sequence[TimelineSpan], *, x_of: Callable[[float], float], now: float) -> list[TimelineBar]:
    """What is drawn of a row. What is narrower than `THIN` shares a mark with what stands at the same place, in the
    tone of the worst of them: a failure is never covered by what succeeded.
    """
    bars: list[TimelineBar] = []
    for span in spans:
        left, right = x_of(span.begin), x_of(span.until(now))
        thin = right - left < THIN
        last = bars[-1] if bars else None
        if last is not None and thin and last.thin and left < last.left + THIN:
            last.spans.append(span)
            last.tone = min(last.tone, span.tone, key=_WORST_FIRST.index)
            continue
        bars.append(TimelineBar(left=left, right=max(right, left + THIN), tone=span.tone, spans=[span], thin=thin))
    return bars


def _row(spans: Sequence[TimelineSpan]) -> TimelineRow:
    reach, latest = [], float("-inf")
    for span in spans:
        latest = max(latest, float("inf") if span.end is None else span.end)
        reach.append(latest)
    return TimelineRow(spans=tuple(spans), reach=tuple(reach), begins=tuple(span.begin for span in spans))
