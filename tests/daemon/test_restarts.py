from __future__ import annotations

import pytest

from worker_core.daemon import endings
from worker_core.daemon.restarts import HEALTHY_AFTER_SECONDS, Restarts
from worker_core.errors import ExitCode


def longest(low: float, high: float) -> float:
    return high


def test_waits_double_up_to_the_limit_and_never_end() -> None:
    restarts = Restarts(first_seconds=1, limit_seconds=300, uniform=longest)
    waits = [restarts.delay_seconds(ran_seconds=1) for _ in range(1000)]
    assert waits[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert set(waits[10:]) == {300}


def test_a_good_spell_makes_crashes_forgotten() -> None:
    restarts = Restarts(first_seconds=1, limit_seconds=300, uniform=longest)
    for _ in range(20):
        restarts.delay_seconds(ran_seconds=HEALTHY_AFTER_SECONDS - 1)
    assert restarts.delay_seconds(ran_seconds=HEALTHY_AFTER_SECONDS) == 1


def test_a_fleet_does_not_come_back_in_step() -> None:
    def first_waits() -> list[float]:
        restarts = Restarts(first_seconds=1, limit_seconds=300)
        return [restarts.delay_seconds(ran_seconds=0) for _ in range(8)]

    assert first_waits() != first_waits()


def test_every_exit_code_is_a_crash_or_is_final() -> None:
    crashes = {ExitCode.UNEXPECTED, ExitCode.UNREACHABLE, ExitCode.POLICY_ASKS, ExitCode.POLICY_DENIES}
    begun_anew = {ExitCode.REPLACED}  # the program was replaced: the new one goes on
    assert begun_anew == {endings.REPLACED}
    assert {code for code in ExitCode if not endings.is_final(code)} == crashes | begun_anew
    assert not endings.is_final(-9)


@pytest.mark.parametrize(("code", "said", "shown"), [(1, "exit code 1", 1), (-11, "signal SIGSEGV", 139)])
def test_how_an_end_is_told(code: int, said: str, shown: int) -> None:
    assert (endings.told(code), endings.as_exit_code(code)) == (said, shown)
