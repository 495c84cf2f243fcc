"""The reminder that a key ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.notices.action import Action
from desktop.notices.key_watch import LONGEST_WAIT, KeyWatch
from desktop.notices.notice import Level, Notice
from desktop.notices.notifications import Notifications
from tests.desktop.keys import token
from tests.support.snapshots import snapshot
from worker_core.secrets import Secret, expires_at

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def ending(after: timedelta) -> Secret:
    return token(exp=(NOW + after).timestamp())


class Stage:
    def __init__(self) -> None:
        self.now, self.said, self.told = NOW, list[Notice](), ""
        self.notifications = Notifications(level=lambda: "all")
        self.watch = KeyWatch(
            say=self.say,
            stand=self.notifications.hold,
            told=lambda: self.told,
            remember=self.remember,
            now=lambda: self.now,
        )

    def say(self, notice: Notice) -> None:
        self.said.append(notice)
        self.notifications.say(notice)

    def remember(self, mark: str) -> None:
        self.told = mark


@pytest.fixture
async def stage() -> Any:
    made = Stage()
    yield made
    made.watch.close()


async def test_each_warning_comes_once(stage: Stage) -> None:
    key = ending(timedelta(days=10))
    stage.watch.watch(key)
    for hours in range(11 * 24):
        stage.now = NOW + timedelta(hours=hours)
        stage.watch.look()
        if hours % 50 == 0:  # a restart in between
            stage.watch.watch(key)
    assert [one.title for one in stage.said] == [
        "Your API key ends soon",
        "Your API key ends soon",
        "Your API key has ended",
    ]
    assert {(one.level, one.action, one.target) for one in stage.said} == {(Level.PROBLEM, Action.SETTINGS, "key")}
    assert not any("signature" in one.body for one in stage.said)


async def test_another_key_is_watched_anew(stage: Stage) -> None:
    stage.watch.watch(ending(timedelta(hours=3)))
    stage.watch.watch(ending(timedelta(hours=4)))
    assert len(stage.said) == 2


async def test_it_wakes_for_the_next_warning_and_once_a_day(stage: Stage) -> None:
    loop = asyncio.get_running_loop()

    def wait(key: Secret) -> timedelta | None:
        stage.watch.watch(key)
        timer = stage.watch._timer
        return None if timer is None else timedelta(seconds=round(timer.when() - loop.time()))

    assert wait(ending(timedelta(days=7, hours=2))) == timedelta(hours=2, seconds=1)
    assert wait(ending(timedelta(days=300))) == LONGEST_WAIT
    assert wait(ending(timedelta(days=-1))) is None
    assert wait(Secret("plain-key")) is None


@pytest.mark.parametrize(
    "key",
    [
        Secret(""), Secret("kb_1234"), Secret("a.b.c"), token(), token(exp="soon"), token(exp=True), token(exp=1e300),
        token(exp=None), Secret("a." + "b" * 20_000 + ".c"),
    ],
)  # fmt: skip
def test_what_says_nothing_of_an_end(key: Secret) -> None:
    assert expires_at(key) is None


@given(st.text(max_size=200))
def test_no_key_is_trouble(text: str) -> None:
    found = expires_at(Secret(text))
    assert found is None or found.tzinfo is not None


def test_the_end_is_read() -> None:
    assert expires_at(token(exp=1_800_000_000)) == datetime.fromtimestamp(1_800_000_000, UTC)


async def test_an_end_that_is_near_stands_over_restarts_until_there_is_another_key(stage: Stage) -> None:
    key = ending(timedelta(days=3))
    stage.watch.watch(key)
    again = Stage()
    again.told = stage.told
    again.notifications.remember(list(stage.notifications.history))
    again.watch.watch(key)
    assert again.said == []
    again.notifications.look(snapshot())
    assert list(again.notifications.standing.values()) == stage.said
    again.watch.watch(ending(timedelta(days=300)))
    assert again.notifications.standing == {}
    again.watch.watch(key)
    again.watch.watch(Secret("no date"))
    assert again.notifications.standing == {}
    again.watch.close()
