"""The overview, the first thing that is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import call

from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from desktop.widgets.approval_card import ApprovalCard
from desktop.widgets.pills import Pill
from desktop.widgets.sandbox_card import SandboxCard
from desktop.windows.overview import Figure
from tests.desktop.windows.stand_ins import busy, commands, shown_window
from tests.support.finding import click, named, reads, seen
from tests.support.snapshots import asking
from worker_core.events import ExecutionEventPublished
from worker_core.snapshot import SandboxView


def test_a_playground_says_which_model_it_has(qtbot: QtBot, tmp_path: Path) -> None:
    window = shown_window(qtbot, tmp_path, snapshot=busy(), playground_model=lambda: "qwen3:8b (Ollama)")
    said = [label.text() for label in window.findChildren(QLabel) if label.isVisible()]
    assert "A playground on this machine. Its model: qwen3:8b (Ollama)." in said


def test_any_other_worker_says_its_version(qtbot: QtBot, tmp_path: Path) -> None:
    window = shown_window(qtbot, tmp_path, snapshot=busy())
    said = [label.text() for label in window.findChildren(QLabel) if label.isVisible()]
    assert "Kubiya Worker 1.0 on this machine" in said


def test_turns_are_counted_and_beside_them_executions_that_ended(qtbot: QtBot, tmp_path: Path) -> None:
    window = shown_window(qtbot, tmp_path, snapshot=replace(busy(), turns_ended=70))
    done = named(window.page_named("overview"), "Turns done since start", Figure)
    said = []
    for ended in (0, 1, 12):
        window.take(replace(busy(), turns_ended=70, tasks_processed=ended))
        said.append(done.accessibleDescription())
    assert said == ["70", "70 1 execution ended", "70 12 executions ended"]


def test_a_missing_sandbox_is_asked_about_and_stays_visible(qtbot: QtBot, tmp_path: Path) -> None:
    asked = replace(busy(), sandbox=SandboxView(name="asked", reason="There is none for this system."))
    window = shown_window(qtbot, tmp_path, snapshot=asked)
    page = window.page_named("overview")
    [card] = seen(page, SandboxCard)
    assert reads(page, "There is none for this system.")
    click(card, "Run without")
    assert commands(window.desk.worker) == [call.answer_sandbox(allow=True)]
    click(card, "How to repair it")
    window.desk.outside.open_url.assert_called_once()  # type: ignore[attr-defined]
    window.take(replace(busy(), sandbox=SandboxView(name="none", reason="Tools run without a sandbox.")))
    assert not seen(page, SandboxCard)
    assert "Tools run without a sandbox" in [pill.text for pill in seen(page, Pill)]


def test_a_question_is_answered_where_it_is_seen_first(qtbot: QtBot, tmp_path: Path) -> None:
    window = shown_window(qtbot, tmp_path, snapshot=busy())
    page, elsewhere = window.page_named("overview"), window.page_named("approvals")
    assert not seen(page, ApprovalCard)
    window.take(asking("shell"))
    [card] = seen(page, ApprovalCard)
    click(card, "Allow once")
    assert commands(window.desk.worker) == [
        call.answer_approval("a0", allow=True, scope="once", seal="", values={}, rule="")
    ]
    answer = {"approval_id": "a0", "answer": "allow"}
    window.apply([ExecutionEventPublished(execution_id="e", type="approval_answered", payload=answer, sequence=2)])
    assert not seen(page, ApprovalCard), "what is answered needs nobody"
    assert len(seen(elsewhere, ApprovalCard)) == 1


def test_the_longest_waiting_questions_are_on_top_and_the_others_a_click_away(qtbot: QtBot, tmp_path: Path) -> None:
    window = shown_window(qtbot, tmp_path, snapshot=busy())
    page = window.page_named("overview")
    window.take(asking("shell", "python", "docker", "http", "write_file"))
    kept = seen(page, ApprovalCard)
    assert [card.approval.tool for card in kept] == ["shell", "python", "docker"]
    click(page, "2 more")
    assert window.page == "approvals"
    answer = {"approval_id": "a0", "answer": "deny"}
    window.apply([ExecutionEventPublished(execution_id="e", type="approval_answered", payload=answer, sequence=2)])
    shown = seen(page, ApprovalCard)
    assert [card.approval.tool for card in shown] == ["python", "docker", "http"]
    assert shown[0] is kept[1], "a card that stays is not made anew: somebody may be reading it"
