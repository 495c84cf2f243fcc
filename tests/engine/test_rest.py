"""A worker that has nothing to do is at rest: a laptop's processor sleeps as deeply beside it as without it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.support.playground import Stage
from tests.support.worker_process import worker_process

SETTLE_SECONDS = 5.0
WATCHED_SECONDS = 10.0
MOST_WAKE_UPS = 100
"""Of all threads in that time. About 25 are seen; pollers that tick make it 370 (temporalio's autoscaling ones)."""


def wake_ups(pid: int) -> int:
    """How often the threads of a process have slept and were woken, so far (proc(5), voluntary_ctxt_switches)."""
    found = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        lines = (thread / "status").read_text().splitlines()
        found += next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="counted in /proc")
def test_an_idle_worker_is_hardly_ever_woken(stage: Stage, tmp_path: Path) -> None:
    with worker_process(stage, tmp_path, stage.info.queue_id) as worker:
        worker.wait_ready()
        time.sleep(SETTLE_SECONDS)
        before = wake_ups(worker.process.pid)
        time.sleep(WATCHED_SECONDS)
        assert wake_ups(worker.process.pid) - before < MOST_WAKE_UPS
        assert worker.terminate() == 0
