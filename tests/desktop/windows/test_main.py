from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
)

from desktop.look import language
from desktop.look.theme import Theme
from desktop.look.tokens import DARK, LIGHT
from desktop.widgets.composer import Composer
from desktop.windows.main import MainWindow
from desktop.windows.setting_fields import shown_fields
from tests.desktop.windows.stand_ins import HOSTILE, Scene, busy, lines
from tests.desktop.windows.walking import interactive, nameless, unreachable
from tests.support.finding import button, choose, click, named, reads, seen, settle, ticks
from worker_core.errors import KubiyaError
from worker_core.settings import Settings
from worker_core.snapshot import EngineSnapshot, EngineState, SdkView, StopMode

PAGES = ("overview", "executions", "queues", "logs", "health", "usage", "approvals", "notifications", "settings")


def test_each_page_stands_with_nothing(empty: Scene) -> None:
    for name in PAGES:
        empty.show_page(name)
        assert empty.window.page == name
        assert not empty.window.grab().isNull(), name


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_each_page_stands_with_a_normal_day(scene: Scene, look: Theme, mode) -> None:
    """The scheme changes while the window is open."""
    look.set_mode(mode)
    palette = {"light": LIGHT, "dark": DARK}[mode]
    for name in PAGES:
        scene.show_page(name)
        picture = scene.window.grab().toImage()
        assert picture.pixelColor(scene.window.width() - 60, 8).name() == palette.window, name


@pytest.mark.parametrize("name", PAGES)
def test_each_page_stands_with_hostile_data(empty: Scene, name: str) -> None:
    empty.show_page(name)
    empty.arrive(HOSTILE)
    empty.window.show_page("executions", "e")
    empty.show_page(name)
    assert not empty.window.grab().isNull()
    assert empty.window.minimumSizeHint().width() <= 1180, "no text makes the window wider than the screen"


@pytest.mark.parametrize("filled", [False, True])
def test_every_control_has_a_name_and_a_role_and_can_be_reached(scene: Scene, empty: Scene, filled: bool) -> None:
    shown = scene if filled else empty
    window = shown.window
    shown.show_page("settings")
    if filled:
        window.show_page("executions", "e")
    assert nameless(window) == []
    buttons = [child for child in interactive(window) if isinstance(child, QAbstractButton)]
    off_the_path = [
        child.accessibleName()
        for child in buttons
        if not child.focusPolicy() & Qt.FocusPolicy.TabFocus and not child.autoExclusive()  # those: arrow keys
    ]
    assert off_the_path == []


def test_each_page_is_walked_with_the_tab_key(scene: Scene, qtbot) -> None:
    with qtbot.waitActive(scene.window):
        scene.window.activateWindow()
    for name in PAGES:
        if name == "executions":
            scene.window.show_page("executions", "e")
        scene.show_page(name)
        assert unreachable(scene.window) == [], name


def test_pages_by_keyboard_and_the_way_to_search(scene: Scene, qtbot) -> None:
    window = scene.window
    window.activateWindow()
    for number, name in enumerate(PAGES, start=1):
        qtbot.keyClick(window, getattr(Qt.Key, f"Key_{number}"), Qt.KeyboardModifier.ControlModifier)
        assert window.page == name
    window.show_page("logs")
    qtbot.keyClick(window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert window.focusWidget() is named(window, "Search the log")
    window.show_page("health")
    qtbot.keyClick(window, Qt.Key.Key_Slash)
    assert window.page == "executions"
    assert window.focusWidget() is named(window, "Search executions")


def test_a_slash_that_is_typed_is_a_slash(scene: Scene, qtbot) -> None:
    scene.window.activateWindow()
    scene.window.show_page("executions", "e")
    box = named(scene.window, "Message to the agent", Composer)
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Slash)
    assert box.text == "/"


def test_the_sidebar_is_walked_with_the_arrow_keys(scene: Scene, qtbot) -> None:
    window = scene.window
    with qtbot.waitActive(window):
        window.activateWindow()
    window.show_page("overview")
    settle()
    for expected in ("executions", "queues", "logs"):
        qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Down)
        assert window.page == expected


def test_buttons_ask_and_views_wait_for_the_truth(scene: Scene) -> None:
    page = scene.window.page_named("overview")
    click(page, "Stop")
    scene.worker.stop.assert_called_once_with(StopMode.DRAIN)
    choose(page, "Pause", "Until tomorrow")
    asked = scene.worker.pause.call_args.kwargs
    assert asked["reason"] == "Paused by you until tomorrow 08:00."
    assert asked["until"].astimezone().hour == 8
    assert reads(page, "Needs attention"), "a queue of the two is not polled"
    scene.window.take(EngineSnapshot(state=EngineState.PAUSED, reason="Paused by you."))
    assert reads(page, "Paused")
    assert button(page, "Resume").isVisible()


def test_trouble_is_a_sentence_above_the_page(scene: Scene) -> None:
    scene.worker.stop.side_effect = KubiyaError("The worker cannot stop now.")
    click(scene.window.page_named("overview"), "Stop")
    assert scene.window.banner.sentence == "The worker cannot stop now."
    assert not scene.window.banner.isHidden()
    scene.worker.stop.side_effect = RuntimeError("odd")
    click(scene.window.page_named("overview"), "Stop")
    assert scene.window.banner.sentence == "Could not stop the worker: odd."


def test_health_is_sampled_only_while_it_is_seen(scene: Scene) -> None:
    page = scene.window.page_named("health")
    assert not page.clock.runs
    scene.window.show_page("health")
    assert page.clock.runs
    page.sample()
    page.sample()
    assert page.vitals.last("received") is not None
    scene.window.hide()
    assert not page.clock.runs


def test_health_shows_what_temporals_sdk_counts_and_whose_delay_it_is(scene: Scene) -> None:
    page = scene.window.page_named("health")
    scene.window.show_page("health")
    sdk = SdkView(polls=10, polls_empty=4, pollers=2, activity_slots_used=3, workflow_slots_used=1, cached_workflows=7)
    for step, pid in ((0, os.getpid()), (5, os.getppid())):
        later = replace(sdk, polls=sdk.polls + step, polls_empty=sdk.polls_empty + step)
        page.take(replace(EngineSnapshot(), sdk=later, pid=pid))
        page.sample()
        assert reads(page, "Delay of the event loop" if pid == os.getpid() else "Delay of this window's loop")
    assert [page.vitals.last(name) for name in ("activity_slots", "workflow_slots", "cached")] == [3, 1, 7]
    assert page.vitals.last("polls") == page.vitals.last("polls_empty")
    assert (page.vitals.last("polls") or 0) > 0
    assert reads(page, "2 pollers")


def test_nothing_ticks_in_a_window_that_nobody_sees(scene: Scene) -> None:
    scene.window.show_page("executions", "e")
    assert ticks(scene.window)
    scene.window.hide()
    assert not ticks(scene.window)


def test_every_setting_is_there_and_described() -> None:
    secret = {"llm_api_key"}
    assert set(shown_fields()) == set(Settings.__dataclass_fields__) - secret
    assert all(one.title and one.meaning for one in shown_fields().values())


def test_a_setting_is_checked_with_the_workers_sentence(scene: Scene) -> None:
    scene.show_page("settings")
    line = scene.window.page_named("settings").rows["max_executions"]
    [field] = line.findChildren(QLineEdit)
    [reset] = [one for one in line.findChildren(QAbstractButton) if one.accessibleName().startswith("Reset ")]
    field.setText("0")
    field.editingFinished.emit()
    assert line.complaint == "max_executions is '0'; it must be 1 or more."
    field.setText("6")
    field.editingFinished.emit()
    assert line.complaint == ""
    assert scene.settings.settings().max_executions == 6
    assert reset.isVisible()
    reset.click()
    assert scene.settings.settings().max_executions is None


def test_preferences_the_connection_test_and_the_policy(scene: Scene, look: Theme) -> None:
    page = scene.window.page_named("settings")
    scene.show_page("settings")
    click(page, "Pause on metered networks")
    assert scene.settings.preferences.pause_on_metered_network
    appearance = named(page, "Appearance", QComboBox)
    appearance.setCurrentIndex(appearance.findText("Dark"))
    assert look.palette is DARK
    click(page, "Test the connection")
    assert reads(page, "It answers in 12 ms.")
    editor = named(page, "Policy", QPlainTextEdit)
    save = button(page, "Save the policy")
    editor.setPlainText("[[nonsense")
    assert not save.isEnabled()
    editor.setPlainText('[[ask]]\ncommand = "git push*"\n')
    save.click()
    assert scene.window.banner.sentence == "The policy is saved."
    assert "git push*" in scene.desk.policy.text()


def test_the_log_searches_follows_and_exports(scene: Scene, tmp_path: Path, qtbot) -> None:
    logs = scene.window.logs
    scene.window.show_page("logs")
    table, follow = named(logs, "Log lines", QAbstractItemView), button(logs, "Follow the end")
    search, whole = named(logs, "Search the log", QLineEdit), named(logs, "The whole line")
    scene.window.add_lines(lines("other", 500))
    bar = table.verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.triggerAction(bar.SliderAction.SliderPageStepSub)
    assert not follow.isChecked()
    place = bar.value()
    scene.window.add_lines(lines("more", 50))
    assert bar.value() == place, "what arrives does not pull the reader away"
    follow.click()
    assert bar.value() == bar.maximum()
    search.setText("words [01]")
    assert logs.model.rowCount() == 2
    logs.write(tmp_path / "x.log")
    assert (tmp_path / "x.log").read_text().count("\n") == 2
    table.setCurrentIndex(logs.model.index(0))
    assert whole.isVisible()
    assert not follow.isChecked()
    search.setText("no such thing")
    assert not table.isVisible()
    assert reads(logs, "Nothing matches")


def test_a_long_request_cuts_no_page_where_the_window_is_small(qtbot, tmp_path: Path) -> None:
    language.load(["ja"])
    scene = Scene(qtbot, tmp_path, busy())
    scene.arrive("a request that is long enough to push everything else out of its line, " * 3)
    scene.window.resize(760, 520)
    assert scene.window.size().toTuple() == (760, 520)
    for name in PAGES:
        scene.show_page(name, "e" if name == "executions" else "")
        settle()
        for area in seen(scene.window.page_named(name), QScrollArea):
            wanted, room = area.widget().minimumSizeHint().width(), area.viewport().width()
            assert wanted <= room, f"{name}: {area.accessibleName()}"


def test_the_window_is_no_larger_than_the_screen_and_comes_back_as_it_was(qtbot, tmp_path: Path) -> None:
    scene = Scene(qtbot, tmp_path, busy())
    room = scene.window.screen().availableGeometry()
    assert scene.window.width() <= room.width()
    assert scene.window.height() <= room.height()
    scene.window.resize(790, 550)
    scene.window.close()
    again = MainWindow(scene.desk)
    qtbot.addWidget(again)
    assert again.size().toTuple() == (790, 550)


def test_a_sentence_that_is_not_true_any_more_is_taken_back_and_no_other(scene: Scene) -> None:
    scene.window.say("There is no tray.", tone="neutral")
    scene.window.take_back("Something else.")
    assert not scene.window.banner.isHidden()
    scene.window.take_back("Something else.", "There is no tray.")
    assert scene.window.banner.isHidden()
