"""What was put on disk before a `kill -9` is delivered by the next worker, once and in order."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from tests.support.fake_control_plane import API_KEY, FakeControlPlane
from tests.support.temporal import free_port
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.outbox.outbox import Outbox
from worker_core.secrets import Secret

PUBLISH = """
import asyncio, os, signal, sys
from datetime import timedelta
from pathlib import Path
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.outbox.outbox import Outbox
from worker_core.secrets import Secret

async def main():
    client = ControlPlaneClient(base_url=sys.argv[1], api_key=Secret(sys.argv[2]))
    outbox = Outbox(client=client, folder=Path(sys.argv[3]), mask=lambda text: text)
    await outbox.open()
    lanes = [outbox.lane(name) for name in ("one", "two")]
    for number in range(50):
        for lane in lanes:
            lane.publish("message", {"n": number})
    for lane in lanes:
        assert await lane.flush(timedelta(seconds=20))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_killed_workers_events_are_delivered_by_the_next(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    killed = subprocess.run(
        [sys.executable, "-c", PUBLISH, away, API_KEY, str(tmp_path / "spool")], capture_output=True, timeout=60
    )
    assert killed.returncode == -9, killed.stderr
    async with FakeControlPlane() as plane:
        client = ControlPlaneClient(base_url=plane.url, api_key=Secret(API_KEY))
        outbox = Outbox(client=client, folder=tmp_path / "spool", mask=lambda text: text)
        await outbox.open()
        await plane.wait_for(lambda: len(plane.events("one")) == len(plane.events("two")) == 50)
        lane = outbox.lane("one")
        lane.publish("message", {"n": 50})
        assert await lane.flush(timedelta(seconds=10))
        await outbox.close(limit=timedelta(seconds=5))
        await client.aclose()
        for name, count in (("one", 51), ("two", 50)):
            events = plane.events(name)
            assert [event["data"]["n"] for event in events] == list(range(count))
            numbers = [event["data"]["sequence"] for event in events]
            assert numbers == sorted(set(numbers))
    assert not list((tmp_path / "spool").glob("*.db"))
