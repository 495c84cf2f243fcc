"""Quiet hours: nothing goes out, then one message with what still waits; over restarts and a changed clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.hooks.test_hooks import Rig as HookRig
from tests.support.http_server import Answer, Server, serving
from worker_core.errors import ConfigurationError
from worker_core.hooks import calls as calls_module
from worker_core.hooks.calls import MOST_HELD, Calls, held_file
from worker_core.hooks.occasion import Told
from worker_core.settings import Settings, SettingsInForce, load

NIGHT, MORNING = datetime(2026, 5, 1, 23, tzinfo=UTC), datetime(2026, 5, 2, 7, tzinfo=UTC)


class Rig:
    def __init__(self, folder: Path, *, at: datetime = NIGHT, quiet: str = "22:00-07:00") -> None:
        self.at = at
        self.waiting: set[str] = set()
        self.sent: list[Told] = []
        self.in_force = SettingsInForce(Settings(notify_quiet=quiet))
        self.file = folder / "held" / "one.json"
        self.calls = Calls(
            in_force=self.in_force, file=self.file, host_id="host-1", waiting=lambda: self.waiting,
            send=self.sent.append, clock=lambda: self.at,
        )  # fmt: skip

    def asks(self, approval_id: str) -> None:
        self.waiting.add(approval_id)
        self.calls.tell(Told(occasion="waiting", host_id="host-1", approval_id=approval_id, tool="shell"))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.calls.close()


FAILED = Told(occasion="failed", host_id="host-1", execution_id="e-1", outcome="failed")


async def test_nothing_goes_out_and_what_still_waits_goes_at_once_afterwards(rig: Rig) -> None:
    for name in ("p-1", "p-2", "p-3"):
        rig.asks(name)
    rig.calls.tell(FAILED)
    rig.calls.look()
    assert rig.sent == []
    rig.waiting.remove("p-2")
    rig.at = MORNING
    rig.calls.look()
    [told] = rig.sent
    assert told.occasion == "quiet_over"
    assert [one.approval_id or one.execution_id for one in told.calls] == ["p-1", "p-3", "e-1"]
    assert all(one.at for one in told.calls)
    said = told.message()
    assert (said["event"], said["waiting"], said["failed"], len(said["calls"])) == ("quiet_over", 2, 1, 3)
    assert told.environment()["KUBIYA_WAITING"] == "2"
    rig.calls.look()
    assert len(rig.sent) == 1
    assert not rig.file.exists()
    rig.asks("p-4")
    assert rig.sent[-1].approval_id == "p-4", "it is day"


async def test_one_alone_is_told_as_it_would_have_been(rig: Rig) -> None:
    rig.asks("p-1")
    rig.at = MORNING
    rig.calls.look()
    assert [(told.occasion, told.approval_id) for told in rig.sent] == [("waiting", "p-1")]


async def test_what_waits_no_more_is_not_told(rig: Rig) -> None:
    rig.asks("p-1")
    rig.waiting.clear()
    rig.at = MORNING
    rig.calls.look()
    assert rig.sent == []


async def test_it_looks_by_itself(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end, or sooner: a timer does not count the time of sleep."""
    monkeypatch.setattr(calls_module, "LONGEST_REST", timedelta(milliseconds=5))
    rig.asks("p-1")
    rig.at = MORNING
    async with asyncio.timeout(30):
        while not rig.sent:
            await asyncio.sleep(0.005)


async def test_settings_that_change_are_heard_of_at_the_next_look(rig: Rig) -> None:
    rig.asks("p-1")
    rig.in_force.adopt(Settings())
    rig.calls.look()
    assert len(rig.sent) == 1


async def test_what_is_held_outlives_the_worker(tmp_path: Path) -> None:
    earlier = Rig(tmp_path)
    earlier.asks("p-1")
    earlier.calls.tell(FAILED)
    earlier.calls.close()
    held = json.loads(earlier.file.read_bytes())
    later = Rig(tmp_path, at=MORNING)
    later.waiting = {"p-1"}
    later.calls.look()
    assert [one.at for one in later.sent[0].calls] == [one["at"] for one in held]
    assert later.sent[0].count("waiting") == later.sent[0].count("failed") == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"occasion": "nothing", "host_id": "h"}]', b"\xff"])
async def test_a_broken_file_holds_nothing(tmp_path: Path, content: bytes) -> None:
    file = Rig(tmp_path).file
    file.parent.mkdir()
    file.write_bytes(content)
    file.chmod(0o600)
    rig = Rig(tmp_path, at=MORNING)
    rig.calls.look()
    assert rig.sent == []


async def test_a_clock_that_is_set_back_brings_nothing_twice(rig: Rig) -> None:
    rig.asks("p-1")
    rig.at = MORNING
    rig.calls.look()
    rig.at = NIGHT - timedelta(days=400)
    rig.calls.look()
    assert len(rig.sent) == 1


async def test_a_flood_is_bounded(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MOST_HELD + 2):
        rig.asks(f"p-{number}")
    rig.at = MORNING
    rig.calls.look()
    assert len(rig.sent[0].calls) == MOST_HELD
    assert rig.sent[0].calls[0].approval_id == "p-2"
    assert caplog.text.count("the oldest is not told") == 2
    assert len(rig.sent[0].message()["calls"]) == 20


async def test_a_disk_that_is_full_holds_nothing_up(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.file.parent.write_text("a file where a folder should be")
    rig.asks("p-1")
    assert "kept in memory alone" in caplog.text
    rig.at = MORNING
    rig.calls.look()
    assert len(rig.sent) == 1


def test_workers_of_a_home_hold_their_own(tmp_path: Path) -> None:
    assert held_file(tmp_path, ("a", "b")) == held_file(tmp_path, ("b", "a")) != held_file(tmp_path, ("a",))


@pytest.mark.parametrize("text", ["22-7", "25:00-07:00", "07:00-07:00"])
def test_what_are_no_hours_is_a_sentence(text: str) -> None:
    with pytest.raises(ConfigurationError, match="notify_quiet"):
        load(environ={}, flags={"notify_quiet": text})


def _all_day() -> str:
    """Hours that hold now and for a while."""
    now = datetime.now().astimezone()
    return f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=10):%H:%M}"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(lambda _: Answer(status=200)) as server:
        yield server


async def test_a_worker_that_fails_at_night_is_told_of_by_the_next_one(tmp_path: Path, server: Server) -> None:
    address = f"http://127.0.0.1:{server.port}/"
    night = HookRig(tmp_path, notify_webhook=address, notify_quiet=_all_day())
    night.hooks.worker_failed()
    await night.hooks.ended()
    assert server.requests == []
    day = HookRig(tmp_path, notify_webhook=address)
    await day.hooks.at_start()
    await day.hooks.ended()
    [request] = server.requests
    said = json.loads(request.body)
    assert (said["event"], said["outcome"]) == ("failed", "worker")


async def test_a_chat_is_sent_its_form(tmp_path: Path, server: Server) -> None:
    rig = HookRig(tmp_path, notify_webhook=f"http://127.0.0.1:{server.port}/alerts", notify_format="ntfy")
    rig.hooks.worker_failed()
    await rig.hooks.ended()
    [request] = server.requests
    assert request.path == "/"
    assert json.loads(request.body)["topic"] == "alerts"
