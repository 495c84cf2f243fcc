"""A question in the window: all of it is there to be read, and nothing is allowed that is not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit
from pytestqt.qtbot import QtBot

from desktop.models.conversation_items import Approval
from desktop.widgets.approval_card import ApprovalCard
from desktop.widgets.choice import Choice
from desktop.widgets.code import CodeText
from desktop.widgets.pills import Pill
from desktop.widgets.rule_panel import RuleEditor
from desktop.widgets.text import Label
from tests.support.finding import button, offered
from tests.support.questions import parts
from worker_core.basics.visible import visible
from worker_core.snapshot import QuestionField, QuestionPart, WholeQuestion

LEFT_OUT = 1_240
LONG = WholeQuestion(id="a", parts=(QuestionPart(name="content", text="a" * 10 + "b" * LEFT_OUT),), seal="5ea1ed")


def question(**texts: str) -> Approval:
    return Approval(key="a", execution_id="e", tool="shell", parts=parts(**texts))


def seen_in(card: ApprovalCard) -> str:
    texts = [one.toPlainText().replace(" ↵\n", "") for one in card.findChildren(CodeText) if one.isVisible()]
    return "\n".join([*texts, *(one.text() for one in card.findChildren(Label) if one.isVisible())])


@pytest.mark.parametrize(("name", "answer"), [("Allow once", (True, "once")), ("Deny", (False, "once"))])
def test_an_approval_is_answered_once_and_waits_for_the_truth(qtbot: QtBot, name: str, answer: object) -> None:
    approval, given = question(command="rm -rf x"), []
    card = ApprovalCard(approval, answer=lambda one, allow, scope: given.append((allow, scope)), read=lambda _: None)
    qtbot.addWidget(card)
    card.show()
    qtbot.mouseClick(button(card, name), Qt.MouseButton.LeftButton)
    qtbot.mouseClick(button(card, name), Qt.MouseButton.LeftButton)
    assert given == [answer]
    assert approval.waits, "a view changes nothing by itself"
    approval.answer = "allowed"
    card.refresh()
    assert not button(card, name).isVisible()


def test_each_argument_stands_beside_its_name(qtbot: QtBot) -> None:
    card = ApprovalCard(
        question(path="/srv", action="delete", content="one\ntwo"), answer=lambda *_: None, read=lambda _: None
    )
    qtbot.addWidget(card)
    card.show()
    said = seen_in(card)
    assert all(word in said for word in ("path", "/srv", "action", "delete", "content", "one\ntwo"))
    assert [one.accessibleName() for one in card.findChildren(CodeText)] == ["path", "action", "content"]


def test_what_is_left_out_is_read_before_it_is_allowed(qtbot: QtBot) -> None:
    cut = (QuestionPart(name="content", text="a" * 10, left_out=LEFT_OUT),)
    approval = Approval(key="a", execution_id="e", tool="write_file", parts=cut, left_out=LEFT_OUT)
    reads: list[Approval] = []
    given: list[str] = []
    card = ApprovalCard(approval, answer=lambda one, allow, scope: given.append(scope), read=reads.append)
    qtbot.addWidget(card)
    card.resize(600, 400)
    card.show()
    assert "1,240 more characters" in seen_in(card)
    assert not button(card, "Allow once").isEnabled()
    assert not button(card, "Allow always…").isEnabled()
    assert button(card, "Deny").isEnabled()
    qtbot.mouseClick(button(card, "Read it whole"), Qt.MouseButton.LeftButton)
    assert reads == [approval]
    approval.read(LONG)
    card.refresh()
    qtbot.waitUntil(lambda: "b" * LEFT_OUT in seen_in(card))
    assert "more characters" not in seen_in(card)
    assert button(card, "Allow once").isEnabled()
    assert offered(card, "Allow always…") == ["For this execution"], "nobody says always to what was not shown at once"
    qtbot.mouseClick(button(card, "Allow once"), Qt.MouseButton.LeftButton)
    assert given == ["once"]


def test_a_question_has_nothing_beyond_its_edges(qtbot: QtBot) -> None:
    """Neither to the right, nor below without a bar; and what would not be seen is written out."""
    hostile = visible("ls" + " " * 500 + "; rm x\u202e\u2066" + "y" * 10_000 + "\n" * 200 + "z")
    card = ApprovalCard(question(command=hostile, path="short"), answer=lambda *_: None, read=lambda _: None)
    qtbot.addWidget(card)
    card.resize(500, 400)
    card.show()
    command, path = card.findChildren(CodeText)
    qtbot.waitUntil(lambda: command.verticalScrollBar().isVisible())
    assert command.horizontalScrollBar().maximum() < command.fontMetrics().horizontalAdvance("xx"), "but a blank"
    assert command.verticalScrollBar().maximum() > 0
    assert command.verticalScrollBarPolicy() is Qt.ScrollBarPolicy.ScrollBarAlwaysOn
    assert path.height() < command.height()
    for said in ("<500 blanks>", "<U+202E>", "<U+2066>", "<199 empty lines>"):
        assert said in command.toPlainText()
    assert command.toPlainText().endswith("z")
    assert not card.grab().isNull()


def test_what_a_call_asks_is_filled_in_and_sent(qtbot: QtBot) -> None:
    fields = (
        QuestionField(
            name="size", label="Size", kind="choice", required=True, options=("s", "l"), shown=("Small", "L")
        ),
        QuestionField(name="name", label="Name", kind="text", about="Whose it is", required=True),
        QuestionField(name="express", label="Express", kind="boolean"),
        QuestionField(name="extras", label="Extras", kind="choices", options=("a", "b"), shown=("a", "b")),
    )
    approval = question(asks="What shall be ordered?")
    approval.in_call, approval.fields, approval.lasts = True, fields, False
    given: list[bool] = []
    card = ApprovalCard(approval, answer=lambda one, allow, scope: given.append(allow), read=lambda _: None)
    qtbot.addWidget(card)
    card.show()
    seen = seen_in(card)
    assert all(word in seen for word in ("asks you", "Size *", "Name *", "Whose it is", "Express", "a, b"))
    assert card._more.isHidden(), "there is nothing to be allowed for always"
    size, name = card.form.controls["size"], card.form.controls["name"]
    assert isinstance(size, Choice)
    assert isinstance(name, QLineEdit)
    size.choose("l")
    qtbot.keyClicks(name, " Ada ")
    qtbot.mouseClick(card._allow, Qt.MouseButton.LeftButton)
    assert given == [True]
    assert approval.values == {"size": "l", "name": "Ada"}
    approval.answer = "allowed"
    card.refresh()
    assert card.form.isHidden()


def test_it_says_until_when_it_waits(qtbot: QtBot) -> None:
    until = datetime.now(UTC).astimezone().replace(hour=23, minute=7)
    approval = Approval(
        key="a", execution_id="e", tool="shell", parts=(), asked_at=until.replace(minute=1), expires_at=until
    )
    card = ApprovalCard(approval, answer=lambda *_: None, read=lambda _: None, where="SRE")
    qtbot.addWidget(card)
    card.show()
    assert "waits until 23:07  ·  SRE  ·  23:01".replace("  ", " ") in seen_in(card)
    approval.answer = "denied"
    card.refresh()
    assert "waits until" not in seen_in(card)


RULE = '[[allow]]\ncommand = "git push"\ntool = "shell"\nalways = true'


def test_the_rule_is_seen_before_it_is_written(qtbot: QtBot) -> None:
    approval, given = question(command="git push"), []
    approval.rule = RULE
    card = ApprovalCard(approval, answer=lambda one, allow, scope: given.append((allow, scope)), read=lambda _: None)
    qtbot.addWidget(card)
    card.show()
    assert RULE not in seen_in(card)
    card._always.trigger()
    assert given == [], "it is shown first"
    assert RULE in seen_in(card)
    assert not button(card, "Deny").isVisible()
    card.refresh()
    assert RULE in seen_in(card), "what arrives meanwhile does not put it away"
    qtbot.mouseClick(button(card, "Back"), Qt.MouseButton.LeftButton)
    assert RULE not in seen_in(card)
    assert button(card, "Deny").isVisible()
    card._always.trigger()
    qtbot.mouseClick(button(card, "Write it and allow"), Qt.MouseButton.LeftButton)
    qtbot.mouseClick(button(card, "Write it and allow"), Qt.MouseButton.LeftButton)
    assert given == [(True, "always")]
    card.wake()
    assert button(card, "Write it and allow").isEnabled(), "the answer did not get through"
    approval.answer = "allowed"
    card.refresh()
    assert RULE not in seen_in(card)


def test_a_rule_is_changed_before_it_is_written(qtbot: QtBot) -> None:
    approval, given = question(command="git push"), []
    approval.rule, approval.workspace = RULE, "/srv/e1"
    card = ApprovalCard(approval, answer=lambda one, allow, scope: given.append(one.own_rule), read=lambda _: None)
    qtbot.addWidget(card)
    card.show()
    card._always.trigger()
    [editor] = card.findChildren(RuleEditor)
    write = button(card, "Write it and allow")
    assert editor.toPlainText() == RULE
    for text, fits, said in (
        (RULE.replace("push", "pull"), False, "It does not fit this call"),
        (f"{RULE}\noverride = true", False, "stays denied"),
        (f"{RULE}\n[[deny]]\ntool = 'x'", False, "Only rules that allow"),
        (RULE.replace("always = true", ""), False, "needs always = true"),
        ("[[allow", False, "The rule, line 1"),
        (f"# mine\n{RULE}", True, "nothing that is not written out"),
        (RULE.replace("push", "*"), True, "and others"),
    ):
        editor.setPlainText(text)
        assert said in seen_in(card)
        assert write.isEnabled() is fits
        card.refresh()
        assert write.isEnabled() is fits, "what arrives meanwhile changes nothing"
        assert editor.toPlainText() == text
    qtbot.mouseClick(write, Qt.MouseButton.LeftButton)
    assert given == [RULE.replace("push", "*")]
    assert editor.isReadOnly(), "what is on its way is not changed"
    card.wake()
    qtbot.mouseClick(button(card, "As it was"), Qt.MouseButton.LeftButton)
    assert editor.toPlainText() == RULE
    assert "It fits" not in seen_in(card)
    qtbot.mouseClick(write, Qt.MouseButton.LeftButton)
    assert given[1:] == [""], "it is the one that was shown"


def test_what_a_rule_holds_is_text(qtbot: QtBot) -> None:
    approval = question(command="ls")
    approval.rule, approval.workspace = RULE.replace("git push", "<b>x</b> <img src=http://x>"), "/srv/e1"
    card = ApprovalCard(approval, answer=lambda *_: None, read=lambda _: None)
    qtbot.addWidget(card)
    card.show()
    card._always.trigger()
    [editor] = card.findChildren(RuleEditor)
    assert editor.toPlainText() == approval.rule


def test_a_rule_that_is_not_known_is_said_to_be_one(qtbot: QtBot) -> None:
    card = ApprovalCard(question(command="git push"), answer=lambda *_: None, read=lambda _: None)
    qtbot.addWidget(card)
    card.show()
    card._always.trigger()
    assert "A rule for exactly this" in seen_in(card)


def test_a_question_without_a_worker_cannot_be_answered(qtbot: QtBot) -> None:
    approval = question(command="ls")
    card = ApprovalCard(approval, answer=lambda *_: None, read=lambda _: None)
    qtbot.addWidget(card)
    card.show()
    approval.adrift = True
    card.refresh()
    assert not button(card, "Allow once").isVisible()
    assert "Waits for a worker" in {one.text for one in card.findChildren(Pill)}
    approval.adrift = False
    card.refresh()
    assert button(card, "Allow once").isVisible()
