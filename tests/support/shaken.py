"""Threads and processes that meet in orders that a quiet machine seldom shows: `make test-shaken`.

A race needs one of two to be late. Here each is, now and then, by some milliseconds: a thread before its first line,
a call in a thread before it begins, whoever has told a loop or a waiting thread something (so that the other is
first), and whoever has started a process. The interpreter changes threads as often as it can.

Nothing that is right may depend on any of this, so a test that fails here has found a fault, in itself or the product.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

SWITCH_SECONDS = 1e-5
"""The interpreter's own: 5 ms."""

OFTEN = 0.2
LATE_SECONDS = (0.001, 0.03)

_chance = random.Random()  # without a seed: which thread draws next is chance, too


def _late() -> None:
    """Sometimes; never on a thread that runs a loop, whose being late is another kind of fault."""
    if _chance.random() < OFTEN and asyncio._get_running_loop() is None:
        time.sleep(_chance.uniform(*LATE_SECONDS))


def _late_after(owner: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def told(*given: Any, **named: Any) -> Any:
        result = original(*given, **named)
        _late()
        return result

    setattr(owner, name, told)


def _late_before(owner: Any, name: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def begun(*given: Any, **named: Any) -> Any:
        _late()
        return original(*given, **named)

    setattr(owner, name, begun)


def pytest_configure(config: pytest.Config) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    _late_before(threading.Thread, "run")
    _late_before(concurrent.futures.thread._WorkItem, "run")
    _late_after(asyncio.BaseEventLoop, "call_soon_threadsafe")
    _late_after(concurrent.futures.Future, "set_result")
    _late_after(concurrent.futures.Future, "set_exception")
    _late_after(threading.Event, "set")
    _late_after(subprocess.Popen, "__init__")


def pytest_collection_finish() -> None:
    if (qasync := sys.modules.get("qasync")) is not None:  # only where a test has imported it: it takes Qt with it
        _late_after(qasync._QEventLoop, "call_soon_threadsafe")
