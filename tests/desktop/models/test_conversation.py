from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.look import language
from desktop.models.conversation import ITEMS_LIMIT, PROGRESS_LIMIT, Conversation
from desktop.models.conversation_items import TEXT_LIMIT, Approval, Message, Notice, ToolCall, summary_of
from desktop.models.export import markdown_of

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_streamed_text_becomes_one_message() -> None:
    talk = Conversation("one")
    for piece in ("Three ", "little ", "pods"):
        talk.apply("message_chunk", {"message_id": "m1", "content": piece}, at=AT)
    (message,) = talk.items
    assert isinstance(message, Message)
    assert (message.text, message.streaming) == ("Three little pods", True)
    talk.settle()
    assert not message.streaming


def test_a_tool_call_knows_its_input_output_duration_and_sandbox() -> None:
    talk = Conversation("one")
    talk.apply(
        "tool_started",
        {
            "tool_execution_id": "c1",
            "tool_name": "shell",
            "sandbox": "bubblewrap",
            "tool_arguments": {"command": "ls  -l\n/tmp"},
        },
        at=AT,
    )
    talk.apply(
        "tool_completed",
        {"tool_execution_id": "c1", "status": "failed", "tool_error": "no"},
        at=AT + timedelta(seconds=2),
    )
    (call,) = talk.items
    assert isinstance(call, ToolCall)
    assert (call.summary, call.succeeded, call.error) == ("ls -l /tmp", False, "no")
    assert (call.duration_seconds, call.sandbox) == (2.0, "bubblewrap")


def test_an_approval_waits_until_it_is_answered() -> None:
    talk = Conversation("one")
    part = {"name": "command", "text": "rm", "left_out": 7, "kind": "argument"}
    talk.apply("approval_requested", {"approval_id": "a", "tool_name": "shell", "parts": [part]})
    (approval,) = talk.items
    assert isinstance(approval, Approval)
    assert (approval.summary, approval.left_out, approval.was_shown) == ("command: rm", 7, False)
    assert approval.waits
    said = [[{"text": "rm", "values": {}}]]
    talk.apply("approval_requested", {"approval_id": "b", "tool_name": "shell", "parts": [{**part, "said": said}]})
    assert [one.parts[0].said for one in talk.items if isinstance(one, Approval)] == [(), ()], "the worker alone says"
    talk.apply("approval_answered", {"approval_id": "a", "answer": "allow"})
    assert approval.answer == "allowed"


def test_a_stored_session_comes_before_what_was_seen_and_nothing_is_there_twice() -> None:
    talk = Conversation("one")
    talk.apply("message_chunk", {"message_id": "m2", "content": "Now."}, at=AT)
    talk.settle()
    talk.apply("tool_started", {"tool_execution_id": "c2", "tool_name": "shell"}, at=AT)
    talk.load_session(
        [
            {"role": "user", "content": "Hello", "message_id": "u1", "timestamp": "2026-01-01T00:00:00Z"},
            {
                "role": "tool",
                "content": "x",
                "tool_name": "shell",
                "tool_execution_id": "c1",
                "tool_output": {"output": "x"},
            },
            {"role": "assistant", "content": "Now.", "message_id": "other-id"},
            {"role": "system", "content": "State changed"},
        ]
    )
    assert [type(item).__name__ for item in talk.items] == ["Message", "ToolCall", "Message", "Notice", "ToolCall"]
    assert talk.complete


def user(key: str, text: str) -> dict[str, object]:
    return {"message_id": key, "role": "user", "content": text, "user_name": "Playground"}


@pytest.mark.parametrize("told_first", [True, False])
def test_what_a_task_began_with_is_there_once(told_first: bool) -> None:
    """Whoever is first: the window that gave the task, or the worker that tells of it."""
    talk = Conversation("one")
    if told_first:
        talk.apply("message", user("u1", "Look\n"), at=AT)
    talk.begin("Look", at=AT)
    if not told_first:
        talk.apply("message", user("u1", "Look\n"), at=AT)
    talk.apply("message", user("u1", "Look\n"), at=AT)
    talk.load_session([{"role": "user", "content": "Look", "message_id": "u1"}])
    [one] = talk.items
    assert isinstance(one, Message)
    assert (one.key, one.delivery) == ("u1", "")


def test_what_was_said_twice_is_there_twice() -> None:
    talk = Conversation("one")
    talk.begin("yes", at=AT)
    first, second = talk.say("yes", at=AT), talk.say("yes", at=AT)
    for key in ("u1", "u2", "u3", "u4"):
        talk.apply("message", user(key, "yes"), at=AT)
    keys = [item.key for item in talk.items if isinstance(item, Message)]
    assert keys == ["u1", "u2", "u3", "u4"], "the fourth was said elsewhere"
    assert (first.key, second.key, second.delivery) == ("u2", "u3", "")


def test_exports_hold_everything_and_fences_survive_fences() -> None:
    talk = Conversation("one")
    talk.apply("message", {"role": "user", "content": "Hi <b>there</b>", "message_id": "u"}, at=AT)
    talk.apply("tool_started", {"tool_execution_id": "c", "tool_name": "shell", "tool_arguments": {"command": "```"}})
    talk.apply("error", {"severity": "warning", "details": {"error_message": "careful"}})
    said = markdown_of(talk, title="T")
    assert "Hi <b>there</b>" in said
    assert "````json" in said
    assert "careful" in said
    assert [item["type"] for item in json.loads(talk.to_json())["items"]] == ["message", "toolcall", "notice"]


def test_a_document_is_written_in_the_language_of_the_window() -> None:
    language.load(["de"])
    talk = Conversation("one")
    talk.apply("message", {"role": "user", "content": "Hi", "message_id": "u"}, at=AT)
    call = {"tool_execution_id": "c", "tool_name": "shell"}
    talk.apply("tool_started", {**call, "tool_arguments": {}})
    talk.apply("tool_completed", {**call, "status": "success", "duration_ms": 1200})
    talk.apply("error", {"severity": "warning", "details": {"error_message": "careful"}})
    said = markdown_of(talk)
    assert "## Sie · " in said
    assert "### Werkzeug `shell` (Fertig, 1,2 s)" in said
    assert "> **Warnung**: careful" in said


def test_what_has_no_end_is_cut_and_what_is_old_goes() -> None:
    talk = Conversation("one")
    talk.apply("message", {"role": "user", "content": "x" * 10_000_000, "message_id": "u"})
    assert isinstance(talk.items[0], Message)
    assert len(talk.items[0].text) <= TEXT_LIMIT
    for number in range(ITEMS_LIMIT + 5):
        talk.apply("message", {"content": "x", "message_id": str(number)})
    assert len(talk.items) == ITEMS_LIMIT
    assert not talk.complete


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def test_a_running_call_says_what_it_is_at_and_an_ended_one_does_not() -> None:
    talk = Conversation("e")
    call = {"tool_execution_id": "c", "tool_name": "shell"}
    item = talk.apply("tool_started", {**call, "tool_arguments": {"command": "make"}}, at=AT)
    assert isinstance(item, ToolCall)
    for said in ("[ 3%] building", "[70%]\n\x1b[31mlinking\u202e\x07"):
        assert talk.apply("tool_progress", {**call, "message": said}, at=AT) is item
    assert (item.progress, item.succeeded) == ("[70%] linking", None)
    assert talk.apply("tool_progress", {**call, "message": "x" * 100_000}) is item
    assert len(item.progress) == PROGRESS_LIMIT
    assert talk.apply("tool_progress", {**call, "message": " \n"}) is None
    talk.apply("tool_completed", {**call, "status": "success"}, at=AT)
    assert item.progress == ""
    assert talk.apply("tool_progress", {**call, "message": "late"}) is None
    assert (item.progress, item.succeeded, len(talk.items)) == ("", True, 1)


def test_a_call_whose_begin_was_not_seen_runs_from_its_progress_on() -> None:
    talk = Conversation("e")
    item = talk.apply("tool_progress", {"tool_execution_id": "c", "tool_name": "python", "message": "epoch 3"}, at=AT)
    assert isinstance(item, ToolCall)
    assert (item.name, item.progress, item.succeeded, item.started_at) == ("python", "epoch 3", None, None)
    assert talk.apply("tool_progress", {"tool_name": "python", "message": "of no call"}, at=AT) is None


KINDS = st.sampled_from(
    [
        "metadata",
        "message",
        "message_chunk",
        "member_message_complete",
        "tool_started",
        "tool_progress",
        "tool_completed",
        "error",
        "approval_requested",
        "approval_answered",
        "who_knows",
    ]
)
NAMES = st.sampled_from(
    [
        "message_id",
        "content",
        "role",
        "tool_execution_id",
        "tool_name",
        "tool_arguments",
        "message",
        "status",
        "tool_output",
        "details",
        "severity",
        "approval_id",
        "timestamp",
        "duration_ms",
        "expires_at",
    ]
)


@given(st.lists(st.tuples(KINDS, st.dictionaries(NAMES, JSON, max_size=6)), max_size=20))
def test_whatever_arrives_the_conversation_stands(arrived) -> None:
    talk = Conversation("one")
    for kind, payload in arrived:
        talk.apply(kind, payload, at=AT)
    markdown_of(talk)
    talk.to_json()
    assert all(isinstance(item, Message | ToolCall | Notice | Approval) for item in talk.items)


def test_the_summary_is_what_says_most() -> None:
    assert summary_of({"cwd": "/", "command": "make test"}) == "make test"
    assert summary_of({"n": 3, "flag": True}) == "n: 3, flag: true"
    assert summary_of(None) == ""
