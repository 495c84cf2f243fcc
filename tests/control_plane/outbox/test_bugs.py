"""A bug in how events are made or sent costs one event and one line of log, not a core, the disk, or the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import strange_data
from worker_core.control_plane.errors import Unreachable
from worker_core.control_plane.outbox.lane import Item
from worker_core.control_plane.outbox.outbox import Outbox
from worker_core.network.backoff import Backoff

LIMIT = timedelta(seconds=60)


class Server:
    """Takes events, as text; fails as it is told."""

    def __init__(self) -> None:
        self.tries = 0
        self.up = True
        self.bug_at = ""
        self.taken: list[Any] = []
        self.news = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT.total_seconds()):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def publish_event(self, _: str, event: bytes) -> None:
        self.tries += 1
        self.news.set()
        await asyncio.sleep(0)
        if not self.up:
            raise Unreachable("The control plane refused the connection.")
        if self.bug_at and self.bug_at.encode() in event:
            raise ZeroDivisionError
        self.taken.append(msgspec.json.decode(event)["data"])
        self.news.set()


def outbox(server: Server, folder: Path) -> Outbox:
    quick = Backoff(first=timedelta(milliseconds=1), limit=timedelta(milliseconds=4))
    return Outbox(client=server, folder=folder, mask=str, backoff=quick)


@pytest.fixture
def unwritable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of the type `bug` cannot be written down."""
    body = Item.body

    def broken(item: Item) -> bytes:
        if item.event_type == "bug":
            raise ZeroDivisionError
        return body(item)

    monkeypatch.setattr(Item, "body", broken)


@pytest.mark.usefixtures("unwritable")
@pytest.mark.parametrize("is_up", [True, False])
async def test_an_event_that_cannot_be_written_down_is_set_aside_and_told_once(
    is_up: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server()
    server.up = is_up
    office = outbox(server, tmp_path)
    one, other = office.lane("one"), office.lane("other")
    with caplog.at_level(logging.WARNING):
        for number in range(50):
            one.publish("bug", {})
            one.publish("good", {"one": number})
            other.publish("good", {"other": number})
        await one.flush(LIMIT)
        server.up = True
        office.nudge()
        await server.until(lambda: len(server.taken) == 100)
        await office.close(limit=LIMIT)
    assert [data["one"] for data in server.taken if "one" in data] == list(range(50))
    assert [data["other"] for data in server.taken if "other" in data] == list(range(50))
    assert office.view().dropped == 50
    assert [record.exc_info is not None for record in caplog.records if "bug" in record.message] == [True]


async def test_a_bug_in_sending_is_tried_with_pauses_and_then_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    server.bug_at = "poison"
    office = outbox(server, tmp_path)
    lane, other = office.lane("one"), office.lane("other")
    with caplog.at_level(logging.WARNING):
        lane.publish("good", {"text": "poison"})
        lane.publish("good", {"text": "behind it"})
        for number in range(20):
            other.publish("good", {"text": f"beside it {number}"})
        await server.until(lambda: len(server.taken) == 21)
        await office.close(limit=LIMIT)
    assert {data["text"] for data in server.taken} == {"behind it", *(f"beside it {number}" for number in range(20))}
    assert server.tries <= 22 + 8, "the same event was tried without end"
    assert len([record for record in caplog.records if "internal error" in record.message and record.exc_info]) == 1


async def test_a_bug_of_the_disk_does_not_end_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    server.up = False
    office = outbox(server, tmp_path)
    lane = office.lane("one")

    async def broken(*_: Any, **__: Any) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(office._disk, "append", broken)
    lane.publish("good", {"text": "first"})
    await server.until(lambda: server.tries > 0)
    server.up = True
    office.nudge()
    assert await lane.flush(LIMIT)
    await office.close(limit=LIMIT)
    assert [data["text"] for data in server.taken] == ["first"]


@given(st.dictionaries(strange_data.texts, strange_data.values, max_size=3), strange_data.texts)
@settings(max_examples=50, deadline=None)
def test_whatever_an_event_holds_it_is_delivered(data: dict[str, Any], text: str) -> None:
    async def deliver() -> list[Any]:
        server = Server()
        office = outbox(server, Path("/nowhere"))
        lane = office.lane("one")
        deep: Any = data
        for _ in range(300):
            deep = [deep]
        lane.publish("event", {"inner": data, "deep": deep, **data})
        lane.publish("event", {"text": text})
        assert await lane.flush(LIMIT)
        await office.close(limit=LIMIT)
        return server.taken

    assert len(asyncio.run(deliver())) == 2
