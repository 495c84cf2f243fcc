"""The page of notifications: what was said, kept, counted and followed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView

from desktop.models.notice_list import NoticeList, NoticeRole
from desktop.notices.action import Action
from desktop.notices.notifications import HISTORY, Level, Notice, Notifications
from desktop.widgets.buttons import NavButton
from tests.desktop.windows.stand_ins import shown_window
from tests.support.finding import button, click, named, reads, seen


def notice(number: int, level: Level = Level.NEWS, **more: object) -> Notice:
    fields = {"title": f"title {number}", "body": f"body {number}", "level": level, **more}
    return Notice(**fields)  # type: ignore[arg-type]


class Stage:
    def __init__(self, qtbot, folder: Path) -> None:
        self.notifications = Notifications(level=lambda: "all")
        self.notifications.remember([notice(0, at=datetime.now(UTC) - timedelta(days=1))])
        self.followed: list[Notice] = []
        self.window = shown_window(qtbot, folder, notices=self.notifications, follow=self.followed.append)
        self.page = self.window.page_named("notifications")
        self.list = named(self.page, "Notifications", QAbstractItemView)

    @property
    def titles(self) -> list[str]:
        model = self.list.model()
        return [model.index(row, 0).data(NoticeRole).title for row in range(model.rowCount())]

    @property
    def count(self) -> str:
        [entry] = [one for one in seen(self.window, NavButton) if one.text() == "Notifications"]
        return entry.accessibleName()


@pytest.fixture
def stage(qtbot, tmp_path: Path) -> Stage:
    return Stage(qtbot, tmp_path)


def test_what_was_not_seen_is_counted_until_it_is(stage: Stage) -> None:
    assert "1" not in stage.count, "what is old was seen"
    stage.notifications.say(notice(1))
    stage.notifications.say(notice(2, Level.PROBLEM))
    assert "2" in stage.count
    stage.window.show_page("notifications")
    assert stage.titles == ["title 2", "title 1", "title 0"]
    assert "2" not in stage.count
    stage.notifications.say(notice(3))
    assert stage.titles[0] == "title 3"
    assert stage.notifications.unseen == 0, "it came while somebody looked"


def test_silenced_ones_are_there_too(stage: Stage) -> None:
    stage.notifications.snooze(datetime.now(UTC) + timedelta(hours=1))
    stage.notifications.say(notice(1))
    assert stage.titles == ["title 1", "title 0"]


def test_one_is_followed_by_keyboard(stage: Stage, qtbot) -> None:
    stage.notifications.say(notice(1, Level.QUESTION, action=Action.OPEN_APPROVAL, target="a1"))
    stage.window.show_page("notifications")
    stage.list.setFocus()
    stage.list.setCurrentIndex(stage.list.model().index(0, 0))
    qtbot.keyClick(stage.list, Qt.Key.Key_Return)
    assert [(one.action, one.target) for one in stage.followed] == [(Action.OPEN_APPROVAL, "a1")]


def test_all_can_be_forgotten(stage: Stage) -> None:
    stage.window.show_page("notifications")
    click(stage.page, "Clear")
    assert stage.titles == []
    assert list(stage.notifications.history) == []
    assert reads(stage.page, "Nothing was said yet")
    assert not button(stage.page, "Clear").isVisible()
    stage.notifications.say(notice(1))
    assert stage.titles == ["title 1"]


def test_the_model_is_a_good_model_and_bounded(qtmodeltester) -> None:
    model = NoticeList()
    qtmodeltester.check(model)
    for number in range(HISTORY + 5):
        model.add(notice(number))
    assert model.rowCount() == HISTORY
    assert model.index(0, 0).data(NoticeRole).title == f"title {HISTORY + 4}"
    model.show([notice(1), notice(2)])
    assert model.index(0, 0).data(NoticeRole).title == "title 2"
