"""A series as a line of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_BARS: Final = " ▁▂▃▄▅▆▇█"


def plot(values: Sequence[float], *, width: int = 60) -> str:
    """A line of bars, from the least value to the greatest."""
    step = max(1, len(values) // width)
    means = [sum(part) / len(part) for part in (values[at : at + step] for at in range(0, len(values), step))]
    low, high = min(means), max(means)
    return "".join(_BARS[1 + round((one - low) / ((high - low) or 1) * (len(_BARS) - 2))] for one in means)
