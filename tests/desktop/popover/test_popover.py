"""The popover itself: what it says, what it asks for, how it opens and closes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import call

import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from desktop.notices.action import Action
from desktop.popover.place import HIGHEST
from desktop.popover.popover import Popover
from desktop.tray.facts import TrayFacts
from desktop.tray.picture import reason, status
from desktop.widgets.approval_card import ApprovalCard
from desktop.widgets.lists import RowList
from desktop.widgets.pills import Pill
from desktop.widgets.sandbox_card import SandboxCard
from desktop.windows.desk import Desk
from tests.desktop.windows.stand_ins import a_desk, a_worker, busy, commands, talk
from tests.support.finding import button, click, named, offered, reads, seen, settle, texts, ticks
from tests.support.snapshots import asking, execution, snapshot
from worker_core.errors import KubiyaError
from worker_core.events import ExecutionEventPublished
from worker_core.snapshot import EngineSnapshot, EngineState, QuestionPart, SandboxView


class Lock(QObject):
    """A screen that is locked until it is not."""

    unlocked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.locked = False

    def is_locked(self) -> bool:
        return self.locked


class Stage:
    """A desk, and the popover on it, open at the foot of the screen."""

    def __init__(self, qtbot: QtBot, folder: Path) -> None:
        self.desk: Desk = a_desk(folder, worker=a_worker(snapshot()))
        self.lock = Lock()
        self.popover = Popover(self.desk, screen_lock=self.lock, pointer=self._pointer)
        self.asked: list[tuple[Action, str]] = []
        self.popover.chosen.connect(lambda *what: self.asked.append(what))
        self._qtbot = qtbot
        qtbot.addWidget(self.popover)

    def _pointer(self) -> QPoint:
        return self.popover.screen().geometry().center() + QPoint(0, self.popover.screen().geometry().height() // 2 - 9)

    def show(self, said: EngineSnapshot | None = None) -> Popover:
        self.take(said or snapshot())
        self.popover.open_at(QRect(), self.facts)
        # Offscreen, a window that was hidden still has the focus, and is not told again.
        self._qtbot.waitUntil(lambda: QGuiApplication.focusWindow() is self.popover.windowHandle())
        return self.popover

    def take(self, said: EngineSnapshot) -> None:
        self.facts = TrayFacts(snapshot=said)
        self.desk.executions.take(said)
        self.popover.take(self.facts)
        settle()


@pytest.fixture
def stage(qtbot: QtBot, tmp_path: Path) -> Stage:
    return Stage(qtbot, tmp_path)


def laid_out(popover: Popover) -> None:
    """Until nothing in it takes another place by itself."""
    before: list[QRect] = []
    while (now := [one.geometry() for one in popover.findChildren(QWidget)]) != before:
        before = now
        settle()
        QApplication.processEvents()


def working(count: int, *, status: str = "running") -> EngineSnapshot:
    many = tuple(execution(number, status=status) for number in range(count))
    return replace(snapshot(), executions=many)


@pytest.mark.parametrize(
    "said",
    [snapshot(), snapshot(EngineState.STOPPED), asking("shell"), working(2), snapshot(EngineState.PAUSED)],
    ids=lambda said: f"{said.state.value} {len(said.approvals)} {len(said.executions)}",
)
def test_it_says_what_icon_and_tooltip_say(stage: Stage, said: EngineSnapshot) -> None:
    popover = stage.show(said)
    assert reads(popover, status(stage.facts))
    assert not reason(stage.facts) or reads(popover, reason(stage.facts))
    assert status(stage.facts) in popover.accessibleName()


@pytest.mark.parametrize(
    ("state", "buttons"),
    [
        (EngineState.RUNNING, ["Pause", "Stop"]),
        (EngineState.PAUSED, ["Resume", "Pause", "Stop"]),
        (EngineState.STOPPED, ["Start"]),
        (EngineState.FAILED, ["Try again"]),
        (EngineState.DRAINING, ["Stop now, cancel what runs"]),
    ],
)
def test_it_has_the_buttons_of_the_state(stage: Stage, state: EngineState, buttons: list[str]) -> None:
    popover = stage.show(snapshot(state))
    shown = [one.text() for one in seen(popover, QAbstractButton) if one.text()]
    assert shown == [*buttons, "New task", "Open window"]


def test_what_is_pressed_is_asked_for_and_what_leads_away_closes_it(stage: Stage) -> None:
    popover = stage.show()
    assert offered(popover, "Pause")[1] == "For 1 hour"
    click(popover, "Stop")
    assert popover.isVisible()
    for name in ("New task", "Open window", "Settings"):
        stage.show()
        click(popover, name)
        assert not popover.isVisible()
    assert stage.asked == [
        (Action.STOP, ""), (Action.NEW_TASK, ""), (Action.OPEN, ""), (Action.SETTINGS, ""),
    ]  # fmt: skip


def test_a_question_is_answered_in_it_and_a_card_stays_while_others_come(stage: Stage) -> None:
    popover = stage.show(asking("shell"))
    [first] = seen(popover, ApprovalCard)
    stage.take(asking("shell", "python", "docker", "http"))
    shown = seen(popover, ApprovalCard)
    assert shown[0] is first
    assert [card.approval.tool for card in shown] == ["shell", "python", "docker"]
    click(popover, "1 more")
    assert stage.asked == [(Action.OPEN_APPROVAL, "")]
    stage.show(asking("shell", "python", "docker", "http"))
    click(first, "Allow once")
    assert commands(stage.desk.worker) == [
        call.answer_approval("a0", allow=True, scope="once", seal="", values={}, rule="")
    ]
    answer = {"approval_id": "a0", "answer": "allow"}
    stage.desk.executions.apply(
        [ExecutionEventPublished(execution_id="e", type="approval_answered", payload=answer, sequence=2)]
    )
    assert [card.approval.tool for card in seen(popover, ApprovalCard)] == ["python", "docker", "http"]
    click(seen(popover, ApprovalCard)[0], "Show conversation")
    assert stage.asked[-1] == (Action.OPEN_EXECUTION, "e")


def test_what_is_not_shown_whole_cannot_be_allowed(stage: Stage) -> None:
    asked = asking("shell")
    parts = (QuestionPart(name="command", text="ls", left_out=1240),)
    long = replace(asked, approvals=(replace(asked.approvals[0], parts=parts, left_out=1240),))
    [card] = seen(stage.show(long), ApprovalCard)
    assert not button(card, "Allow once").isEnabled()
    assert button(card, "Read it whole").isVisible()


def test_an_answer_that_fails_is_said_in_it(stage: Stage) -> None:
    stage.desk.worker.answer_approval.side_effect = KubiyaError("Nobody asks this any more.")  # type: ignore[attr-defined]
    popover = stage.show(asking("shell"))
    click(popover, "Allow once")
    assert reads(popover, "Nobody asks this any more.")
    assert button(popover, "Allow once").isEnabled()


def test_a_locked_screen_shows_no_text_of_an_agent(stage: Stage) -> None:
    stage.lock.locked = True
    popover = stage.show(asking("rm everything"))
    stage.desk.executions.apply(talk("a secret"))
    settle()
    assert not [text for text in texts(popover) if "rm everything" in text or "secret" in text]
    assert not seen(popover, ApprovalCard)
    assert not [one for one in seen(popover, RowList) if one.isVisible()]
    assert reads(popover, "Unlock the screen to read it.")
    stage.lock.locked = False
    stage.lock.unlocked.emit()
    assert "rm everything" in [card.approval.tool for card in seen(popover, ApprovalCard)]


def test_a_missing_sandbox_is_asked_about(stage: Stage) -> None:
    popover = stage.show(replace(snapshot(), sandbox=SandboxView(name="asked", reason="There is none.")))
    [card] = seen(popover, SandboxCard)
    click(card, "Do not start tools")
    assert commands(stage.desk.worker) == [call.answer_sandbox(allow=False)]
    stage.take(replace(snapshot(), sandbox=SandboxView(name="none", reason="Without.")))
    assert not seen(popover, SandboxCard)
    assert "Tools run without a sandbox" in [pill.text for pill in seen(popover, Pill)]


def test_tasks_have_a_row_each_and_the_others_are_a_click_away(stage: Stage) -> None:
    popover = stage.show(working(17))
    [rows] = seen(popover, RowList)
    assert rows.model().rowCount() == 5
    click(popover, "12 more")
    assert not popover.isVisible()
    stage.show(working(17))
    second = rows.model().index(1, 0)
    QTest.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=rows.visualRect(second).center())
    assert not popover.isVisible()
    assert [action for action, _ in stage.asked] == [Action.OPEN_EXECUTION] * 2
    assert stage.asked[1][1].endswith("-aaaa")


def test_where_nothing_waits_and_nothing_runs_it_says_so(stage: Stage) -> None:
    popover = stage.show(snapshot(EngineState.STOPPED))
    assert reads(popover, "Nothing waits for you, and nothing runs.")
    stage.take(working(1))
    assert not reads(popover, "Nothing waits for you, and nothing runs.")


def test_it_is_as_high_as_what_it_has_up_to_a_part_of_the_screen(stage: Stage) -> None:
    popover = stage.show()
    small, foot = popover.height(), popover.geometry().bottom()
    stage.take(working(2))
    assert popover.height() > small
    assert popover.geometry().bottom() == foot, "it grows away from the panel"
    stage.take(asking(*(f"tool {number}" for number in range(9))))
    room = popover.screen().availableGeometry()
    assert popover.height() == round(room.height() * HIGHEST)
    assert room.contains(popover.geometry())
    assert popover.findChild(QScrollArea).verticalScrollBar().maximum() > 0


def test_nothing_moves_from_under_the_pointer(stage: Stage) -> None:
    popover = stage.show(asking("shell"))
    allow = button(popover, "Allow once")
    laid_out(popover)
    popover.setAttribute(Qt.WidgetAttribute.WA_UnderMouse)
    before, at = popover.geometry(), allow.mapToGlobal(QPoint())
    stage.take(asking("shell", "python", "docker"))
    laid_out(popover)
    assert popover.geometry() == before
    assert allow.mapToGlobal(QPoint()) == at
    popover.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, False)
    QApplication.sendEvent(popover, QEvent(QEvent.Type.Leave))
    assert popover.height() > before.height()


def test_escape_closes_it(stage: Stage) -> None:
    popover = stage.show()
    QTest.keyClick(popover, Qt.Key.Key_Escape)
    assert not popover.isVisible()
    assert popover.left is None


def test_a_focus_that_goes_closes_it(stage: Stage, qtbot: QtBot) -> None:
    popover = stage.show()
    other = QWidget()
    qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    qtbot.waitUntil(lambda: not popover.isVisible())
    assert popover.left is not None, "the next click may be the one that took the focus"


@pytest.mark.qt_log_ignore("does not support (grabbing the keyboard|raise)")
def test_a_menu_of_its_own_does_not_close_it(stage: Stage, qtbot: QtBot) -> None:
    popover = stage.show()
    menu = named(popover, "Pause", QAbstractButton).menu()  # type: ignore[attr-defined]
    menu.popup(popover.pos())
    qtbot.waitUntil(menu.isVisible)
    assert popover.isVisible()
    menu.close()


def test_the_keyboard_leads_through_it_as_it_is_read(stage: Stage, qtbot: QtBot) -> None:
    popover = stage.show(busy())
    stage.take(replace(asking("shell"), executions=busy().executions))  # this comes when the rest is there
    walked = []
    while True:
        QTest.keyClick(popover.focusWidget() or popover, Qt.Key.Key_Tab)
        at = popover.focusWidget()
        assert at is not None
        if at in walked:
            break
        walked.append(at)
    names = [one.accessibleName() for one in walked]
    assert all(names)
    wanted = ["Settings", "Pause", "Stop", "Allow once", "Deny", "Show conversation", "Executions", "New task"]
    assert [name for name in names if name in wanted] == wanted
    assert names[-1] == "Open window"
    walked[-1].setFocus()
    QTest.keyClick(walked[-1], Qt.Key.Key_Return)
    assert stage.asked == [(Action.OPEN, "")]


def test_opened_nothing_is_about_to_be_allowed_by_a_key(stage: Stage) -> None:
    popover = stage.show(asking("shell"))
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Space, Qt.Key.Key_Enter):
        QTest.keyClick(popover, key)
    assert commands(stage.desk.worker) == []


def test_closed_it_rests_and_opened_again_it_is_up_to_date(stage: Stage) -> None:
    popover = stage.show()
    assert ticks(popover)
    QTest.keyClick(popover, Qt.Key.Key_Escape)
    assert not ticks(popover)
    stage.take(asking("shell"))
    stage.show(asking("shell"))
    assert [card.approval.tool for card in seen(popover, ApprovalCard)] == ["shell"]


def test_buttons_that_stay_are_not_made_anew(stage: Stage) -> None:
    popover = stage.show()
    stop = button(popover, "Stop")
    stage.take(working(1))
    assert button(popover, "Stop") is stop
    stop.setFocus()
    stage.take(snapshot(EngineState.STOPPED))
    at = popover.focusWidget()
    assert at is not None
    assert at.accessibleName() == "Start", "the keyboard stays where it was"
