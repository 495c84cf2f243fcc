"""Settings, a call that is tried: what hands do, what eyes and screen readers meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QWidget
from pytestqt.qtbot import QtBot

from desktop.settings.policy_store import PolicyStore
from desktop.settings.policy_trial import Outlook, TrialReason, TrialWish
from desktop.widgets.choice import Choice
from desktop.windows.background import Background
from desktop.windows.trial_panel import SHOWN, TrialPanel
from tests.desktop.windows.stand_ins import shown_window
from tests.support.finding import button, click, named, reads, texts
from worker_core.snapshot import EngineSnapshot, SandboxView


class Judge:
    """Answers what it is told to, when it is told to."""

    def __init__(self) -> None:
        self.wishes: list[TrialWish] = []
        self.working: list[Coroutine[Any, Any, None]] = []
        self.policy = "one"

    def __call__(self, wish: TrialWish) -> Awaitable[Outlook]:
        async def answer() -> Outlook:
            self.wishes.append(wish)
            return self.outlook(wish)

        return answer()

    def outlook(self, wish: TrialWish) -> Outlook:
        reason = TrialReason(what=f"The command {wish.text}", rule="ask command = 'x'", line=7)
        return Outlook(outcome="ask", sentence=f"About {wish.text}.", reasons=(reason,), notes=("A note.",))

    def answer(self, number: int) -> None:
        with pytest.raises(StopIteration):
            self.working[number].send(None)


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def panel(judge: Judge, qtbot: QtBot) -> TrialPanel:
    background = Background(run=judge.working.append)
    made = TrialPanel(judge, background, policy=lambda: judge.policy, usual_id="q-1")
    qtbot.addWidget(made)
    made.show()
    return made


def test_what_is_typed_is_tried_with_all_that_stands_there(panel: TrialPanel, judge: Judge, qtbot: QtBot) -> None:
    named(panel, "The call to try", QLineEdit).setText("  git push ")
    named(panel, "Tool", QLineEdit).setText("shell2")
    named(panel, "Queue, agent or team", QLineEdit).setText("ops, other")
    qtbot.waitUntil(lambda: len(judge.working) == 1)
    judge.answer(0)
    assert judge.wishes == [
        TrialWish(kind="command", text="git push", tool="shell2", ids=("ops", "other"), policy="one")
    ]
    assert {"About git push.", "The command git push", "A note."} <= set(texts(panel))
    assert named(panel, "Ask: About git push.").isVisible()
    with qtbot.waitSignal(panel.line_wanted) as wanted:
        click(panel, "Line 7: ask command = 'x'")
    assert wanted.args == [7]
    named(panel, "The call to try", QLineEdit).clear()
    assert not reads(panel, "About git push.")


def test_an_answer_about_what_stands_there_no_more_is_not_shown(panel: TrialPanel, judge: Judge, qtbot: QtBot) -> None:
    field = named(panel, "The call to try", QLineEdit)
    for number, text in enumerate(("one", "two"), 1):
        field.setText(text)
        qtbot.waitUntil(lambda number=number: len(judge.working) == number)
    judge.answer(1)
    judge.answer(0)
    assert reads(panel, "About two.")
    assert not reads(panel, "About one.")


def test_it_is_tried_anew_where_the_policy_is_another(panel: TrialPanel, judge: Judge, qtbot: QtBot) -> None:
    panel.try_again()
    named(panel, "The call to try", QLineEdit).setText("ls")
    qtbot.waitUntil(lambda: len(judge.working) == 1)
    judge.answer(0)
    judge.policy = "two"
    panel.try_again()
    qtbot.waitUntil(lambda: len(judge.working) == 2)
    judge.answer(1)
    assert [one.policy for one in judge.wishes] == ["one", "two"]


def test_what_is_named_says_which_tool_is_usual(panel: TrialPanel, judge: Judge, qtbot: QtBot) -> None:
    tool, kind = named(panel, "Tool", QLineEdit), named(panel, "What the call names", Choice)
    assert named(panel, "Queue, agent or team", QLineEdit).placeholderText() == "q-1"
    usual = {}
    for value in ("command", "path", "host", "tool"):
        kind.choose(value)
        usual[value] = tool.placeholderText() if tool.isVisible() else ""
    assert usual == {"command": "shell", "path": "read_file", "host": "web_fetch", "tool": ""}
    tool.setText("left over")
    named(panel, "The call to try", QLineEdit).setText("python")
    qtbot.waitUntil(lambda: bool(judge.working))
    judge.answer(0)
    assert [(one.kind, one.text, one.tool) for one in judge.wishes] == [("tool", "python", "")]


def test_many_reasons_are_counted(panel: TrialPanel, judge: Judge, qtbot: QtBot) -> None:
    many = tuple(TrialReason(what=f"The path /{number}", rule="ask path = '*'") for number in range(SHOWN + 5))
    judge.outlook = lambda _: Outlook(outcome="deny", sentence="It does not run.", reasons=many)  # type: ignore[method-assign]
    named(panel, "The call to try", QLineEdit).setText("x")
    qtbot.waitUntil(lambda: bool(judge.working))
    judge.answer(0)
    assert sum(text.startswith("The path /") for text in texts(panel)) == SHOWN
    assert reads(panel, "5 more")


def _by_tab(window: QWidget, count: int) -> list[str]:
    """What the Tab key leads to, from what has the focus."""
    names = []
    for _ in range(count):
        at = window.focusWidget()
        names.append(at.accessibleName())
        QTest.keyClick(at, Qt.Key.Key_Tab)
    return names


def test_in_settings_it_tries_the_policy_as_it_is_typed_and_leads_into_it(qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[[ask]]\ncommand = "git push*"\nwhy = "It publishes."\n')
    snapshot = EngineSnapshot(sandbox=SandboxView(name="bubblewrap"))
    window = shown_window(
        qtbot,
        tmp_path,
        snapshot=snapshot,
        page="settings",
        policy=PolicyStore(file),
        background=Background(run=asyncio.run),
    )
    page = window.page_named("settings")
    panel, editor = page.findChild(TrialPanel), page.findChild(QPlainTextEdit)
    field = named(panel, "The call to try", QLineEdit)
    field.setText("git push origin main")
    qtbot.waitUntil(lambda: reads(panel, "You are asked first."))
    assert reads(panel, "The command git push origin main: It publishes.")
    line = "Line 1: ask command = 'git push*'"
    with qtbot.waitActive(window):
        window.activateWindow()
    named(panel, "What the call names", Choice).setFocus()
    assert _by_tab(window, 6) == [
        "What the call names", "The call to try", "Tool", "Queue, agent or team", line, "Policy",
    ]  # fmt: skip
    button(panel, line).click()
    assert editor.textCursor().blockNumber() == 0
    editor.setPlainText('[[deny]]\ncommand = "a*"\n[[deny]]\ncommand = "b*"\n')
    button(page, "Line 1: Deny, command = 'a*'").setFocus()
    assert _by_tab(window, 3)[1:] == ["Line 3: Deny, command = 'b*'", "What the call names"], "made late, met in place"
    editor.setPlainText('\n\n[[deny]]\ncommand = "git push*"\n')
    qtbot.waitUntil(lambda: reads(panel, "It does not run."))
    button(panel, "Line 3: deny command = 'git push*'").click()
    assert editor.textCursor().blockNumber() == 2
    editor.setPlainText("[[deny]\n")
    qtbot.waitUntil(lambda: any("cannot be read" in text for text in texts(panel)))
    assert file.read_text().startswith("[[ask]]"), "nothing is saved"
