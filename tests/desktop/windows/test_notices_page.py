"""The page of notifications: what needs its user, what is put off, what was said, counted and followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QAbstractItemView, QApplication, QMenu

from desktop.look.theme import theme
from desktop.models.notice_list import ItemRole, NoticeList
from desktop.notices.action import Action
from desktop.notices.inbox import sections
from desktop.notices.notice import Level, Notice
from desktop.notices.notifications import HISTORY, Notifications
from desktop.widgets.buttons import NavButton
from desktop.widgets.delegates import NoticeDelegate
from tests.desktop.windows.stand_ins import shown_window
from tests.support.finding import button, click, named, reads, seen
from tests.support.snapshots import asking, snapshot
from worker_core.snapshot import EngineState


class Bell:
    """Rings when it is told to."""

    def __init__(self) -> None:
        self.rings: Callable[[], None] | None = None

    def later(self, _seconds: float, call: Callable[[], None]) -> Bell:
        self.rings = call
        return self

    def cancel(self) -> None:
        self.rings = None


def notice(number: int, level: Level = Level.NEWS, **more: object) -> Notice:
    fields = {"title": f"title {number}", "body": f"body {number}", "level": level, **more}
    return Notice(**fields)  # type: ignore[arg-type]


class Stage:
    def __init__(self, qtbot, folder: Path) -> None:
        self.now, self.bell = datetime.now(UTC), Bell()
        self.notifications = Notifications(level=lambda: "all", now=lambda: self.now, later=self.bell.later)
        self.popped: list[Notice] = []
        self.taken_back: list[str] = []
        self.notifications.deliver_to(self.popped.append, take_back=self.taken_back.append)
        self.notifications.remember([notice(0, at=datetime.now(UTC) - timedelta(days=1))])
        self.followed: list[Notice] = []
        self.window = shown_window(qtbot, folder, notices=self.notifications, follow=self.followed.append)
        self.page = self.window.page_named("notifications")
        self.list = named(self.page, "Notifications", QAbstractItemView)

    @property
    def rows(self) -> list[str]:
        """Titles of sections, and under them of items."""
        model = self.list.model()
        places = [model.index(row, 0) for row in range(model.rowCount())]
        return [item.notice.title if (item := place.data(ItemRole)) else f"# {place.data()}" for place in places]

    @property
    def titles(self) -> list[str]:
        return [row for row in self.rows if not row.startswith("# ")]

    def choose(self, title: str) -> None:
        self.list.setCurrentIndex(self.list.model().index(self.rows.index(title), 0))

    def said(self, title: str) -> str:
        """What a screen reader says of an item."""
        place = self.list.model().index(self.rows.index(title), 0)
        return str(place.data(Qt.ItemDataRole.AccessibleTextRole))

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
    stage.window.show_page("notifications")
    assert stage.titles == ["title 1", "title 0"]


def test_one_is_followed_by_keyboard(stage: Stage, qtbot) -> None:
    stage.notifications.say(notice(1, Level.QUESTION, action=Action.OPEN_APPROVAL, target="a1"))
    stage.window.show_page("notifications")
    stage.list.setFocus()
    stage.list.setCurrentIndex(stage.list.model().index(1, 0))
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


def test_what_needs_its_user_is_on_top_and_says_when_it_is_over(stage: Stage) -> None:
    stage.window.show_page("notifications")
    stage.notifications.look(asking("May I?"))
    stage.notifications.say(notice(1))
    stage.notifications.say(notice(2, Level.PROBLEM, about="disk", stands=True))
    asks = "An agent asks for approval"
    assert stage.rows == ["# Needs you now", asks, "title 2", "# Today", "title 1", "# Yesterday", "title 0"]
    assert stage.said(asks).startswith("Question. ")
    stage.notifications.look(snapshot())
    assert stage.rows == ["# Today", "title 2", "title 1", asks, "# Yesterday", "title 0"]
    assert stage.said(asks).startswith("Over. ")
    assert not stage.page.grab().isNull()


def test_a_question_of_before_a_restart_is_not_over_before_a_worker_has_said_so(stage: Stage) -> None:
    asked = notice(7, Level.QUESTION, action=Action.OPEN_APPROVAL, target="a7", stands=True)
    stage.notifications.remember([asked])
    stage.window.show_page("notifications")
    assert stage.said("title 7").startswith("Question. ")
    stage.notifications.look(replace(snapshot(), state=EngineState.STARTING))
    assert stage.said("title 7").startswith("Question. "), "one that starts has read none"
    stage.notifications.look(snapshot())
    assert stage.said("title 7").startswith("Over. ")


def test_a_time_stands_alone_below_the_name_of_its_day(stage: Stage) -> None:
    stage.window.show_page("notifications")
    [before] = stage.notifications.history
    assert stage.said("title 0").endswith(f"body 0 {before.at.astimezone():%H:%M}")


def test_what_is_put_off_goes_from_the_screen(stage: Stage) -> None:
    told = notice(1, Level.PROBLEM, about="disk")
    stage.notifications.say(told)
    assert stage.popped == [told]
    stage.notifications.put_off("disk", stage.now + timedelta(hours=1))
    stage.notifications.put_off("disk", None)
    assert stage.taken_back == ["disk"]


def test_each_item_has_a_clock_that_is_seen_wherever_one_points(stage: Stage) -> None:
    stage.window.show_page("notifications")
    index = stage.list.model().index(stage.rows.index("title 0"), 0)
    row = stage.list.visualRect(index)
    picture, ground = stage.list.viewport().grab().toImage(), theme().palette.surface
    ratio = picture.devicePixelRatio()
    clock = NoticeDelegate.clock_of(row)
    colors = {
        picture.pixelColor(round(x * ratio), round(y * ratio)).name()
        for x in range(clock.left(), clock.right())
        for y in range(clock.top(), clock.bottom())
    }
    assert len(colors) > 1, f"nothing is drawn there on {ground}"


def test_a_thing_is_one_item_with_a_count_and_its_latest_time(stage: Stage) -> None:
    for _ in range(3):
        stage.notifications.say(notice(1))
    assert stage.notifications.unseen == 1
    stage.window.show_page("notifications")
    assert stage.titles == ["title 1", "title 0"]
    assert "3 times, last " in stage.said("title 1")


def test_what_stands_is_not_forgotten(stage: Stage) -> None:
    stage.notifications.look(asking("May I?"))
    stage.window.show_page("notifications")
    click(stage.page, "Clear")
    assert stage.rows == ["# Needs you now", "An agent asks for approval"]


def test_a_click_leads_to_its_place(stage: Stage, qtbot) -> None:
    stage.notifications.say(notice(1, action=Action.OPEN_EXECUTION, target="e1"))
    stage.notifications.say(notice(2, Level.PROBLEM))
    stage.window.show_page("notifications")
    for title in ("title 1", "title 2"):
        place = stage.list.visualRect(stage.list.model().index(stage.rows.index(title), 0))
        qtbot.mouseClick(stage.list.viewport(), Qt.MouseButton.LeftButton, pos=place.center())
    assert [(one.action, one.target) for one in stage.followed] == [(Action.OPEN_EXECUTION, "e1")]
    assert stage.window.page == "overview", "where the worker's own troubles are"


def menu_of(stage: Stage) -> QMenu:
    [menu] = [one for one in stage.page.findChildren(QMenu) if one.isVisible()]
    return menu


def pick(stage: Stage, text: str) -> None:
    menu = menu_of(stage)
    [action] = [one for one in menu.actions() if one.text() == text]
    action.trigger()
    menu.close()
    menu.deleteLater()
    QApplication.sendPostedEvents(menu, 0)


WITHOUT_SYSTEM = pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing the keyboard)")
"""A menu that is opened where there is no desktop."""


@WITHOUT_SYSTEM
@pytest.mark.parametrize("way", ["its clock", "the mouse's other button", "the menu's key", "the button above"])
def test_a_question_is_put_off_and_comes_back(stage: Stage, qtbot, way: str) -> None:
    stage.notifications.look(asking("May I?"))
    stage.window.show_page("notifications")
    asks, popped = "An agent asks for approval", len(stage.popped)
    row = stage.list.visualRect(stage.list.model().index(stage.rows.index(asks), 0))
    if way == "its clock":
        clock = NoticeDelegate.clock_of(row).center()
        qtbot.mouseClick(stage.list.viewport(), Qt.MouseButton.LeftButton, pos=clock)
    elif way == "the button above":
        stage.choose(asks)
        click(stage.page, "Snooze")
    else:
        stage.choose(asks)
        keys = way == "the menu's key"
        reason = QContextMenuEvent.Reason.Keyboard if keys else QContextMenuEvent.Reason.Mouse
        place = QPoint(1, 1) if keys else row.center()
        event = QContextMenuEvent(reason, place, stage.list.viewport().mapToGlobal(place))
        QApplication.sendEvent(stage.list.viewport(), event)
    pick(stage, "For 1 hour")
    assert stage.followed == []
    assert stage.rows[:2] == ["# Snoozed", asks]
    assert stage.said(asks).startswith("Snoozed. ")
    stage.window.show_page("overview")
    stage.notifications.look(asking("May I?"))
    assert (stage.notifications.unseen, len(stage.popped)) == (0, popped)
    stage.now += timedelta(minutes=61)
    assert stage.bell.rings is not None
    stage.bell.rings()
    assert (stage.notifications.unseen, len(stage.popped)) == (1, popped + 1)
    stage.window.show_page("notifications")
    assert stage.rows[:2] == ["# Needs you now", asks]


@WITHOUT_SYSTEM
def test_what_is_put_off_is_brought_back_at_once(stage: Stage) -> None:
    stage.notifications.say(notice(1))
    stage.window.show_page("notifications")
    assert not button(stage.page, "Snooze").isEnabled(), "nothing is chosen"
    stage.choose("title 1")
    click(stage.page, "Snooze")
    pick(stage, "Until tomorrow")
    assert stage.rows[:2] == ["# Snoozed", "title 1"]
    click(stage.page, "Snooze")
    pick(stage, "Bring it back now")
    assert stage.rows[:2] == ["# Today", "title 1"]
    assert stage.bell.rings is None, "nothing is to come back"


def test_titles_are_passed_over_by_keys(stage: Stage, qtbot) -> None:
    stage.notifications.say(notice(1))
    stage.window.show_page("notifications")
    stage.list.setFocus()
    stage.choose("title 1")
    qtbot.keyClick(stage.list, Qt.Key.Key_Down)
    assert stage.list.currentIndex().data(ItemRole).notice.title == "title 0"
    stage.notifications.say(notice(2))
    assert stage.list.currentIndex().data(ItemRole).notice.title == "title 0", "it stays chosen"


def test_the_model_is_a_good_model(qtmodeltester) -> None:
    model = NoticeList()
    qtmodeltester.check(model)
    said = [notice(number) for number in range(HISTORY)]
    model.show(sections(said, {}, snoozed_until=lambda _: None, now=datetime.now(UTC)))
    qtmodeltester.check(model)
    assert model.rowCount() == HISTORY + 1
    assert model.index(1, 0).data(ItemRole).notice.title == f"title {HISTORY - 1}"
