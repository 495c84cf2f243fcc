"""A name server that says nothing keeps nobody waiting but those who ask it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from worker_core.network.names import MOST_OF_ONE, Names

LIMIT_SECONDS = 60.0


class SilentServer:
    """Holds whoever asks until the test is over, and counts them."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked = 0
        self._lock = threading.Lock()

    def __call__(self) -> list[str]:
        with self._lock:
            self.asked += 1
        self.over.wait(LIMIT_SECONDS)
        raise OSError("no answer")


@pytest.fixture
def silent() -> Iterator[SilentServer]:
    made = SilentServer()
    yield made
    made.over.set()


def answered() -> list[str]:
    return ["192.0.2.1"]


async def until_asked(silent: SilentServer, number: int) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while silent.asked < number:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("number", [50, 100])
async def test_whoever_asks_for_silent_names_waits_in_a_line_of_its_own(silent: SilentServer, number: int) -> None:
    names = Names()
    waiting = [asyncio.create_task(names.look_up(silent, asker="one")) for _ in range(number)]
    await until_asked(silent, MOST_OF_ONE)
    assert await asyncio.wait_for(names.look_up(answered, asker="other"), LIMIT_SECONDS) == answered()
    assert silent.asked == MOST_OF_ONE, "twice as many names take no more threads"
    silent.over.set()
    assert all(isinstance(one, OSError) for one in await asyncio.gather(*waiting, return_exceptions=True))
    assert silent.asked == number


async def test_what_nobody_waits_for_any_more_is_not_asked(silent: SilentServer) -> None:
    names = Names()
    waiting = [asyncio.create_task(names.look_up(silent, asker="one")) for _ in range(50)]
    await until_asked(silent, MOST_OF_ONE)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    silent.over.set()
    assert await names.look_up(answered, asker="one") == answered()
    assert silent.asked == MOST_OF_ONE


async def test_beyond_all_threads_an_asker_is_refused_and_not_left_waiting(silent: SilentServer) -> None:
    names = Names(most=3, most_of_one=2)
    waiting = [asyncio.create_task(names.look_up(silent, asker=who)) for who in ("one", "one", "other")]
    await until_asked(silent, 3)
    with pytest.raises(OSError, match="no name server answers"):
        await names.look_up(answered, asker="third")
    silent.over.set()
    await asyncio.wait(waiting)
    async with asyncio.timeout(LIMIT_SECONDS):
        while names._lines:
            await asyncio.sleep(0.001)
    assert await names.look_up(answered, asker="third") == answered()


async def test_what_the_resolver_raises_is_raised() -> None:
    def fails() -> list[str]:
        raise UnicodeError("label too long")

    with pytest.raises(UnicodeError, match="label too long"):
        await Names().look_up(fails, asker="one")


def test_it_serves_several_loops_at_once() -> None:
    names, results = Names(), []

    def ask() -> None:
        results.append(asyncio.run(names.look_up(answered, asker="one")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert results == [answered()] * 8
