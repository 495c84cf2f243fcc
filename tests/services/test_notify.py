"""What systemd hears, on real datagram sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.engine import new_queue
from tests.support.playground import Stage
from tests.support.worker_process import worker_process
from worker_core.events import EventBus, HeartbeatFailed, SnapshotReplaced
from worker_core.services.notify import HEARTBEATS_END_WITHIN, HeartbeatProgress, ServiceManager
from worker_core.snapshot import EngineSnapshot, EngineState

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd is for Linux")


class Manager:
    """Listens as systemd does."""

    def __init__(self, address: str) -> None:
        assert sys.platform != "win32"
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(60)

    def next(self) -> list[str]:
        return self._socket.recv(4096).decode().split("\n")

    def until(self, line: str) -> list[str]:
        """All lines up to this one."""
        heard: list[str] = []
        while line not in heard:
            heard += self.next()
        return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract addresses are for Linux")
    made = Manager(str(tmp_path / "n") if request.param == "path" else f"@kubiya-test-{os.getpid()}")
    yield made
    made.close()


class Watched:
    def __init__(self) -> None:
        self.events = EventBus()
        self.snapshot = EngineSnapshot(version="0")

    def become(self, state: EngineState, reason: str) -> None:
        self.snapshot = replace(self.snapshot, state=state, reason=reason)
        self.events.publish(SnapshotReplaced(snapshot=self.snapshot))


async def test_each_change_is_told_once(manager: Manager) -> None:
    engine, teller = Watched(), ServiceManager(address=manager.address)
    with teller.attending(engine, drain_timeout=lambda: timedelta(minutes=5)):
        teller.ready()
        assert manager.next() == ["READY=1"]
        for _ in range(2):
            engine.become(EngineState.RUNNING, "Waiting\nfor work.")
        engine.become(EngineState.DRAINING, "Stopping.")
        engine.become(EngineState.STOPPED, "Stopped.")
        assert manager.next() == ["STATUS=running: Waiting for work. 0 of 0 at work, 0 finished."]
        assert manager.next() == [
            "STOPPING=1", "EXTEND_TIMEOUT_USEC=360000000", "STATUS=draining: Stopping. 0 of 0 at work, 0 finished.",
        ]  # fmt: skip
        assert manager.next() == ["STATUS=stopped: Stopped. 0 of 0 at work, 0 finished."]
    engine.become(EngineState.FAILED, "Nobody listens any more.")
    teller.reloading()
    assert manager.next()[0] == "RELOADING=1"


async def test_the_watchdog_is_fed_while_the_loop_turns(manager: Manager) -> None:
    teller = ServiceManager(address=manager.address, watchdog=timedelta(seconds=0.03))
    with teller.attending(Watched(), drain_timeout=timedelta):
        assert await asyncio.to_thread(manager.until, "WATCHDOG=1") == ["WATCHDOG=1"]
        assert await asyncio.to_thread(manager.next) == ["WATCHDOG=1"]
    left = len(asyncio.all_tasks())
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) < left  # nothing goes on behind it


def test_no_progress_is_heartbeats_that_do_not_end() -> None:
    now = 0.0
    progress = HeartbeatProgress(clock=lambda: now)
    limit = HEARTBEATS_END_WITHIN.total_seconds()
    now = 10 * limit
    assert progress.lately  # there was none yet: it registers, which may take for ever
    progress.heard(HeartbeatFailed(queue_id="q", sentence="The control plane cannot be reached."))
    now += limit
    assert progress.lately  # an outage is no hang
    now += 1
    assert not progress.lately


def test_nothing_is_left_in_the_environment_for_children() -> None:
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid()), "A": "b"}
    assert ServiceManager.take_from(environ) == ServiceManager(address="/run/x", watchdog=timedelta(seconds=5))
    assert environ == {"A": "b"}


@pytest.mark.parametrize(
    "environ",
    [
        {}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "vsock:1:2"},
        {"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"},
    ],
)  # fmt: skip
def test_what_is_not_for_this_process(environ: dict[str, str]) -> None:
    assert ServiceManager.take_from(environ) == ServiceManager()


def test_nobody_is_told_and_nothing_breaks(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "nobody"), f"@{tmp_path}", "/" + "x" * 200):
        ServiceManager(address=address).ready()


async def test_a_worker_tells_when_it_serves_and_when_it_leaves(stage: Stage, tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "n"))
    try:
        with worker_process(
            stage, tmp_path / "home", await new_queue(stage), NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="600000"
        ) as worker:
            heard = await asyncio.to_thread(manager.until, "READY=1")
            assert any(line.startswith("STATUS=starting: ") for line in heard)
            worker.wait_ready()
            await asyncio.to_thread(manager.until, "WATCHDOG=1")
            assert worker.terminate() == 0
            heard = await asyncio.to_thread(manager.until, "STOPPING=1")
            assert "EXTEND_TIMEOUT_USEC=360000000" in heard
    finally:
        manager.close()
