"""The tray in Qt, offscreen: what is drawn, and what a click asks for. The real thing is in test_program.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QByteArray
from PySide6.QtGui import QAction
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtTest import QSignalSpy
from PySide6.QtWidgets import QMenu, QSystemTrayIcon
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from desktop.look.tokens import TRAY_DISCS, TRAY_MARKS
from desktop.notices.action import Action
from desktop.notices.notice import Level, Notice
from desktop.tray.icons import SIZES, icon, svg
from desktop.tray.picture import IconState, Picture
from desktop.tray.view import Tray, _same
from tests.desktop.look.contrast import contrast
from tests.support.finding import settle
from tests.support.snapshots import asking, facts
from worker_core.snapshot import EngineState

pytestmark = pytest.mark.qt_log_ignore("No such signal .*systemTrayWindowChanged")


@pytest.fixture
def tray(qtbot: QtBot) -> Iterator[Tray]:
    made = Tray(facts())
    yield made
    made.close()


def menu_of(tray: Tray) -> QMenu:
    menu = icon_of(tray).contextMenu()
    assert menu is not None
    return menu


def icon_of(tray: Tray) -> QSystemTrayIcon:
    """The one that is there now."""
    settle()
    [found] = tray.findChildren(QSystemTrayIcon)
    return found


def find(tray: Tray, *titles: str) -> QAction:
    menu = menu_of(tray)
    for title in titles:
        action = next(action for action in menu.actions() if action.text() == title)
        inner = action.menu()
        if isinstance(inner, QMenu):
            menu = inner
    return action


def test_no_place_for_icons_is_said(tray: Tray) -> None:
    assert not tray.available


def test_picking_an_item_asks_for_it_once(tray: Tray, qtbot: QtBot) -> None:
    asked: list[tuple[Action, str]] = []
    tray.chosen.connect(lambda action, target: asked.append((action, target)))
    tray.show(facts(running=1))
    find(tray, "Pause", "For 1 hour").trigger()
    find(tray, "Execution 00000000, turn 1: model is thinking", "Cancel").trigger()
    tray.show(facts(EngineState.STOPPED))
    find(tray, "Start").trigger()
    assert asked == [(Action.PAUSE_HOUR, ""), (Action.CANCEL_EXECUTION, "00000000-aaaa"), (Action.START, "")]


def test_an_open_menu_keeps_its_items_while_words_change(tray: Tray) -> None:
    before = menu_of(tray).actions()
    tray.show(facts(reason="Something else."))
    assert menu_of(tray).actions() == before
    assert find(tray, "Something else.")
    tray.show(facts(EngineState.STOPPED))
    assert menu_of(tray).actions() != before


def test_a_click_on_its_way_is_for_what_was_clicked_though_tasks_come_and_go(tray: Tray) -> None:
    """A panel names an item by a number that its action has for its whole life."""
    asked: list[tuple[Action, str]] = []
    tray.chosen.connect(lambda action, target: asked.append((action, target)))
    tray.show(facts(running=1))
    login, leave = find(tray, "Start at login"), menu_of(tray).actions()[-1]
    cancel = find(tray, "Execution 00000000, turn 1: model is thinking", "Cancel")
    running = facts(running=3)
    tray.show(replace(running, snapshot=replace(running.snapshot, executions=running.snapshot.executions[1:])))
    settle()
    assert find(tray, "Start at login") is login
    assert menu_of(tray).actions()[-1] is leave
    titles = [action.text() for action in menu_of(tray).actions()]
    assert sum(title.startswith("Execution 0000000") for title in titles) == 2
    assert not isValid(cancel), "it would cancel another one"
    tray.show(facts())
    login.trigger()
    assert [action for action, _ in asked] == [Action.TOGGLE_AUTOSTART]


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("", "", (0, 0)),
        ("abc", "abc", (3, 0)),
        ("abc", "axbc", (1, 2)),
        ("axbc", "abc", (1, 2)),
        ("aaa", "aa", (2, 0)),
        ("abc", "xyz", (0, 0)),
        ("", "ab", (0, 0)),
        ("aba", "a", (1, 0)),
    ],
)
def test_what_is_the_same_above_and_below(before: str, after: str, same: tuple[int, int]) -> None:
    assert _same(before, after) == same


def test_a_check_mark_shows_the_truth_not_the_click(tray: Tray) -> None:
    action = find(tray, "Start at login")
    action.trigger()
    assert action.isChecked()
    tray.show(facts())  # it was not switched on
    assert not find(tray, "Start at login").isChecked()


def test_an_ampersand_is_no_shortcut(tray: Tray) -> None:
    tray.show(type(facts())(snapshot=asking("make a && b")))
    assert find(tray, "make a &&&& b")


def test_the_tooltip_follows(tray: Tray) -> None:
    tray.show(facts(EngineState.PAUSED, reason="Paused by you."))
    assert icon_of(tray).toolTip() == "Kubiya Worker: Paused. Paused by you."


def test_nothing_is_drawn_when_nothing_changed(tray: Tray) -> None:
    tray.show(facts())
    before = icon_of(tray).icon().cacheKey()
    changes = [QSignalSpy(action.changed) for action in menu_of(tray).actions()]
    tray.show(facts())
    assert icon_of(tray).icon().cacheKey() == before
    assert [spy.count() for spy in changes] == [0] * len(changes)
    tray.show(facts(EngineState.PAUSED))
    assert icon_of(tray).icon().cacheKey() != before


def test_a_panel_that_comes_later_gets_a_new_icon(tray: Tray, qtbot: QtBot) -> None:
    before = icon_of(tray)
    gone = QSignalSpy(before.destroyed)
    tray.panel_changed("org.kde.StatusNotifierWatcher", "", ":1.7")
    after = icon_of(tray)
    assert gone.count() == 1
    assert after.toolTip() == "Kubiya Worker: Running. Waiting for work."
    tray.panel_changed("org.kde.StatusNotifierWatcher", ":1.7", "")
    assert icon_of(tray) is after


@pytest.mark.skipif(sys.platform == "darwin", reason="every click opens the menu there")
def test_a_click_is_told_and_a_double_or_middle_click_opens_the_window(tray: Tray) -> None:
    told: list[object] = []
    tray.clicked.connect(lambda: told.append("click"))
    tray.chosen.connect(lambda action, target: told.append(action))
    reasons = QSystemTrayIcon.ActivationReason
    for reason in (reasons.Trigger, reasons.DoubleClick, reasons.MiddleClick, reasons.Context, reasons.Unknown):
        icon_of(tray).activated.emit(reason)
    assert told == ["click", Action.OPEN, Action.OPEN]
    assert not tray.place.isValid(), "offscreen, nobody says where the icon is"


def test_a_click_on_a_message_is_about_the_last_one(tray: Tray) -> None:
    clicked: list[object] = []
    tray.notice_clicked.connect(clicked.append)
    icon_of(tray).messageClicked.emit()
    notice = Notice(title="Failed", body="No model.", level=Level.PROBLEM, action=Action.LOGS)
    tray.message(notice)
    icon_of(tray).messageClicked.emit()
    assert clicked == [None, notice]


@pytest.mark.parametrize("state", IconState)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("template", [False, True])
def test_every_icon_is_sound_svg_and_sharp_at_every_size(
    qtbot: QtBot, state: IconState, dark: bool, template: bool
) -> None:
    assert QSvgRenderer(QByteArray(svg(state, dark=dark, template=template).encode())).isValid()
    made = icon(Picture(state=state, badge="3"), dark=dark, template=template)
    assert made.isMask() is template
    assert {size.width() for size in made.availableSizes()} == set(SIZES)
    image = made.pixmap(32, 32).toImage()
    assert image.pixelColor(16, 3).alpha() > 200
    assert image.pixelColor(0, 0).alpha() == 0


def test_icons_differ_by_shape_not_only_by_colour(qtbot: QtBot) -> None:
    shapes = {svg(state, dark=False, template=True) for state in IconState}
    assert len(shapes) == len(IconState)


def test_a_count_is_drawn(qtbot: QtBot) -> None:
    one, two = (
        icon(Picture(state=IconState.BUSY, badge=badge), dark=False, template=False).pixmap(22, 22).toImage()
        for badge in ("1", "9+")
    )
    assert one != two


@pytest.mark.parametrize("state", IconState)
def test_marks_have_contrast(state: IconState) -> None:
    for colour, mark in zip(TRAY_DISCS[state.value], TRAY_MARKS, strict=True):
        assert contrast(colour, mark) >= 4.5, (state, colour)


@pytest.mark.parametrize(("panel", "count"), [("", 1), (":1.7", 0)])
def test_no_panel_is_given_a_message_that_would_change_its_icon(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, panel: str, count: int
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(QSystemTrayIcon, "showMessage", lambda _, title, *rest: shown.append(title))
    monkeypatch.setattr("desktop.tray.view._panel", lambda: panel)
    tray = Tray(facts())
    try:
        tray.message(Notice(title="Failed", body="No model.", level=Level.PROBLEM))
    finally:
        tray.close()
    assert len(shown) == count
