from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import AsyncMock, call

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QComboBox, QLineEdit, QPlainTextEdit

from desktop.look.theme import Theme
from desktop.look.tokens import DARK, LIGHT
from desktop.widgets.approval_card import ApprovalCard
from desktop.widgets.conversation_view import MessageView
from desktop.widgets.pills import Pill
from desktop.windows.execution_detail import ExecutionDetail
from desktop.windows.main import MainWindow
from desktop.windows.setting_fields import shown_fields
from tests.desktop.windows.stand_ins import HOSTILE, a_desk, a_worker, busy, commands, lines, remembers, talk
from tests.desktop.windows.walking import interactive, nameless, unreachable
from tests.support.finding import button, choose, click, named, reads, seen, settle, ticks
from worker_core.checks.check import Check, ok
from worker_core.control_plane.models import ExecutionRecord
from worker_core.errors import KubiyaError
from worker_core.events import ExecutionEventPublished, ExecutionFinished
from worker_core.settings import Settings
from worker_core.snapshot import EngineSnapshot, EngineState, SdkView, StopMode

PAGES = ("overview", "executions", "queues", "logs", "health", "approvals", "notifications", "settings")


class Stage:
    """A window with everything around it."""

    def __init__(self, qtbot, folder: Path, snapshot: EngineSnapshot) -> None:
        self.worker = a_worker(snapshot)
        remembers(self.worker)
        self.desk = a_desk(folder, worker=self.worker)
        self.desk.diagnosis.test_connection.side_effect = self.test
        self.settings = self.desk.settings
        self.window = MainWindow(self.desk)
        qtbot.addWidget(self.window)
        self.window.show()

    async def test(self, heard: Callable[[Check], object]) -> list[Check]:
        found = [ok("control plane", "It answers in 12 ms.")]
        heard(found[0])
        return found

    def arrive(self, text: str = "words") -> None:
        self.window.take(busy(text))
        self.window.apply(talk(text))
        self.window.add_lines(lines(text))

    @property
    def detail(self) -> ExecutionDetail:
        """The right half of the page of executions."""
        return self.window.executions.detail


@pytest.fixture
def empty(qtbot, tmp_path: Path) -> Stage:
    return Stage(qtbot, tmp_path, EngineSnapshot())


@pytest.fixture
def stage(qtbot, tmp_path: Path) -> Stage:
    made = Stage(qtbot, tmp_path, busy())
    made.arrive()
    return made


def test_each_page_stands_with_nothing(empty: Stage) -> None:
    for name in PAGES:
        empty.window.show_page(name)
        assert empty.window.page == name
        assert not empty.window.grab().isNull(), name


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_each_page_stands_with_a_normal_day(stage: Stage, look: Theme, mode) -> None:
    """The scheme changes while the window is open."""
    look.set_mode(mode)
    palette = {"light": LIGHT, "dark": DARK}[mode]
    for name in PAGES:
        stage.window.show_page(name)
        picture = stage.window.grab().toImage()
        assert picture.pixelColor(stage.window.width() - 60, 8).name() == palette.window, name


@pytest.mark.parametrize("name", PAGES)
def test_each_page_stands_with_hostile_data(empty: Stage, name: str) -> None:
    empty.window.show_page(name)
    empty.arrive(HOSTILE)
    empty.window.show_page("executions", "e")
    empty.window.show_page(name)
    assert not empty.window.grab().isNull()
    assert empty.window.minimumSizeHint().width() <= 1180, "no text makes the window wider than the screen"


@pytest.mark.parametrize("filled", [False, True])
def test_every_control_has_a_name_and_a_role_and_can_be_reached(stage: Stage, empty: Stage, filled: bool) -> None:
    window = (stage if filled else empty).window
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


def test_each_page_is_walked_with_the_tab_key(stage: Stage, qtbot) -> None:
    with qtbot.waitActive(stage.window):
        stage.window.activateWindow()
    for name in PAGES:
        if name == "executions":
            stage.window.show_page("executions", "e")
        stage.window.show_page(name)
        assert unreachable(stage.window) == [], name


def test_pages_by_keyboard_and_the_way_to_search(stage: Stage, qtbot) -> None:
    window = stage.window
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


def test_a_slash_that_is_typed_is_a_slash(stage: Stage, qtbot) -> None:
    stage.window.activateWindow()
    stage.window.show_page("executions", "e")
    box = named(stage.window, "Message to the agent", QLineEdit)
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Slash)
    assert box.text() == "/"


def test_the_sidebar_is_walked_with_the_arrow_keys(stage: Stage, qtbot) -> None:
    window = stage.window
    with qtbot.waitActive(window):
        window.activateWindow()
    window.show_page("overview")
    settle()
    for expected in ("executions", "queues", "logs"):
        qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Down)
        assert window.page == expected


def test_buttons_ask_and_views_wait_for_the_truth(stage: Stage) -> None:
    page = stage.window.page_named("overview")
    click(page, "Stop")
    stage.worker.stop.assert_called_once_with(StopMode.DRAIN)
    choose(page, "Pause", "Until tomorrow")
    asked = stage.worker.pause.call_args.kwargs
    assert asked["reason"] == "Paused by you until tomorrow 08:00."
    assert asked["until"].astimezone().hour == 8
    assert reads(page, "Running")
    stage.window.take(EngineSnapshot(state=EngineState.PAUSED, reason="Paused by you."))
    assert reads(page, "Paused")
    assert button(page, "Resume").isVisible()


def test_trouble_is_a_sentence_above_the_page(stage: Stage) -> None:
    stage.worker.stop.side_effect = KubiyaError("The worker cannot stop now.")
    click(stage.window.page_named("overview"), "Stop")
    assert stage.window.banner.sentence == "The worker cannot stop now."
    assert not stage.window.banner.isHidden()
    stage.worker.stop.side_effect = RuntimeError("odd")
    click(stage.window.page_named("overview"), "Stop")
    assert stage.window.banner.sentence == "Could not stop the worker: odd."


def test_an_execution_is_steered_from_its_conversation(stage: Stage, tmp_path: Path) -> None:
    stage.window.show_page("executions", "e")
    box = named(stage.detail, "Message to the agent", QLineEdit)
    click(stage.detail, "Cancel this execution")
    assert commands(stage.worker) == [], "what cannot be taken back is asked about, and nothing is blocked meanwhile"
    click(stage.window.banner, "Cancel it")
    click(stage.detail, "Pause this execution")
    box.setText("  go on  ")
    click(stage.detail, "Send")
    assert commands(stage.worker) == [
        call.cancel_execution("e"),
        call.pause_execution("e"),
        call.send_message("e", "go on"),
    ]
    assert box.text() == ""
    stage.worker.send_message.side_effect = KubiyaError("No.")
    box.setText("kept")
    click(stage.detail, "Send")
    assert box.text() == "kept", "a message that was not sent is not lost"
    stage.detail.write(tmp_path / "out.md", "x")
    assert (tmp_path / "out.md").read_text() == "x"
    stage.detail.write(tmp_path / "no" / "out.md", "x")
    assert "cannot be written" in stage.window.banner.sentence


def test_an_approval_is_answered_in_the_conversation_and_on_its_page(stage: Stage) -> None:
    stage.window.show_page("executions", "e")
    [card] = seen(stage.detail, ApprovalCard)
    click(card, "Allow once")
    assert commands(stage.worker) == [call.answer_approval("a", allow=True, scope="once", seal="", values={})]
    stage.window.show_page("approvals")
    [other] = seen(stage.window.page_named("approvals"), ApprovalCard)
    stage.worker.answer_approval.side_effect = KubiyaError("Too late.")
    click(other, "Deny")
    assert button(other, "Deny").isEnabled(), "an answer that did not get through can be given again"
    answer = {"approval_id": "a", "answer": "deny"}
    stage.window.apply(
        [ExecutionEventPublished(execution_id="e", type="approval_answered", payload=answer, sequence=2)]
    )
    assert named(other, "Denied", Pill).isVisible()


def test_an_execution_that_was_not_seen_is_fetched(stage: Stage) -> None:
    stage.window.show_page("executions", "older")
    assert reads(stage.detail, "What was?")
    assert len(seen(stage.detail, MessageView)) == 2
    stage.window.show_page("executions", "gone")
    assert stage.window.banner.sentence == "The control plane has no such execution."


def test_what_events_do_not_tell_is_asked_once_per_status_while_somebody_looks(qtbot, tmp_path: Path) -> None:
    made = Stage(qtbot, tmp_path, EngineSnapshot())
    known = ExecutionRecord(id="e", entity_name="Archivist", usage={"total_tokens": 12})
    made.worker.get_execution = AsyncMock(return_value=known)
    made.window.hide()
    made.window.take(busy())
    made.worker.get_execution.assert_not_called()
    made.window.show()
    made.worker.get_execution.assert_called_once_with("e")
    made.window.take(busy("other"))
    one = made.desk.executions.get("e")
    assert one is not None
    assert (one.agent, one.tokens) == ("Archivist", 12)
    made.worker.get_execution.assert_called_once()
    made.window.apply([ExecutionFinished(execution_id="e", status="completed")])
    assert made.worker.get_execution.call_args_list == [call("e"), call("e")]


def test_links_are_opened_outside_and_only_web_addresses(stage: Stage) -> None:
    for address in ("file:///etc/passwd", "javascript:alert(1)", "smb://x", "https://example.com"):
        stage.detail.conversation.link_chosen.emit(address)
    stage.desk.outside.open_url.assert_called_once_with("https://example.com")


def test_what_ends_is_told_in_list_and_detail(stage: Stage) -> None:
    stage.window.show_page("executions", "e")
    assert [pill.text for pill in seen(stage.detail, Pill)].count("Failed") == 1, "a tool call of it"
    stage.window.apply([ExecutionFinished(execution_id="e", status="failed", error="No model.")])
    assert [pill.text for pill in seen(stage.detail, Pill)].count("Failed") == 2
    assert not named(stage.detail, "Message to the agent", QLineEdit).isVisible()


def test_health_is_sampled_only_while_it_is_seen(stage: Stage) -> None:
    page = stage.window.page_named("health")
    assert not page.clock.runs
    stage.window.show_page("health")
    assert page.clock.runs
    page.sample()
    page.sample()
    assert page.vitals.last("received") is not None
    stage.window.hide()
    assert not page.clock.runs


def test_health_shows_what_temporals_sdk_counts_and_whose_delay_it_is(stage: Stage) -> None:
    page = stage.window.page_named("health")
    stage.window.show_page("health")
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


def test_nothing_ticks_in_a_window_that_nobody_sees(stage: Stage) -> None:
    stage.window.show_page("executions", "e")
    assert ticks(stage.window)
    stage.window.hide()
    assert not ticks(stage.window)


def test_every_setting_is_there_and_described() -> None:
    secret = {"llm_api_key"}
    assert set(shown_fields()) == set(Settings.__dataclass_fields__) - secret
    assert all(one.title and one.meaning for one in shown_fields().values())


def test_a_setting_is_checked_with_the_workers_sentence(stage: Stage) -> None:
    stage.window.show_page("settings")
    line = stage.window.page_named("settings").rows["max_executions"]
    [field] = line.findChildren(QLineEdit)
    [reset] = [one for one in line.findChildren(QAbstractButton) if one.accessibleName().startswith("Reset ")]
    field.setText("0")
    field.editingFinished.emit()
    assert line.complaint == "max_executions is '0'; it must be 1 or more."
    field.setText("6")
    field.editingFinished.emit()
    assert line.complaint == ""
    assert stage.settings.settings().max_executions == 6
    assert reset.isVisible()
    reset.click()
    assert stage.settings.settings().max_executions is None


def test_preferences_the_connection_test_and_the_policy(stage: Stage, look: Theme) -> None:
    page = stage.window.page_named("settings")
    stage.window.show_page("settings")
    click(page, "Pause on metered networks")
    assert stage.settings.preferences.pause_on_metered_network
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
    assert stage.window.banner.sentence == "The policy is saved."
    assert "git push*" in stage.desk.policy.text()


def test_the_log_searches_follows_and_exports(stage: Stage, tmp_path: Path, qtbot) -> None:
    logs = stage.window.logs
    stage.window.show_page("logs")
    table, follow = named(logs, "Log lines", QAbstractItemView), button(logs, "Follow the end")
    search, whole = named(logs, "Search the log", QLineEdit), named(logs, "The whole line")
    stage.window.add_lines(lines("other", 500))
    bar = table.verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.triggerAction(bar.SliderAction.SliderPageStepSub)
    assert not follow.isChecked()
    place = bar.value()
    stage.window.add_lines(lines("more", 50))
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
