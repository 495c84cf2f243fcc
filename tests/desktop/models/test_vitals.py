"""Histories of a machine, whose points stand where their time is."""

from __future__ import annotations

from desktop.models.vitals import POINTS, SECONDS_A_POINT, Vitals


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def look(vitals: Vitals, clock: Clock, times: int) -> None:
    for _ in range(times):
        clock.now += SECONDS_A_POINT
        vitals.sample(delay_ms=1.0, slots=1)


def test_all_histories_are_as_long_as_each_other() -> None:
    clock = Clock()
    vitals = Vitals(_clock=clock)
    look(vitals, clock, 3)
    assert {name: len(history) for name, history in vitals.history.items() if len(history) != 3} == {}
    assert list(vitals.history["delay"]) == [1.0, 1.0, 1.0]
    assert vitals.history["received"][0] is None, "of one count nobody knows how fast it grows"


def test_a_pause_is_a_gap_as_long_as_it_was() -> None:
    clock = Clock()
    vitals = Vitals(_clock=clock)
    look(vitals, clock, 2)
    vitals.pause()
    clock.now += 5 * SECONDS_A_POINT
    vitals.pause()
    look(vitals, clock, 2)
    assert list(vitals.history["slots"]) == [1.0, 1.0, *[None] * 6, 1.0, 1.0]
    vitals.pause()
    clock.now += 1e9
    look(vitals, clock, 1)
    assert list(vitals.history["slots"]) == [*[None] * (POINTS - 1), 1.0]


def test_a_pause_before_the_first_look_is_none() -> None:
    clock = Clock()
    vitals = Vitals(_clock=clock)
    vitals.pause()
    clock.now += 50
    look(vitals, clock, 1)
    assert list(vitals.history["slots"]) == [1.0]
