"""A worker that has nothing to do is at rest: a laptop's processor sleeps as deeply beside it as without it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.support.playground import Stage
from tests.support.wake_ups import wake_ups
from tests.support.worker_process import worker_process

SETTLE_SECONDS = 5.0
WATCHED_SECONDS = 10.0
MOST_WAKE_UPS = 100
"""Of all threads in that time. About 25 are seen; pollers that tick make it 370 (temporalio's autoscaling ones)."""


@pytest.mark.skipif(sys.platform != "linux", reason="counted in /proc")
def test_an_idle_worker_is_hardly_ever_woken(stage: Stage, tmp_path: Path) -> None:
    with worker_process(stage, tmp_path, stage.info.queue_id) as worker:
        worker.wait_ready()
        time.sleep(SETTLE_SECONDS)
        before = sum(wake_ups(worker.process.pid).values())
        time.sleep(WATCHED_SECONDS)
        assert sum(wake_ups(worker.process.pid).values()) - before < MOST_WAKE_UPS
        assert worker.terminate() == 0
