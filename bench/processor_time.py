"""Work on the loop or in a thread, by the processor time that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def least(action: Callable[[], object], *, rounds: int) -> float:
    """Milliseconds of this thread."""
    times = []
    for _ in range(rounds):
        began = time.thread_time()
        action()
        times.append(time.thread_time() - began)
    return min(times) * 1000
