from __future__ import annotations

from worker_core.daemon.liveness import START_LIMIT_SECONDS, Liveness


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_silent_for_the_limit_hangs() -> None:
    clock = Clock()
    seen = Liveness(limit_seconds=60, clock=clock)
    seen.answered(0)
    for _ in range(4):
        assert not seen.is_hung
        clock.now += seen.look_every_seconds
        seen.was_silent()
    assert seen.is_hung
    assert seen.still_seconds == 60


def test_what_answers_for_a_loop_that_stands_still_hangs_as_well() -> None:
    clock = Clock()
    seen = Liveness(limit_seconds=60, clock=clock)
    for silent in (0, 0, 15, 30, 45):
        clock.now += 15
        seen.answered(silent)
        assert not seen.is_hung
    clock.now += 15
    seen.answered(60)
    assert seen.is_hung


def test_one_answer_of_a_loop_that_turns_makes_it_well() -> None:
    clock = Clock()
    seen = Liveness(limit_seconds=60, clock=clock)
    for _ in range(40):
        for answer in (seen.was_silent, seen.was_silent, lambda: seen.answered(0)):
            clock.now += 15
            answer()
            assert not seen.is_hung or not seen.is_up


def test_a_new_worker_has_more_time() -> None:
    clock = Clock()
    seen = Liveness(limit_seconds=60, clock=clock)
    while clock.now < 100 + START_LIMIT_SECONDS - 15:
        clock.now += 15
        seen.was_silent()
        assert not seen.is_hung
    clock.now += 15
    seen.was_silent()
    assert seen.is_hung


def test_whoever_slept_himself_blames_nobody() -> None:
    clock = Clock()
    seen = Liveness(limit_seconds=60, clock=clock)
    seen.answered(0)
    clock.now += 8 * 3600
    seen.was_silent()
    assert not seen.is_hung
