"""A worker as the control plane sees it: registered for ever, alive, gone. On real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_control_plane import API_KEY, FakeControlPlane, Reply, Request
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.errors import ControlPlaneError, QueueNotFound
from worker_core.control_plane.session import LONGEST_INTERVAL, QueueSession, WorkerStatus
from worker_core.events import EventBus, HeartbeatFailed, HeartbeatSent, RegistrationRetried
from worker_core.logs.redaction import Redactor
from worker_core.logs.ring import LogLine, LogRing
from worker_core.machine.load import HealthSampler
from worker_core.network.backoff import Backoff
from worker_core.secrets import Secret
from worker_core.settings import Settings, SettingsInForce

QUEUE = "6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d"
START = r"/worker-queues/[^/]+/start"
BEAT = r"/workers/[^/]+/heartbeat"
GONE = r"/workers/[^/]+/disconnect"
QUICK = timedelta(milliseconds=20)


class Worker:
    """A session with everything that belongs to it."""

    def __init__(self, url: str, folder: Path, *, queue_id: str = QUEUE, **settings: Any) -> None:
        self.bus = EventBus()
        self.heard: list[Any] = []
        self.bus.listen(self.heard.append)
        self.ring = LogRing()
        self.redactor = Redactor()
        self.now = WorkerStatus(status="idle", tasks_processed=0)
        self.client = ControlPlaneClient(base_url=url, api_key=Secret(API_KEY))
        self.sampler = HealthSampler(disk_path=folder)
        self.session = QueueSession(
            client=self.client,
            queue_id=queue_id,
            settings=SettingsInForce(Settings(**{"control_plane_url": url, "heartbeat_interval": QUICK, **settings})),
            bus=self.bus,
            status=lambda: self.now,
            log_ring=self.ring,
            sampler=self.sampler,
            redactor=self.redactor,
            backoff=Backoff(first=QUICK, limit=QUICK),
        )

    def logs(self, text: str) -> None:
        self.ring.append(LogLine(at=datetime.now(UTC), level="INFO", logger="t", message=text))

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.heard)


@contextlib.asynccontextmanager
async def worker(plane: FakeControlPlane, folder: Path, **options: Any) -> AsyncIterator[Worker]:
    made = Worker(plane.url, folder, **options)
    try:
        yield made
    finally:
        await made.session.leave(reason="shutdown", exit_code=0, error_message=None)
        await made.client.aclose()


async def test_labels_are_in_every_heartbeat(plane: FakeControlPlane, tmp_path: Path) -> None:
    async with worker(plane, tmp_path, labels=("gpu=h100", "note=a=b")) as it:
        await it.session.register()
        it.now = WorkerStatus(status="idle", tasks_processed=0, metadata={"state": "running"})
        it.session.start_heartbeats()
        await plane.wait_for(lambda: len(plane.received("POST", BEAT)) >= 2)
    for beat in plane.received("POST", BEAT):
        assert beat.json()["worker_metadata"]["labels"] == {"gpu": "h100", "note": "a=b"}


async def test_a_machines_gpus_are_labels_and_the_settings_win(plane: FakeControlPlane, tmp_path: Path) -> None:
    async with worker(plane, tmp_path, labels=("gpu_count=none",)) as it:
        it.sampler.gpu_labels = {"gpu": "NVIDIA H200", "gpu_count": "8"}
        await it.session.register()
        it.session.start_heartbeats()
        await plane.wait_for(lambda: plane.received("POST", BEAT))
    [beat, *_] = plane.received("POST", BEAT)
    assert beat.json()["worker_metadata"]["labels"] == {"gpu": "NVIDIA H200", "gpu_count": "none"}


async def test_what_is_set_for_the_queue_is_asked_once_at_the_start(plane: FakeControlPlane, tmp_path: Path) -> None:
    """And again with each full heartbeat behind the first one."""
    config = f"/worker-queues/{QUEUE}/config"
    plane.on("GET", config, Reply(status=200, body={"queue_id": QUEUE, "config_version": "1"}))
    async with worker(plane, tmp_path) as it:
        await it.session.register()
        assert not it.session.may_take_work
        it.session.start_heartbeats()
        await plane.wait_for(lambda: len(plane.received("POST", BEAT)) >= 3)
        await plane.wait_for(lambda: it.session.may_take_work)
        assert len(plane.received("GET", config)) == 1
        it.session.beat_now(full=True)
        await plane.wait_for(lambda: len(plane.received("GET", config)) == 2)


async def test_a_whole_session(plane: FakeControlPlane, tmp_path: Path) -> None:
    plane.start_response = {"temporal_api_key": "temporal-key-1", "queue_name": "laptops"}
    async with worker(plane, tmp_path) as it:
        it.logs("before the first heartbeat")
        registration = await it.session.register()
        assert (registration.queue_name, it.session.registered) == ("laptops", True)
        assert it.redactor.mask("temporal-key-1 llm-key") == "*** ***"
        assert not plane.received("POST", BEAT)
        it.now = WorkerStatus(status="busy", tasks_processed=7, current_task_id="e1", metadata={"state": "running"})
        it.session.start_heartbeats()
        it.session.start_heartbeats()
        await plane.wait_for(lambda: len(plane.received("POST", BEAT)) >= 3)
        await it.session.leave(reason="error", exit_code=4, error_message="x" * 5000)
        beats = len(plane.received("POST", BEAT))
        await it.client.get_execution("a request behind all others")
    [start] = plane.received("POST", START)
    assert start.json()["control_plane_url"] == plane.url
    assert start.json()["system_info"]["pid"] > 0
    full, light = plane.received("POST", BEAT)[:2]
    assert full.path.split("/")[2] == registration.worker_id
    assert full.json()["tasks_processed"] == 7
    assert (full.json()["status"], full.json()["current_task_id"]) == ("busy", "e1")
    assert full.json()["worker_metadata"] == {"state": "running"}
    assert full.json()["system_info"]["memory_total"] > 0
    assert "before the first heartbeat" in full.json()["logs"][0]
    assert light.json().keys() == {"status", "tasks_processed", "current_task_id", "worker_metadata"}
    [gone] = plane.received("POST", GONE)
    assert (gone.json()["reason"], gone.json()["exit_code"], len(gone.json()["error_message"])) == ("error", 4, 2000)
    assert len(plane.received("POST", BEAT)) == beats
    assert plane.requests.index(gone) > plane.requests.index(plane.received("POST", BEAT)[-1])
    assert it.count(HeartbeatSent) == beats


TROUBLE = [
    Reply(status=500, body=b"Internal Server Error"),
    Reply(status=502, body=b"<html>bad gateway</html>"),
    Reply(status=503, body={"detail": "starting"}),
    Reply(status=429, body={"detail": "slow down"}, headers={"Retry-After": "0"}),
    Reply(status=200, body=b"this is not JSON"),
    Reply(status=200, body={"worker_id": None}),
    Reply(behaviour="reset"),
    Reply(behaviour="garbage"),
    Reply(behaviour="half_close"),
]


async def test_registration_outlives_everything_that_may_pass(plane: FakeControlPlane, tmp_path: Path) -> None:
    plane.script("POST", START, *TROUBLE)
    async with worker(plane, tmp_path) as it:
        registration = await it.session.register()
    assert registration.worker_id
    retries = [event for event in it.heard if isinstance(event, RegistrationRetried)]
    assert [event.attempt for event in retries] == list(range(1, len(TROUBLE) + 1))
    assert all(event.sentence.endswith(".") for event in retries)
    assert len(plane.received("POST", START)) == len(TROUBLE) + 1


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda reply: f"{reply.behaviour}-{reply.status}")
async def test_fail_fast_ends_with_the_first_failure(plane: FakeControlPlane, tmp_path: Path, trouble: Reply) -> None:
    plane.script("POST", START, trouble)
    async with worker(plane, tmp_path, fail_fast=True) as it:
        with pytest.raises(ControlPlaneError) as error:
            await it.session.register()
    assert error.value.exit_code == 6
    assert "\n" not in error.value.sentence


@pytest.mark.parametrize(
    ("status", "body", "code", "word"),
    [
        (400, {"detail": "Worker queue is not active (status: maintenance)"}, 5, "maintenance"),
        (401, {"detail": {"error": "Unauthorized", "message": "Invalid token", "hint": "h"}}, 4, "login"),
        (403, {"detail": "not found in your organization"}, 5, "organization"),
        (404, {"detail": "does not exist"}, 5, "kubiya-worker queues"),
        (422, {"detail": [{"loc": ["body"], "msg": "wrong type", "type": "x"}]}, 1, "wrong type"),
    ],
)
async def test_what_will_not_pass_stops_with_a_sentence(
    plane: FakeControlPlane, tmp_path: Path, status: int, body: Any, code: int, word: str
) -> None:
    plane.on("POST", START, Reply(status=status, body=body))
    async with worker(plane, tmp_path) as it:
        with pytest.raises(ControlPlaneError) as error:
            await it.session.register()
    assert (error.value.exit_code, word in error.value.sentence) == (code, True), error.value.sentence
    assert API_KEY not in error.value.sentence
    assert len(plane.received("POST", START)) == 1
    assert not it.session.registered


async def test_a_queue_id_that_is_none_is_not_even_sent(plane: FakeControlPlane, tmp_path: Path) -> None:
    async with worker(plane, tmp_path, queue_id="default") as it:
        with pytest.raises(QueueNotFound, match="'default'"):
            await it.session.register()
    assert not plane.requests


async def test_a_nudge_cuts_the_waiting_short(plane: FakeControlPlane, tmp_path: Path) -> None:
    plane.script("POST", START, Reply(status=503, headers={"Retry-After": "500"}))
    async with worker(plane, tmp_path) as it:
        registering = asyncio.create_task(it.session.register())
        async with asyncio.timeout(60):
            while not it.count(RegistrationRetried):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)  # the waiting begins
            it.session.nudge()
            await registering


async def test_log_lines_are_kept_until_a_heartbeat_took_them(plane: FakeControlPlane, tmp_path: Path) -> None:
    plane.script("POST", BEAT, Reply(status=503), Reply(behaviour="reset"))
    async with worker(plane, tmp_path) as it:
        await it.session.register()
        for number in range(250):
            it.logs(f"line {number}")
        it.session.start_heartbeats()
        await plane.wait_for(lambda: len(plane.received("POST", BEAT)) >= 3)
        it.logs("news")
        it.session.beat_now(full=True)
        await plane.wait_for(lambda: "news" in str(plane.received("POST", BEAT)[-1].json().get("logs")))
    bodies = [request.json() for request in plane.received("POST", BEAT)]
    lines = [body.get("logs") for body in bodies if body.get("logs")]
    assert [line.split()[-1] for line in lines[0]] == [str(number) for number in range(150, 250)]
    assert lines[0] == lines[1] == lines[2]
    assert [line.split()[-1] for line in lines[3]] == ["news"]
    assert it.count(HeartbeatFailed) == 2


async def test_heartbeats_go_on_through_refusals_and_are_logged_once(
    plane: FakeControlPlane, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plane.script("POST", BEAT, *[Reply(status=401, body={"detail": {"message": "no"}})] * 4)
    async with worker(plane, tmp_path) as it:
        with caplog.at_level(logging.INFO):
            await it.session.register()
            it.session.start_heartbeats()
            await plane.wait_for(lambda: len(plane.received("POST", BEAT)) >= 6)
    said = [record.getMessage() for record in caplog.records if "Heartbeats" in record.getMessage()]
    assert len(said) == 2
    assert "working again" in said[1]


async def test_renewed_credentials_bring_a_new_id_and_sign_the_old_one_off(
    plane: FakeControlPlane, tmp_path: Path
) -> None:
    async with worker(plane, tmp_path, heartbeat_interval=timedelta(seconds=50)) as it:
        old = await it.session.register()
        it.session.start_heartbeats()
        await plane.wait_for(lambda: plane.received("POST", BEAT))
        new = await it.session.refresh()
        await plane.wait_for(lambda: len(plane.received("POST", BEAT)) == 2)
        assert it.session.registration is new
    [_, second] = plane.received("POST", BEAT)
    assert (new.worker_id in second.path, "system_info" in second.json()) == (True, True)
    gone = plane.received("POST", GONE)
    assert [old.worker_id in gone[0].path, new.worker_id in gone[1].path] == [True, True]


@pytest.mark.parametrize(
    ("server", "user", "seconds"), [(10, None, 10), (300, None, 60), (0, None, 30), (45, 5, 5), (45, 500, 60)]
)
async def test_the_interval(
    plane: FakeControlPlane, tmp_path: Path, server: int, user: int | None, seconds: int
) -> None:
    plane.start_response = {"heartbeat_interval": server}
    wish = None if user is None else timedelta(seconds=user)
    async with worker(plane, tmp_path, heartbeat_interval=wish) as it:
        await it.session.register()
        assert it.session.interval == min(timedelta(seconds=seconds), LONGEST_INTERVAL)


async def test_a_wrong_clock_is_put_right_by_the_server(plane: FakeControlPlane, tmp_path: Path) -> None:
    plane.date = format_datetime(datetime.now(UTC) + timedelta(hours=3), usegmt=True)
    async with worker(plane, tmp_path) as it:
        await it.session.register()
        ahead = it.session.server_now() - datetime.now(UTC)
    assert timedelta(hours=2, minutes=59) < ahead < timedelta(hours=3, minutes=1)


async def test_leaving_waits_for_the_heartbeat_on_its_way(plane: FakeControlPlane, tmp_path: Path) -> None:
    order: list[str] = []
    arrived = asyncio.Event()

    async def slow(request: Request) -> Reply:
        arrived.set()
        await asyncio.sleep(0.2)
        order.append("heartbeat")
        return Reply(status=204)

    def gone(request: Request) -> Reply:
        order.append("disconnect")
        return Reply(status=204)

    plane.on("POST", BEAT, slow)
    plane.on("POST", GONE, gone)
    async with worker(plane, tmp_path, queue_id=str(uuid.uuid4())) as it:
        await it.session.register()
        it.session.start_heartbeats()
        await arrived.wait()
        await it.session.leave(reason="shutdown", exit_code=0, error_message=None)
        assert order == ["heartbeat", "disconnect"]
