"""Whether a series of measurements is flat: its line of least squares, and how sure its slope is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SURE: Final = 4.0
"""Standard errors between a slope and none, from which on it is believed. Neighbours in a series are alike, so that
the error is understated: two would find growth in noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A straight line through measurements at even times."""

    slope: float
    """By measurement."""

    error: float
    """Standard error of the slope."""

    growth: float
    """Of the line, from the first measurement to the last."""

    def grows(self, *, allowed: float) -> bool:
        """Whether it grows by more than is allowed, and not by chance.

        Args:
            allowed: from the first measurement to the last, in the unit of the series.
        """
        return self.growth > allowed and self.slope > SURE * self.error


def trend(values: Sequence[float]) -> Trend:
    """The line of least squares.

    Raises:
        ValueError: fewer than three values have no trend.
    """
    count = len(values)
    if count < 3:
        raise ValueError("a trend needs three measurements at least")
    middle, mean = (count - 1) / 2, math.fsum(values) / count
    spread = math.fsum((x - middle) ** 2 for x in range(count))
    slope = math.fsum((x - middle) * (y - mean) for x, y in enumerate(values)) / spread
    rest = math.fsum((y - mean - slope * (x - middle)) ** 2 for x, y in enumerate(values))
    error = math.sqrt(rest / (count - 2) / spread)
    return Trend(slope=slope, error=error, growth=slope * (count - 1))
