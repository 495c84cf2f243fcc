from __future__ import annotations

import asyncio

from worker_core.basics.pulse import Pulse


async def test_a_loop_that_turns_again_is_well_again() -> None:
    seconds = [0.0]
    pulse = Pulse(asyncio.get_running_loop(), clock=lambda: seconds[0])
    assert pulse.silent_seconds() == 0
    seconds[0] = 7.0
    assert pulse.silent_seconds() == 7
    await asyncio.sleep(0)
    assert pulse.silent_seconds() == 0, "it turned"
    seconds[0] = 8.0
    assert pulse.silent_seconds() == 1


async def test_a_silence_that_one_asker_noticed_counts_for_all() -> None:
    seconds = [0.0]
    pulse = Pulse(asyncio.get_running_loop(), clock=lambda: seconds[0])
    assert pulse.silent_seconds() == 0
    for seconds[0] in (1.0, 2.0, 3.0):
        assert pulse.silent_seconds() == seconds[0]
