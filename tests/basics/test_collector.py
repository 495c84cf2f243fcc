"""While the collector rests, and after."""

from __future__ import annotations

import gc

import pytest

from worker_core.basics import collector


class Ring:
    def __init__(self) -> None:
        self.itself = self


def test_nothing_is_collected_meanwhile_and_everything_after() -> None:
    begun: list[str] = []
    gc.callbacks.append(heard := lambda phase, _: begun.append(phase))
    try:
        with collector.resting():
            rings = [Ring() for _ in range(20_000)]
            assert begun == []
        del rings
        assert gc.isenabled()
        assert gc.collect() >= 20_000
    finally:
        gc.callbacks.remove(heard)


def test_one_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with pytest.raises(ValueError, match="within"), collector.resting():
            raise ValueError("within")
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_stands_is_not_looked_through() -> None:
    try:
        collector.let_stand()
        assert gc.get_freeze_count() > 1000
        rings = [Ring() for _ in range(5)]
        del rings
        assert gc.collect() >= 5
    finally:
        gc.unfreeze()
