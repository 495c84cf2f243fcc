"""Asking for newer releases: only where it is wanted, once a day, and told once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from desktop.notices.notice import Level, Notice
from desktop.notices.release_index import Seen
from desktop.notices.releases import ReleaseAnswer
from desktop.notices.updates import EVERY, UpdateWatch
from desktop.settings.store import SettingsStore
from tests.support.engine import home
from worker_core import __version__
from worker_core.errors import KubiyaError


class Rig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime(2026, 11, 27, 12, tzinfo=UTC)
        self.newest, self.trouble = "99.0.0", ""
        self.withdrawn, self.seen = "", Seen(generation=2, sequence=5)
        self.asked = 0
        self.said: list[Notice] = []
        self.start()

    def start(self) -> None:
        """As at the start of the program: only what is written down is known."""
        self.store = SettingsStore(home(self.folder), environ={})
        self.watch = UpdateWatch(ask=self.ask, store=self.store, say=self.said.append, now=lambda: self.now)

    async def ask(self) -> ReleaseAnswer:
        self.asked += 1
        if self.trouble:
            raise KubiyaError(self.trouble)
        return ReleaseAnswer(version=self.newest, withdrawn=self.withdrawn, seen=self.seen)

    async def settle(self) -> None:
        while self.watch.state.asking or (self.watch._task is not None and not self.watch._task.done()):
            await asyncio.sleep(0)

    @property
    def next_in(self) -> timedelta | None:
        timer = self.watch._timer
        loop = asyncio.get_running_loop()
        return None if timer is None else timedelta(seconds=round(timer.when() - loop.time()))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.watch.close()


async def test_off_is_no_question_and_no_timer(rig: Rig) -> None:
    rig.watch.look()
    await rig.settle()
    assert (rig.asked, rig.next_in) == (0, None)
    rig.store.prefer(check_for_updates=True)
    await rig.settle()
    assert (rig.asked, rig.next_in) == (1, EVERY)
    rig.store.prefer(check_for_updates=False)
    assert rig.next_in is None


async def test_once_a_day_over_restarts_and_each_release_is_told_once(rig: Rig) -> None:
    rig.store.prefer(check_for_updates=True)
    await rig.settle()
    for hours in range(1, 72):
        rig.now += timedelta(hours=1)
        if hours % 5 == 0:
            rig.watch.close()
            rig.start()
        rig.watch.look()
        await rig.settle()
    assert rig.asked == 3
    assert [notice.title for notice in rig.said] == ["Kubiya Worker 99.0.0 is there"]
    assert rig.said[0].level is Level.NEWS
    rig.newest = "99.0.1"
    rig.now += EVERY
    rig.watch.look()
    await rig.settle()
    assert rig.said[-1].title == "Kubiya Worker 99.0.1 is there"


async def test_what_is_not_newer_is_not_told(rig: Rig) -> None:
    rig.newest = "0.0.1"
    rig.store.prefer(check_for_updates=True)
    await rig.settle()
    assert rig.said == []
    assert (rig.watch.state.newest, rig.watch.state.is_newer) == ("0.0.1", False)


async def test_trouble_is_silent_and_tried_the_next_day(rig: Rig) -> None:
    rig.trouble = "github.com does not answer."
    rig.store.prefer(check_for_updates=True)
    await rig.settle()
    assert (rig.said, rig.watch.state.trouble, rig.next_in) == ([], "github.com does not answer.", EVERY)
    rig.trouble = ""
    rig.watch.ask_now()
    await rig.settle()
    assert (rig.watch.state.trouble, len(rig.said)) == ("", 1)


async def test_a_clock_that_was_put_back_does_not_stop_it(rig: Rig) -> None:
    rig.store.prefer(check_for_updates=True)
    await rig.settle()
    rig.now -= timedelta(days=400)
    rig.watch.look()
    assert rig.next_in == EVERY


async def test_a_person_may_ask_without_switching_it_on(rig: Rig) -> None:
    heard: list[bool] = []
    rig.watch.listen(lambda: heard.append(rig.watch.state.asking))
    rig.watch.ask_now()
    rig.watch.ask_now()
    await rig.settle()
    assert rig.asked == 1
    assert heard == [True, False]
    assert rig.next_in is None


async def test_what_was_believed_is_remembered_over_restarts(rig: Rig) -> None:
    rig.watch.ask_now()
    await rig.settle()
    rig.watch.close()
    rig.start()
    assert (rig.store.preferences.update_keys_seen, rig.store.preferences.update_index_seen) == (2, 5)
    rig.trouble = "The list of releases is older than one that was seen."
    rig.watch.ask_now()
    await rig.settle()
    assert (rig.store.preferences.update_keys_seen, rig.store.preferences.update_index_seen) == (2, 5)


async def test_a_version_that_was_withdrawn_is_said_to_whoever_runs_it(rig: Rig) -> None:
    rig.newest, rig.withdrawn = "0.0.1", "It loses data."
    rig.watch.ask_now()
    await rig.settle()
    assert [(one.title, one.body, one.level) for one in rig.said] == [
        (f"Kubiya Worker {__version__} was withdrawn", "It loses data.", Level.PROBLEM)
    ]
    rig.trouble = "github.com does not answer."
    rig.watch.ask_now()
    await rig.settle()
    assert rig.watch.state.withdrawn == "It loses data.", "no answer takes nothing back"
