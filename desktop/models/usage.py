"""How numbers of days become bars and their parts: the scale beside them, dates below, and the day looked at. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from worker_core.basics.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import date

    from worker_core.budgets.usage import DailyUsage, Part, UsageNumbers

Measure = Literal["tokens", "cost", "turns"]

MOST_PARTS: Final = 5
"""Of a bar with a colour of their own; all others are one part more."""

MOST_STEPS: Final = 4
"""Lines of a scale above its ground."""

LEAST_COST_STEP: Final = 1e-6


def value_of(numbers: UsageNumbers, measure: Measure) -> float:
    """What a bar shows of a day."""
    return float(getattr(numbers, measure))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What bars are made of: the largest part of all days first, and all others together at the end."""

    ids: tuple[str, ...]
    """Of agents or queues, MOST_PARTS at most; an id is empty where it was not known."""

    others: int = 0
    """How many more there are."""

    sums: tuple[float, ...]
    """Of all days, for each id, and for the others where there are some."""

    days: Mapping[date, tuple[float, ...]]
    """The same of the days on which there was something."""


def stacked(usage: DailyUsage, part: Part, measure: Measure) -> Stack:
    """The bars' parts, by what the bars show. Who took nothing of it is no part."""
    sums = {id_: value for id_, numbers in usage.by(part) if (value := value_of(numbers, measure)) > 0}
    order = sorted(sums, key=lambda id_: -sums[id_])  # what is equal stays as it was: most tokens first
    ids, others = tuple(order[:MOST_PARTS]), order[MOST_PARTS:]
    places = {id_: place for place, id_ in enumerate(ids)}
    count = len(ids) + bool(others)
    days: dict[date, list[float]] = {}
    for (day, id_), numbers in usage.day_by(part).items():
        if id_ in sums:
            days.setdefault(day, [0.0] * count)[places.get(id_, len(ids))] += value_of(numbers, measure)
    rest = (math.fsum(sums[id_] for id_ in others),) if others else ()
    return Stack(
        ids=ids,
        others=len(others),
        sums=(*(sums[id_] for id_ in ids), *rest),
        days={day: tuple(values) for day, values in days.items()},
    )


def scale(highest: float, *, least_step: float = 1.0) -> tuple[float, ...]:
    """The lines of a scale from 0 on, the last at or above `highest`, in steps of 1, 2 or 5 times a power of ten."""
    step = max(least_step, 10.0 ** math.floor(math.log10(max(highest / MOST_STEPS, least_step))))
    for factor in (1, 2, 5, 10):
        if step * factor * MOST_STEPS >= highest:
            step *= factor
            break
    steps = max(1, math.ceil(highest / step - 1e-9))
    return tuple(step * number for number in range(steps + 1))


def labelled(days: int, *, width: float, label_width: float) -> tuple[int, ...]:
    """Places of the days that are named below a chart: the last, and others at equal distances that do not touch.

    Args:
        days: how many share the width.
        width: of the chart.
        label_width: of a name with the room around it; each stands in the middle of its day, or as near as it fits.
    """
    if not days or width < label_width:
        return ()
    each = max(1, math.ceil(label_width / (width / days)))
    last = days - 1
    places = [last]
    # The last name is moved in, so that it ends with the chart: its neighbour keeps another half away.
    place = last - math.ceil(each * 1.5)
    while (place + 0.5) * width / days >= label_width / 2:
        places.append(place)
        place -= each
    return tuple(reversed(places))


def day_at(x: float, *, width: float, days: int) -> int | None:
    """The place of the day at a distance from the left; None beside the chart."""
    return min(days - 1, int(x * days / width)) if days and 0 <= x <= width and width > 0 else None


def moved(place: int | None, by: int, *, days: int) -> int | None:
    """The day that so many days lead to; from nowhere, the last one. None where there are no days."""
    if not days:
        return None
    return days - 1 if place is None else min(days - 1, max(0, place + by))


def days_with_numbers(days: Sequence[UsageNumbers]) -> tuple[int, ...]:
    """Places of the days on which there was something."""
    return tuple(
        place for place, one in enumerate(days) if one.turns or one.failed or one.tokens or one.cost or one.unpriced
    )
