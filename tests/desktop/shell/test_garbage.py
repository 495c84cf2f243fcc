"""Cyclic garbage is collected in the loop's thread alone."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject, QTimer

from desktop.shell.garbage import GarbageKeeper
from tests.support.loops import run_on


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self, buried: list[int] | None = None) -> None:
        self.itself = self
        self.buried = buried

    def __del__(self) -> None:
        if self.buried is not None:
            self.buried.append(threading.get_ident())


@pytest.fixture
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(50, 2, 2)
    yield
    gc.set_threshold(*before)


def litter(count: int = 2000, buried: list[int] | None = None) -> None:
    for _ in range(count):
        Ring(buried)


@pytest.mark.usefixtures("thresholds")
def test_what_other_threads_leave_is_collected_in_the_loops_thread() -> None:
    buried: list[int] = []

    async def live() -> None:
        await asyncio.to_thread(litter, 500, buried)
        async with asyncio.timeout(60):
            while len(buried) < 500:
                litter(100)
                await asyncio.sleep(0)

    run_on("qasync", live())
    assert set(buried) == {threading.get_ident()}


@pytest.mark.usefixtures("thresholds")
def test_a_qt_timer_in_a_cycle_dies_in_its_own_thread() -> None:
    """A warning of Qt about timers of other threads fails this test."""

    async def live() -> None:
        owner = QObject()
        owner.ring = Ring()  # type: ignore[attr-defined]
        owner.ring.itself = owner  # type: ignore[attr-defined]
        QTimer(owner).start(3_600_000)
        gone = weakref.ref(owner)
        del owner
        await asyncio.to_thread(litter)
        async with asyncio.timeout(60):
            while gone() is not None:
                litter(100)
                await asyncio.sleep(0)

    run_on("qasync", live())


def test_the_collector_is_as_before_when_the_loop_has_stopped() -> None:
    gc.enable()

    async def live() -> bool:
        return gc.isenabled()

    assert run_on("qasync", live()) is False
    assert gc.isenabled()
    gc.disable()
    run_on("qasync", live())
    assert not gc.isenabled()


@pytest.mark.usefixtures("thresholds")
def test_generations_are_collected_when_they_are_due() -> None:
    keeper = GarbageKeeper()
    litter()
    assert keeper.look() == -1, "outside of a loop Python does it"
    with keeper:
        gc.collect()
        assert keeper.look() == -1
        seen = []
        kept: list[object] = []
        for round_ in range(60):
            kept.append([[] for _ in range(2000 * (round_ + 1))])  # the heap grows, so full collections are worth it
            seen.append(keeper.look())
        assert seen[:3] == [0, 0, 0]
        assert {0, 1, 2} <= set(seen)


@pytest.mark.usefixtures("thresholds")
def test_a_heap_that_does_not_grow_is_not_searched_as_a_whole() -> None:
    keeper = GarbageKeeper()
    with keeper:
        gc.collect()
        seen = set()
        for _ in range(60):
            litter(100)
            seen.add(keeper.look())
    assert seen == {0, 1}


@pytest.mark.usefixtures("thresholds")
def test_what_is_settled_is_not_looked_at_again() -> None:
    keeper = GarbageKeeper()
    before = gc.get_freeze_count()
    kept = [[] for _ in range(5000)]
    keeper.settle()
    try:
        assert gc.get_freeze_count() >= before + len(kept)
        assert not any(one is kept[0] for one in gc.get_objects())
    finally:
        gc.unfreeze()
        gc.freeze()  # as the session has it
