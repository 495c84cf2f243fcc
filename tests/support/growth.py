"""How the work for an input grows with its length, in processor time, so that a busy machine counts little."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from typing import TypeVar

Input = TypeVar("Input")

LINEAR = 3.0
"""Twice the length costs twice the work, and four times where it is quadratic."""

_ENOUGH_SECONDS = 0.002
_TRIES = 8
_LENGTHS = 3
_REST_SECONDS = 0.05
"""More from try to try: who fills the processor's caches beside it disturbs long inputs alone, and not for long."""

_clock = time.perf_counter if os.name == "nt" else time.thread_time
"""Windows counts the time of a thread in steps of 15 ms (GetThreadTimes)."""


def twice_the_length_costs(
    act: Callable[[Input], object], make: Callable[[int], Input], *, length: int = 2_000, longest: int = 2_000_000
) -> float:
    """How many times as much. It is measured again while that seems to be too much, at last with longer inputs: others
    only ever add to a time, and little to a long one. What is quadratic is so at each length.

    Args:
        act: what is to be measured.
        make: the input of a length.
        length: where to begin; it is doubled until there is something to measure.
        longest: what takes next to no time there is fast enough, and counts as 0.

    """
    while (once := _seconds(act, make(length))) < _ENOUGH_SECONDS:
        if length >= longest:
            return 0.0
        length *= 2
    for doubled in range(_LENGTHS):
        short, long = make(length << doubled), make(length << doubled + 1)
        once, twice = _seconds(act, short), _seconds(act, long)
        for tried in range(_TRIES):
            if twice < LINEAR * once:
                return twice / once
            time.sleep(tried * _REST_SECONDS)
            once, twice = min(once, _seconds(act, short)), min(twice, _seconds(act, long))
    return twice / once


def costs_as_much(one: Callable[[], object], other: Callable[[], object]) -> float:
    """How many times as much as the other. It is measured again while that seems to be too much."""
    first, second = float("inf"), float("inf")
    for _ in range(_TRIES):
        first, second = min(first, _seconds(lambda _: one(), None)), min(second, _seconds(lambda _: other(), None))
        if first < LINEAR * second:
            break
    return first / second


def _seconds(act: Callable[[Input], object], given: Input) -> float:
    gc.collect(0)
    began = _clock()
    act(given)
    return _clock() - began
