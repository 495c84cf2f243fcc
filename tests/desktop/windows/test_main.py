from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QPlainTextEdit,
)

from desktop.look.theme import Theme
from desktop.look.tokens import DARK
from desktop.settings.store import SettingsStore
from desktop.widgets.approval_card import ApprovalCard
from desktop.widgets.buttons import Switch
from desktop.windows.main import MainWindow
from desktop.windows.setting_fields import shown_fields
from tests.desktop.windows.stand_ins import HOSTILE, Archive, Bridge, Worker, busy, lines, run_now, talk
from tests.desktop.windows.walking import interactive, nameless, unreachable
from tests.support.engine import home
from worker_core.checks.check import Check, ok
from worker_core.errors import KubiyaError
from worker_core.events import ExecutionFinished
from worker_core.settings import Settings
from worker_core.snapshot import EngineSnapshot, EngineState, SdkView, StopMode

PAGES = ("overview", "executions", "queues", "logs", "health", "approvals", "notifications", "settings")


class Policy:
    kept = "allow"

    def text(self) -> str:
        return self.kept

    def check(self, text: str) -> str:
        return "" if "allow" in text else "A policy allows something."

    def save(self, text: str) -> None:
        self.kept = text


class Stage:
    """A window with everything around it."""

    def __init__(self, qtbot, folder: Path, snapshot: EngineSnapshot) -> None:
        self.worker, self.bridge = Worker(snapshot), Bridge()
        self.settings = SettingsStore(home(folder), environ={})
        self.opened: list[object] = []
        self.window = MainWindow(
            self.worker,
            self.bridge,
            self.settings,
            archive=Archive(),
            policy=Policy(),
            workspaces=folder,
            open_url=self.opened.append,
            open_folder=self.opened.append,
            run=run_now,
            test_connection=self.test,
        )
        qtbot.addWidget(self.window)
        self.window.show()

    async def test(self, heard: Callable[[Check], object]) -> list[Check]:
        found = [ok("control plane", "It answers in 12 ms.")]
        heard(found[0])
        return found

    def arrive(self, text: str = "words") -> None:
        self.bridge.snapshot_changed.emit(busy(text))
        self.bridge.events_arrived.emit(talk(text))
        self.bridge.logs_arrived.emit(lines(text))


@pytest.fixture
def empty(qtbot, tmp_path: Path) -> Stage:
    return Stage(qtbot, tmp_path, EngineSnapshot())


@pytest.fixture
def stage(qtbot, tmp_path: Path) -> Stage:
    made = Stage(qtbot, tmp_path, busy())
    made.arrive()
    return made


@pytest.mark.parametrize("name", PAGES)
def test_each_page_stands_with_nothing(empty: Stage, name: str) -> None:
    empty.window.show_page(name)
    assert empty.window.page == name
    assert not empty.window.grab().isNull()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_each_page_stands_with_a_normal_day(stage: Stage, look: Theme, name: str, mode) -> None:
    look.set_mode(mode)
    stage.window.show_page(name)
    picture = stage.window.grab().toImage()
    assert picture.pixelColor(stage.window.width() - 60, 8).name() == look.palette.window


@pytest.mark.parametrize("name", PAGES)
def test_each_page_stands_with_hostile_data(empty: Stage, name: str) -> None:
    empty.window.show_page(name)
    empty.arrive(HOSTILE)
    empty.window.open_execution("e")
    empty.window.show_page(name)
    assert not empty.window.grab().isNull()
    assert empty.window.minimumSizeHint().width() <= 1180, "no text makes the window wider than the screen"


def test_the_scheme_changes_while_the_window_is_open(stage: Stage, look: Theme) -> None:
    look.set_mode("dark")
    for name in PAGES:
        stage.window.show_page(name)
        shown = stage.window.grab().toImage().pixelColor(stage.window.width() - 60, 8).name()
        assert shown == DARK.window, name


@pytest.mark.parametrize("filled", [False, True])
def test_every_control_has_a_name_and_a_role_and_can_be_reached(stage: Stage, empty: Stage, filled: bool) -> None:
    window = (stage if filled else empty).window
    if filled:
        window.open_execution("e")
    assert nameless(window) == []
    buttons = [child for child in interactive(window) if isinstance(child, QAbstractButton)]
    off_the_path = [
        child.accessibleName()
        for child in buttons
        if not child.focusPolicy() & Qt.FocusPolicy.TabFocus and not child.autoExclusive()  # those: arrow keys
    ]
    assert off_the_path == []


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_walked_with_the_tab_key(stage: Stage, qtbot, name: str) -> None:
    with qtbot.waitActive(stage.window):
        stage.window.activateWindow()
    if name == "executions":
        stage.window.open_execution("e")
    stage.window.show_page(name)
    assert unreachable(stage.window) == []


def test_pages_by_keyboard_and_the_way_to_search(stage: Stage, qtbot) -> None:
    window = stage.window
    window.activateWindow()
    for number, name in enumerate(PAGES, start=1):
        qtbot.keyClick(window, getattr(Qt.Key, f"Key_{number}"), Qt.KeyboardModifier.ControlModifier)
        assert window.page == name
    window.show_page("logs")
    qtbot.keyClick(window, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert window.focusWidget() is window.logs._search
    window.show_page("health")
    qtbot.keyClick(window, Qt.Key.Key_Slash)
    assert window.page == "executions"
    assert window.focusWidget() is window.executions._search


def test_a_slash_that_is_typed_is_a_slash(stage: Stage, qtbot) -> None:
    stage.window.activateWindow()
    stage.window.open_execution("e")
    box = stage.window.executions.detail._input
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Slash)
    assert box.text() == "/"


def test_the_sidebar_is_walked_with_the_arrow_keys(stage: Stage, qtbot) -> None:
    window = stage.window
    window.show_page("overview")
    for expected in ("executions", "queues", "logs"):
        qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Down)
        assert window.page == expected


def test_buttons_ask_and_views_wait_for_the_truth(stage: Stage) -> None:
    state = stage.window.page_named("overview")._state
    state._stop.click()
    assert stage.worker.asked[-1] == ("stop", StopMode.DRAIN, {})
    state._pause_for(None)
    name, asked = stage.worker.asked[-1]
    assert (name, asked["reason"]) == ("pause", "Paused by you until tomorrow 08:00.")
    assert asked["until"].astimezone().hour == 8
    assert state._state.text() == "Running"
    stage.bridge.snapshot_changed.emit(EngineSnapshot(state=EngineState.PAUSED, reason="Paused by you."))
    assert state._state.text() == "Paused"
    assert not state._resume.isHidden()


def test_trouble_is_a_sentence_above_the_page(stage: Stage) -> None:
    stage.worker.trouble = KubiyaError("The worker cannot stop now.")
    stage.window.page_named("overview")._state._stop.click()
    assert stage.window.banner.sentence == "The worker cannot stop now."
    assert not stage.window.banner.isHidden()
    stage.worker.trouble = RuntimeError("odd")
    stage.window.page_named("overview")._state._stop.click()
    assert stage.window.banner.sentence == "Could not stop the worker: odd."


def test_an_execution_is_steered_from_its_conversation(stage: Stage, tmp_path: Path) -> None:
    stage.window.open_execution("e")
    detail = stage.window.executions.detail
    detail._cancel.click()
    assert stage.worker.asked == [], "what cannot be taken back is asked about, and nothing is blocked meanwhile"
    stage.window.banner._button.click()
    detail._pause.click()
    detail._input.setText("  go on  ")
    detail._send.click()
    assert [asked[0] for asked in stage.worker.asked] == ["cancel_execution", "pause_execution", "send_message"]
    assert stage.worker.asked[-1][1:3] == ("e", "go on")
    assert detail._input.text() == ""
    stage.worker.trouble = KubiyaError("No.")
    detail._input.setText("kept")
    detail._send.click()
    assert detail._input.text() == "kept", "a message that was not sent is not lost"
    detail.write(tmp_path / "out.md", "x")
    assert (tmp_path / "out.md").read_text() == "x"
    detail.write(tmp_path / "no" / "out.md", "x")
    assert "cannot be written" in stage.window.banner.sentence


def test_an_approval_is_answered_in_the_conversation_and_on_its_page(stage: Stage) -> None:
    stage.window.open_execution("e")
    card = stage.window.executions.detail.conversation._views["a"]
    card._allow.click()
    answer = {"allow": True, "scope": "once", "seal": "", "values": {}}
    assert stage.worker.asked == [("answer_approval", "a", answer)]
    stage.window.show_page("approvals")
    (other,) = stage.window.page_named("approvals").findChildren(ApprovalCard)
    stage.worker.trouble = KubiyaError("Too late.")
    other._deny.click()
    assert other._deny.isEnabled(), "an answer that did not get through can be given again"
    stage.bridge.events_arrived.emit(
        [
            talk()[-1].__class__(
                execution_id="e", type="approval_answered", payload={"approval_id": "a", "answer": "deny"}, sequence=2
            )
        ]
    )
    assert other._pill.text == "Denied"


def test_an_execution_that_was_not_seen_is_fetched(stage: Stage) -> None:
    stage.window.open_execution("older")
    detail = stage.window.executions.detail
    assert detail._title.text() == "What was?"
    assert len(detail.conversation._views) == 2
    stage.window.open_execution("gone")
    assert stage.window.banner.sentence == "The control plane has no such execution."


def test_what_events_do_not_tell_is_asked_once_per_status_while_somebody_looks(qtbot, tmp_path: Path) -> None:
    made = Stage(qtbot, tmp_path, EngineSnapshot())
    asked: list[str] = []

    async def get_execution(execution_id: str) -> dict[str, object]:
        asked.append(execution_id)
        return {"entity_name": "Archivist", "usage": {"total_tokens": 12}}

    made.window.desk.archive.get_execution = get_execution
    made.window.hide()
    made.bridge.snapshot_changed.emit(busy())
    assert asked == []
    made.window.show()
    assert asked == ["e"]
    made.bridge.snapshot_changed.emit(busy("other"))
    one = made.window.store.get("e")
    assert (asked, one.agent, one.tokens) == (["e"], "Archivist", 12)
    made.bridge.events_arrived.emit([ExecutionFinished(execution_id="e", status="completed")])
    assert asked == ["e", "e"]


def test_links_are_opened_outside_and_only_web_addresses(stage: Stage) -> None:
    detail = stage.window.executions.detail
    for address in ("file:///etc/passwd", "javascript:alert(1)", "smb://x", "https://example.com"):
        detail._open_link(address)
    assert stage.opened == ["https://example.com"]


def test_what_ends_is_told_in_list_and_detail(stage: Stage) -> None:
    stage.window.open_execution("e")
    stage.bridge.events_arrived.emit([ExecutionFinished(execution_id="e", status="failed", error="No model.")])
    assert stage.window.executions.detail._status.text == "Failed"
    assert stage.window.executions.detail._composer.isHidden()


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
        delay = page._gauges["delay"]._name.text()
        assert delay == ("Delay of the event loop" if pid == os.getpid() else "Delay of this window's loop")
    assert [page.vitals.last(name) for name in ("activity_slots", "workflow_slots", "cached")] == [3, 1, 7]
    assert page.vitals.last("polls") == page.vitals.last("polls_empty")
    assert (page.vitals.last("polls") or 0) > 0
    assert page._gauges["polls"]._note.text() == "2 pollers"


def test_nothing_ticks_in_a_window_that_nobody_sees(stage: Stage) -> None:
    from PySide6.QtCore import QTimer

    stage.window.open_execution("e")
    stage.window.hide()
    assert [timer for timer in stage.window.findChildren(QTimer) if timer.isActive()] == []


def test_every_setting_is_there_and_described() -> None:
    secret = {"llm_api_key"}
    assert set(shown_fields()) == set(Settings.__dataclass_fields__) - secret
    assert all(one.title and one.meaning for one in shown_fields().values())


def test_a_setting_is_checked_with_the_workers_sentence(stage: Stage) -> None:
    page = stage.window.page_named("settings")
    line = page.rows["max_executions"]
    line._control.setText("0")
    line._control.editingFinished.emit()
    assert line.complaint == "max_executions is '0'; it must be 1 or more."
    line._control.setText("6")
    line._control.editingFinished.emit()
    assert line.complaint == ""
    assert stage.settings.settings().max_executions == 6
    assert not line._reset.isHidden()
    line._reset.click()
    assert stage.settings.settings().max_executions is None


def test_preferences_the_connection_test_and_the_policy(stage: Stage, look: Theme) -> None:
    page = stage.window.page_named("settings")
    stage.window.show_page("settings")
    switch = next(one for one in page.findChildren(Switch) if one.accessibleName() == "Pause on metered networks")
    switch.click()
    assert stage.settings.preferences.pause_on_metered_network
    page._appear("dark")
    assert look.palette is DARK
    button = next(one for one in page.findChildren(QAbstractButton) if one.text() == "Test the connection")
    button.click()
    assert any(label.text() == "It answers in 12 ms." for label in page.findChildren(type(page.title)))
    editor = page.findChild(QPlainTextEdit)
    save = next(one for one in page.findChildren(QAbstractButton) if one.text() == "Save the policy")
    editor.setPlainText("nothing")
    assert not save.isEnabled()
    editor.setPlainText("allow more")
    save.click()
    assert stage.window.banner.sentence == "The policy is saved."


def test_the_log_searches_follows_and_exports(stage: Stage, tmp_path: Path, qtbot) -> None:
    logs = stage.window.logs
    stage.window.show_page("logs")
    stage.bridge.logs_arrived.emit(lines("other", 500))
    bar = logs._list.verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.triggerAction(bar.SliderAction.SliderPageStepSub)
    assert not logs._follow.isChecked()
    place = bar.value()
    stage.bridge.logs_arrived.emit(lines("more", 50))
    assert bar.value() == place, "what arrives does not pull the reader away"
    logs._follow.click()
    assert bar.value() == bar.maximum()
    logs._search.setText("words [01]")
    assert logs.model.rowCount() == 2
    logs.write(tmp_path / "x.log")
    assert (tmp_path / "x.log").read_text().count("\n") == 2
    logs._list.setCurrentIndex(logs.model.index(0))
    assert not logs._whole.isHidden()
    assert not logs._follow.isChecked()
    logs._search.setText("no such thing")
    assert logs._either.currentWidget() is logs._none
