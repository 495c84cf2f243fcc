"""An execution in the window: its conversation, and what the person says, asks for and decides there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import AsyncMock, call

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QFileDialog, QPlainTextEdit, QWidget

from desktop.models.conversation_items import ToolCall
from desktop.widgets.approval_card import ApprovalCard
from desktop.widgets.buttons import IconButton
from desktop.widgets.changes_card import ChangesCard
from desktop.widgets.composer import Composer
from desktop.widgets.conversation_view import SHOWN, ConversationView, MessageView
from desktop.widgets.files_card import MOST_SHOWN, FilesCard
from desktop.widgets.lists import FactTable
from desktop.widgets.markdown import Prose
from desktop.widgets.pills import Pill
from desktop.widgets.text import ElidedLabel
from desktop.widgets.timeline import Timeline
from desktop.widgets.tool_card import ToolCard
from tests.desktop.windows.stand_ins import Scene, busy, commands
from tests.support.finding import button, click, named, reads, seen, ticks
from worker_core.checkouts.changes import ChangedFile, Changes
from worker_core.checkouts.record import Checkout
from worker_core.control_plane.models import ExecutionRecord
from worker_core.errors import KubiyaError
from worker_core.events import ExecutionEventPublished, ExecutionFinished, ModelCalled
from worker_core.snapshot import EngineSnapshot
from worker_core.workspaces.artefacts import LeftFiles
from worker_core.workspaces.workspace import Artefact, Workspace


def test_the_box_grows_with_its_lines_and_a_line_is_begun_with_shift(scene: Scene, qtbot) -> None:
    scene.window.show_page("executions", "e")
    box = named(scene.detail, "Message to the agent", Composer)
    low = box.height()
    qtbot.keyClicks(box, "first")
    qtbot.keyClick(box, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(box, "second")
    assert box.height() > low
    assert commands(scene.worker) == []
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert commands(scene.worker) == [call.send_message("e", "first\nsecond")]
    box.setPlainText("line\n" * 500)
    assert box.height() < 12 * low


def test_what_the_person_wrote_is_shown_as_it_was_written(scene: Scene) -> None:
    scene.window.show_page("executions", "e")
    asked = "first\n\n  *second*  <b>third</b>"
    scene.window.apply(
        [
            ExecutionEventPublished(
                execution_id="e", type="message", payload={"role": "user", "content": asked}, sequence=9
            )
        ]
    )
    [shown] = said_last(scene.detail).findChildren(Prose)
    assert shown.toPlainText() == asked


def said_last(detail: QWidget) -> MessageView:
    return seen(detail, MessageView)[-1]


def test_an_execution_is_steered_from_its_conversation(scene: Scene, tmp_path: Path) -> None:
    scene.window.show_page("executions", "e")
    box = named(scene.detail, "Message to the agent", Composer)
    click(scene.detail, "Cancel this execution")
    assert commands(scene.worker) == [], "what cannot be taken back is asked about, and nothing is blocked meanwhile"
    click(scene.window.banner, "Cancel it")
    click(scene.detail, "Pause this execution")
    box.setPlainText("  go on\n  with it  ")
    click(scene.detail, "Send")
    assert commands(scene.worker) == [
        call.cancel_execution("e"),
        call.pause_execution("e"),
        call.send_message("e", "go on\n  with it"),
    ]
    assert box.text == ""
    own = said_last(scene.detail)
    assert reads(own, "You")
    assert not reads(own, "Sending…")
    scene.worker.send_message.side_effect = KubiyaError("No.")
    box.setPlainText("kept")
    click(scene.detail, "Send")
    own = said_last(scene.detail)
    assert reads(own, "Not sent."), "a message that was not sent is not lost"
    assert scene.window.banner.sentence == "No."
    scene.worker.send_message.side_effect = None
    click(own, "Try again")
    assert commands(scene.worker)[-1] == call.send_message("e", "kept")
    assert not reads(own, "Not sent.")
    scene.detail.write(tmp_path / "out.md", "x")
    assert (tmp_path / "out.md").read_text() == "x"
    scene.detail.write(tmp_path / "no" / "out.md", "x")
    assert "cannot be written" in scene.window.banner.sentence


def test_what_an_execution_changed_in_a_copy_is_shown_merged_and_discarded(scene: Scene) -> None:
    copies = scene.desk.copies
    checkout = Checkout(execution_id="e", repository="/home/me/repo", base="0" * 40, branch="kubiya/e")
    files = (ChangedFile(path="a\u202etxt", added=1, removed=2), ChangedFile(path="b.png", added=None, removed=None))
    found = Changes(checkout=checkout, files=files, diff="+one\n", seal="5ea1")
    copies.find = lambda execution_id: checkout if execution_id == "e" else None
    copies.changes.return_value = found
    copies.merge.return_value = "Merged into /home/me/repo."
    copies.discard.return_value = "Discarded."
    scene.window.show_page("executions", "e")
    scene.detail.refresh()
    click(scene.detail, "Show what it changed")
    [shown] = [one for one in seen(scene.detail, QPlainTextEdit) if one.accessibleName() == "What was changed"]
    assert "+1 -2" in shown.toPlainText()
    assert "b.png" in shown.toPlainText()
    assert "\u202e" not in shown.toPlainText(), "what nobody would see is written out"
    click(scene.detail, "Merge")
    assert copies.merge.call_args == call("e", seal="5ea1")
    assert scene.window.banner.sentence == "Merged into /home/me/repo."
    assert not seen(scene.detail, ChangesCard)
    click(scene.detail, "Show what it changed")
    click(scene.detail, "Discard")
    copies.discard.assert_not_called()
    click(scene.window.banner, "Discard them")
    copies.discard.assert_called_once_with("e")
    copies.changes.return_value = replace(found, files=(), diff="")
    click(scene.detail, "Show what it changed")
    assert not button(scene.detail, "Merge").isEnabled()
    copies.changes.side_effect = KubiyaError("It is gone.")
    click(scene.detail, "Show what it changed")
    assert scene.window.banner.sentence == "It is gone."


def test_the_files_that_an_execution_left_are_listed_looked_at_and_saved(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "open", lambda _: None)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    names = ("chart.png", "<b>run\u202e<b>.sh", *(f"more/{number}.md" for number in range(MOST_SHOWN)))
    files = tuple(Artefact(path=name, size_bytes=2048, modified_at=at) for name in names)
    left = LeftFiles(execution_id="e", workspace=Workspace(path=tmp_path), files=files)
    port = scene.desk.files_left
    scene.window.show_page("executions", "e")
    scene.detail.refresh()
    assert not [one for one in seen(scene.detail, IconButton) if one.accessibleName() == "Show the files that it left"]
    port.has_place.return_value = True
    port.of.return_value = left
    scene.detail.refresh()
    click(scene.detail, "Show the files that it left")
    [card] = seen(scene.detail, FilesCard)
    assert len([one for one in seen(card, IconButton) if one.accessibleName().startswith("Save ")]) == MOST_SHOWN
    assert reads(card, f"These are the first {MOST_SHOWN}. Its workspace has the others.")
    [hostile] = [one for one in seen(card, ElidedLabel) if one.text().startswith("<b>run")]
    assert hostile.textFormat() is Qt.TextFormat.PlainText
    assert "\u202e" not in hostile.text(), "what nobody would see is written out"
    assert not [one for one in seen(card, IconButton) if one.accessibleName().startswith("Open <b>run")]
    scene.desk.outside.open_file.return_value = True
    click(card, "Open chart.png")
    assert scene.desk.outside.open_file.call_args == call(tmp_path / "chart.png")
    scene.desk.outside.open_file.return_value = False
    click(card, "Open chart.png")
    assert "It was not opened" in scene.window.banner.sentence
    click(card, "Save <b>run<U+202E><b>.sh as…")
    [dialog] = scene.detail.findChildren(QFileDialog)
    assert Path(dialog.selectedFiles()[0]).name == "_b_run_b_.sh"
    dialog.fileSelected.emit(str(tmp_path / "mine.sh"))
    dialog.close()
    assert port.save.call_args == call(left, files[1], to=tmp_path / "mine.sh")
    assert scene.window.banner.sentence.startswith("Saved as ")
    click(card, "Close")
    assert not seen(scene.detail, FilesCard)
    port.of.return_value = replace(left, files=())
    click(scene.detail, "Show the files that it left")
    assert reads(scene.detail, "It left no files.")
    port.of.side_effect = KubiyaError("Its workspace is not on this machine any more.")
    click(scene.detail, "Show the files that it left")
    assert scene.window.banner.sentence == "Its workspace is not on this machine any more."


def test_an_approval_is_answered_in_the_conversation_and_on_its_page(scene: Scene) -> None:
    scene.window.show_page("executions", "e")
    [card] = seen(scene.detail, ApprovalCard)
    click(card, "Allow once")
    assert commands(scene.worker) == [call.answer_approval("a", allow=True, scope="once", seal="", values={}, rule="")]
    scene.window.show_page("approvals")
    [other] = seen(scene.window.page_named("approvals"), ApprovalCard)
    scene.worker.answer_approval.side_effect = KubiyaError("Too late.")
    click(other, "Deny")
    assert button(other, "Deny").isEnabled(), "an answer that did not get through can be given again"
    answer = {"approval_id": "a", "answer": "deny"}
    scene.window.apply(
        [ExecutionEventPublished(execution_id="e", type="approval_answered", payload=answer, sequence=2)]
    )
    [answered] = seen(scene.window.page_named("approvals"), ApprovalCard)
    assert named(answered, "Denied", Pill).isVisible()


def test_an_execution_that_was_not_seen_is_fetched(scene: Scene) -> None:
    scene.window.show_page("executions", "older")
    assert reads(scene.detail, "What was?")
    assert len(seen(scene.detail, MessageView)) == 2
    scene.window.show_page("executions", "gone")
    assert scene.window.banner.sentence == "The control plane has no such execution."


def test_what_events_do_not_tell_is_asked_once_per_status_while_somebody_looks(qtbot, tmp_path: Path) -> None:
    made = Scene(qtbot, tmp_path, EngineSnapshot())
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


def test_links_are_opened_outside_and_only_web_addresses(scene: Scene) -> None:
    for address in ("file:///etc/passwd", "javascript:alert(1)", "smb://x", "https://example.com"):
        scene.detail.conversation.link_chosen.emit(address)
    scene.desk.outside.open_url.assert_called_once_with("https://example.com")


def test_what_ends_is_told_in_list_and_detail(scene: Scene) -> None:
    scene.window.show_page("executions", "e")
    assert [pill.text for pill in seen(scene.detail, Pill)].count("Failed") == 1, "a tool call of it"
    scene.window.apply([ExecutionFinished(execution_id="e", status="failed", error="No model.")])
    assert [pill.text for pill in seen(scene.detail, Pill)].count("Failed") == 2
    assert not named(scene.detail, "Message to the agent", Composer).isVisible()


def test_a_timeline_is_made_when_it_is_wanted_and_that_is_remembered(scene: Scene, qtbot) -> None:
    scene.window.show_page("executions", "e")
    assert scene.detail.findChildren(Timeline) == [], "who does not want it pays nothing"
    click(scene.detail, "Show the timeline")
    [timeline] = seen(scene.detail, Timeline)
    assert scene.desk.settings.preferences.timeline_open
    before = len(timeline.spans)
    scene.window.apply([ModelCalled(
        execution_id="e", succeeded=True, duration_seconds=2.0, prompt_tokens=9, completion_tokens=1, cached_tokens=0,
        cost_dollars=0.0,
    )])  # fmt: skip
    qtbot.waitUntil(lambda: len(timeline.spans) == before + 1)
    click(scene.detail, "Show as a table")
    [table] = seen(scene.detail, FactTable)
    assert table.model().rowCount() == before + 1
    assert not timeline.isVisible()
    click(scene.detail, "Show as a table")
    assert timeline.isVisible()
    click(scene.detail, "Hide the timeline")
    assert not seen(scene.detail, Timeline)
    assert not scene.desk.settings.preferences.timeline_open


def test_what_is_chosen_in_the_timeline_is_shown_in_the_conversation(scene: Scene, qtbot) -> None:
    calls = [
        ExecutionEventPublished(
            execution_id="e",
            type="tool_started",
            payload={"tool_name": "shell", "tool_execution_id": f"call-{number}"},
            sequence=number,
            at=datetime(2026, 1, 2, tzinfo=UTC) + timedelta(seconds=number),
        )
        for number in range(2 * SHOWN)
    ]
    scene.window.apply(calls)
    scene.window.show_page("executions", "e")
    click(scene.detail, "Show the timeline")
    [timeline] = seen(scene.detail, Timeline)
    talk = scene.detail.conversation
    assert not any(view.key == "call-0" for view in shown_calls(talk))
    timeline.setFocus()
    place = next(number for number, span in enumerate(timeline.spans) if span.key == "call-0")
    qtbot.keyClick(timeline, Qt.Key.Key_Home)
    for _ in range(place):
        qtbot.keyClick(timeline, Qt.Key.Key_Right)
    qtbot.keyClick(timeline, Qt.Key.Key_Return)
    marked = talk.marked
    assert isinstance(marked, ToolCard)
    assert marked.call.key == "call-0"
    top = marked.mapTo(talk.viewport(), marked.rect().topLeft()).y()
    assert 0 <= top < talk.viewport().height(), "it is before the eyes"
    assert not talk.follows
    assert not talk.reveal("gone")
    qtbot.keyClick(timeline, Qt.Key.Key_End)
    head = next(one for one in marked.findChildren(QWidget) if one.focusPolicy() & Qt.FocusPolicy.TabFocus)
    head.setFocus()
    qtbot.keyClick(head, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert timeline.current is not None
    assert timeline.current.key == "call-0"
    assert QApplication.focusWidget() is timeline


def test_the_key_to_the_timeline_opens_it_and_finds_what_has_no_span_of_its_own(scene: Scene, qtbot) -> None:
    started = {"tool_name": "shell", "tool_execution_id": "c"}
    at = datetime(2026, 1, 2, tzinfo=UTC)
    scene.window.apply(
        [ExecutionEventPublished(execution_id="e", type="tool_started", payload=started, sequence=1, at=at)]
    )
    scene.window.show_page("executions", "e")
    talk = scene.detail.conversation
    key = scene.desk.executions.say("e", "and now?").key
    talk.reveal(key)
    assert talk.at_hand == key
    box = named(scene.detail, "Message to the agent", Composer)
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    [timeline] = seen(scene.detail, Timeline)
    assert timeline.current is not None
    assert timeline.current.key == "a", "the question is the last before it that has one"
    assert QApplication.focusWidget() is timeline
    click(scene.detail, "Show as a table")
    [table] = seen(scene.detail, FactTable)
    talk.reveal("c")
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is table
    assert table.model().span_of(table.currentIndex().row()).key == "c"  # type: ignore[attr-defined]


def test_far_back_in_a_long_conversation_only_what_is_around_is_shown(scene: Scene) -> None:
    scene.window.apply([remark(number) for number in range(6 * SHOWN)])
    scene.window.show_page("executions", "e")
    talk = scene.detail.conversation
    first = scene.desk.executions.get("e").conversation.items[0]  # type: ignore[union-attr]
    assert talk.reveal(first.key)
    assert len(talk.views) <= 2 * SHOWN
    scene.window.apply([remark(0)])
    assert len(talk.views) <= 2 * SHOWN, "what comes stands at the end, which is not shown"
    while named(talk, "Show later").isVisible():
        before = len(talk.views)
        click(talk, "Show later")
        assert before < len(talk.views) <= before + SHOWN
    whole = scene.desk.executions.get("e").conversation.items  # type: ignore[union-attr]
    assert len(talk.views) == len(whole)
    talk.reveal(first.key)
    scene.detail.show_execution("e")
    talk.reveal(first.key)
    box = named(scene.detail, "Message to the agent", Composer)
    box.setPlainText("and now?")
    click(scene.detail, "Send")
    assert reads(said_last(scene.detail), "You"), "what the person says is seen"


def remark(number: int) -> ExecutionEventPublished:
    payload = {"severity": "info", "message": f"Remark {number}"}
    return ExecutionEventPublished(execution_id="e", type="error", payload=payload, sequence=number)


def shown_calls(talk: ConversationView) -> list[ToolCall]:
    return [view.call for view in talk.views if isinstance(view, ToolCard)]


def test_a_timeline_grows_by_the_pages_clock_and_only_while_it_is_seen(scene: Scene) -> None:
    started = {"tool_name": "shell", "tool_execution_id": "c"}
    scene.window.apply([ExecutionEventPublished(execution_id="e", type="tool_started", payload=started, sequence=1)])
    scene.window.show_page("executions", "e")
    click(scene.detail, "Show the timeline")
    [timeline] = seen(scene.detail, Timeline)
    before = timeline.now
    scene.detail.tick()
    assert timeline.now > before
    scene.window.hide()
    held = timeline.now
    scene.detail.tick()
    assert timeline.now == held
    assert not ticks(timeline), "it has no clock of its own"
