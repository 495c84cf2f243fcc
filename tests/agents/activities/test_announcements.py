"""What is told of an execution that begins is told once and in order, whoever dies while it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_control_plane import API_KEY, FakeControlPlane, Reply, Request
from worker_core.agents.activities.announcements import Announcements, Opening
from worker_core.agents.activities.stored_sessions import StoredSessions
from worker_core.agents.execution_input import ExecutionInput
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.errors import ServerTrouble
from worker_core.control_plane.models import ExecutionPatch
from worker_core.control_plane.outbox.outbox import Outbox
from worker_core.network.backoff import Backoff
from worker_core.secrets import Secret

RECORD = "/executions/e1"
INPUT = ExecutionInput.from_wire(
    {"execution_id": "e1", "agent_id": "a", "prompt": "hello", "user_metadata": {"user_name": "Ada"}},
    kind="agents",
    fallback_id="",
)


class Plane(FakeControlPlane):
    """Keeps what an execution's record is changed to."""

    def __init__(self) -> None:
        super().__init__()
        self.record: dict[str, Any] = {
            "id": "e1", "status": "pending", "execution_type": "AGENT", "prompt": "hello", "user_name": "Ada",
            "execution_metadata": {"job_id": "j"},
        }  # fmt: skip
        self.on("GET", RECORD, lambda _request: Reply(body=self.record))
        self.on("PATCH", RECORD, self._patch)

    def _patch(self, request: Request) -> Reply:
        self.record = self.record | request.json()
        return Reply(body=self.record)

    @property
    def told(self) -> list[str]:
        """In order of arrival."""
        return [
            one.json()["event_type"] if one.method == "POST" else f"status {one.json()['status']}"
            for one in self.requests
            if one.method != "GET"
        ]


class Worker:
    """What a process has of these."""

    def __init__(self, plane: Plane, folder: Path) -> None:
        self.client = ControlPlaneClient(base_url=plane.url, api_key=Secret(API_KEY))
        backoff = Backoff(first=timedelta(milliseconds=10), limit=timedelta(milliseconds=20))
        self.outbox = Outbox(client=self.client, folder=folder / "spool", mask=lambda text: text, backoff=backoff)
        self.announcements = Announcements(
            client=self.client, outbox=self.outbox, others_limit=timedelta(milliseconds=100)
        )
        self.sessions = StoredSessions(client=self.client)

    async def begin(self, *, repeated: bool = False) -> None:
        opening = Opening.of(INPUT, model="m")
        self.announcements.begin(opening, await self.client.get_execution("e1"), worker_id="w", repeated=repeated)

    async def leave(self) -> None:
        await self.announcements.close()
        await self.outbox.close(limit=timedelta(seconds=10))
        await self.client.aclose()


@contextlib.asynccontextmanager
async def worker(plane: Plane, folder: Path) -> AsyncIterator[Worker]:
    made = Worker(plane, folder)
    await made.outbox.open()
    try:
        yield made
    finally:
        await made.leave()


ALL = ["metadata", "message", "status running"]


async def test_events_come_before_the_record_which_keeps_what_it_held(tmp_path: Path) -> None:
    async with Plane() as plane, worker(plane, tmp_path) as one:
        await one.begin()
        await one.announcements.made("e1", worker_id="w")
        await one.announcements.make_sure("e1", worker_id="w")
        assert plane.told == ALL
        metadata = plane.record["execution_metadata"]
        assert (metadata["job_id"], metadata["worker_info"]["worker_id"], metadata["model"]) == ("j", "w", "m")
        assert (metadata["conversation_turns"], metadata["latest_run_id"]) == (1, "e1_1")
        [_, message] = plane.events("e1")
        assert (message["data"]["content"], message["data"]["user_name"]) == ("hello", "Ada")


async def test_what_a_worker_that_died_left_untold_is_told_by_the_next_one(tmp_path: Path) -> None:
    async with Plane() as plane:
        async with worker(plane, tmp_path) as next_one:
            await next_one.announcements.make_sure("e1", worker_id="w2")
            await next_one.announcements.made("e1", worker_id="w")
            assert plane.told == ALL
            [_, message] = plane.events("e1")
            assert (message["data"]["content"], message["data"]["user_name"]) == ("hello", "Ada")
        async with worker(plane, tmp_path) as third:
            await third.announcements.make_sure("e1", worker_id="w3")
            await third.announcements.made("e1", worker_id="w")
        assert plane.told == ALL
        assert plane.record["execution_metadata"]["worker_info"]["worker_id"] == "w2"


async def test_events_that_lie_on_the_disk_are_not_told_a_second_time(tmp_path: Path) -> None:
    async with Plane() as plane:
        plane.on("POST", f"{RECORD}/events", Reply(status=503))
        async with worker(plane, tmp_path) as first:
            await first.begin()
            await plane.wait_for(lambda: plane.events("e1"))
        plane.on("POST", f"{RECORD}/events", Reply(status=202, body={"success": True}))
        plane.requests.clear()
        plane.record["execution_metadata"] = {}
        async with worker(plane, tmp_path) as second:
            await second.announcements.make_sure("e1", worker_id="w")
            await second.announcements.made("e1", worker_id="w")
            await plane.wait_for(lambda: len(plane.told) >= len(ALL))
        assert sorted(plane.told) == sorted(ALL)
        assert [event["event_type"] for event in plane.events("e1")] == ["metadata", "message"]


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"status": "cancelled"}, []),
        ({"status": "running", "execution_metadata": {"workflow_started": True}}, []),
        ({"status": "running"}, ALL),
    ],
    ids=["it has ended", "all was told", "it died before"],
)
async def test_an_execution_that_another_machine_began_is_told_of_where_it_was_not(
    tmp_path: Path, record: dict[str, object], told: list[str]
) -> None:
    async with Plane() as plane, worker(plane, tmp_path) as one:
        plane.record |= record
        await one.begin(repeated=True)
        await one.announcements.made("e1", worker_id="w")
        assert plane.told == told


async def test_what_failed_is_tried_again_when_the_turn_ends_and_says_what_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Plane() as plane, worker(plane, tmp_path) as one:
        plane.script("PATCH", RECORD, Reply(status=503), Reply(status=503))
        await one.begin()
        with pytest.raises(ServerTrouble):
            await one.announcements.made("e1", worker_id="w")
        assert "is not shown as running yet" in caplog.text
        await one.announcements.make_sure("e1", worker_id="w")
        await one.announcements.made("e1", worker_id="w")
        assert plane.told == [*ALL, "status running", "status running"]
        assert plane.record["status"] == "running"


async def test_nothing_is_on_its_way_once_the_last_word_is_said(tmp_path: Path) -> None:
    async with Plane() as plane, worker(plane, tmp_path) as one:
        await one.begin()
        await one.announcements.settled("e1")
        assert plane.told == ALL
        one.announcements.forget("e1")
        await one.announcements.settled("e1")
        assert plane.told == ALL


async def test_a_turn_that_is_told_when_its_execution_is_cancelled_comes_before_the_last_word(tmp_path: Path) -> None:
    async with Plane() as plane, worker(plane, tmp_path) as one:
        came, may_answer = asyncio.Event(), asyncio.Event()

        async def late(request: Request) -> Reply:
            came.set()
            await may_answer.wait()
            return plane._patch(request)

        plane.on("PATCH", RECORD, late)
        turn = asyncio.create_task(
            one.announcements.goes_on("e1", one.client.patch_execution("e1", ExecutionPatch(status="running")))
        )
        await came.wait()
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        settled = asyncio.create_task(one.announcements.settled("e1"))
        await asyncio.sleep(0.05)
        assert not settled.done()
        may_answer.set()
        await settled
        assert plane.record["status"] == "running"
        await one.announcements.settled("e1")


async def test_what_a_turn_could_not_tell_is_told_to_who_waits(tmp_path: Path) -> None:
    async with Plane() as plane, worker(plane, tmp_path) as one:
        plane.script("PATCH", RECORD, Reply(status=503))
        with pytest.raises(ServerTrouble):
            await one.announcements.goes_on("e1", one.client.patch_execution("e1", ExecutionPatch(status="running")))
        await one.announcements.settled("e1")


async def test_a_worker_beside_the_one_that_began_waits_until_that_has_told(tmp_path: Path) -> None:
    async with Plane() as plane, worker(plane, tmp_path / "1") as one, worker(plane, tmp_path / "2") as other:
        other.announcements = Announcements(client=other.client, outbox=other.outbox)
        asked = asyncio.create_task(other.announcements.make_sure("e1", worker_id="other"))
        await plane.wait_for(lambda: len(plane.received("GET", RECORD)) >= 2)
        await one.begin()
        await asked
        await other.announcements.made("e1", worker_id="other")
        await other.announcements.settled("e1")
        assert plane.told == ALL
        assert plane.record["execution_metadata"]["worker_info"]["worker_id"] == "w"


async def test_a_session_is_read_once_in_a_turn_and_anew_after_a_change(tmp_path: Path) -> None:
    async with Plane() as plane, worker(plane, tmp_path) as one:
        plane.sessions["e1"] = first = {"messages": [{"message_id": "1"}]}
        second = {"messages": [{"message_id": "2"}]}
        for turn, changed, expected in ((1, False, first), (2, True, second), (3, False, second)):
            plane.sessions["e1"] = first
            await one.sessions.read("e1", turn=min(turn, 2))
            plane.sessions["e1"] = second
            assert await one.sessions.at_the_end("e1", turn=turn, changed=changed) == expected
        assert len(plane.received("GET", f"{RECORD}/session")) == 5
