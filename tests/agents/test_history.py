"""What a model is sent of the conversation: a shape that every server takes."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.agents.compaction import bounded, size_of_all, tokens_of
from worker_core.agents.history import NO_ANSWER, for_model, object_text
from worker_core.agents.messages import Message, ToolCall


def said(role: str, content: str = "", *calls: ToolCall, **more: Any) -> Message:
    return Message(role=role, content=content, timestamp="", message_id="m", tool_calls=calls, **more)


def called(name: str, arguments: str, **more: Any) -> ToolCall:
    return ToolCall(call_id="c", name=name, arguments=arguments, **more)


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"command": "ls"}', '{"command": "ls"}'),
        ('{ "a":1 }', '{ "a":1 }'),
        ("", "{}"),
        ('{"command": "echo hi"', {"raw": '{"command": "echo hi"'}),
        ('{"a": 1}{"b": 2}', {"raw": '{"a": 1}{"b": 2}'}),
        ('```json\n{"a": 1}\n```', {"raw": '```json\n{"a": 1}\n```'}),
        ("[1, 2]", {"raw": "[1, 2]"}),
        ("3", {"raw": "3"}),
        ('{"a": "\\ud83d"}', {"a": "\ufffd"}),
    ],
)
def test_arguments_that_go_back_are_an_object(arguments: str, sent: Any) -> None:
    text = object_text(arguments)
    assert text == sent if isinstance(sent, str) else json.loads(text) == sent


def test_long_arguments_that_could_not_be_read_do_not_go_back_whole() -> None:
    assert len(object_text('{"content": "' + "x" * 100_000)) < 3_000


@given(st.text(), st.text())
def test_whatever_a_model_wrote_becomes_an_object_under_a_name_of_allowed_letters(name: str, arguments: str) -> None:
    [message] = for_model([said("assistant", "", called(name, arguments))], system_prompt="")
    [call] = message["tool_calls"]
    assert isinstance(msgspec.json.decode(call["function"]["arguments"]), dict)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call["function"]["name"])


def test_no_message_is_empty_and_roles_alternate() -> None:
    sent = for_model(
        [
            said("user", "one"),
            said("assistant", " "),
            said("user", "two"),
            said("user", "three"),
            said("system", "[a note]"),
            said("assistant", " ", called("shell", "{}")),
            said("tool", "", tool_call_id="c"),
            said("assistant", "done"),
            said("user", " "),
        ],
        system_prompt="be brief",
    )
    assert [(message["role"], message["content"]) for message in sent] == [
        ("system", "be brief"),
        ("user", "one"),
        ("assistant", NO_ANSWER),
        ("user", "two\n\nthree\n\n[a note]"),
        ("assistant", None),
        ("tool", "(empty)"),
        ("assistant", "done"),
        ("user", "(empty)"),
    ]


def test_what_came_with_a_call_goes_back_as_it_came_and_with_an_answer_not() -> None:
    opaque = {"reasoning_content": "", "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}]}
    of_call = {
        "extra_content": {"google": {"thought_signature": "g"}},
        "function": {"provider_specific_fields": {"x": 1}},
    }
    first, second = for_model(
        [
            said("assistant", "let me see", called("shell", "{}", opaque=of_call), opaque=opaque),
            said("assistant", "seen", opaque=opaque),
        ],
        system_prompt="",
    )
    assert {key: first[key] for key in opaque} == opaque
    [call] = first["tool_calls"]
    assert call["extra_content"] == of_call["extra_content"]
    assert call["function"] == {"name": "shell", "arguments": "{}", "provider_specific_fields": {"x": 1}}
    assert second == {"role": "assistant", "content": "seen"}


def test_a_conversation_of_long_calls_and_reasoning_is_cut_until_it_fits() -> None:
    arguments = json.dumps({"path": "a.txt", "content": "x" * 50_000, "lines": list(range(20_000))})
    opaque = {"reasoning_content": "r" * 50_000}
    messages = [said("user", "go"), said("assistant", "", called("write_file", arguments), opaque=opaque)] * 5
    assert tokens_of(messages) > 300_000 / 3.5
    fitting = bounded(messages, limit_tokens=3_000)
    assert tokens_of(fitting) <= 3_000
    assert [message.role for message in fitting] == [message.role for message in messages]
    for message in for_model(fitting, system_prompt=""):
        for call in message.get("tool_calls", ()):
            assert isinstance(json.loads(call["function"]["arguments"]), dict)


def test_a_conversation_that_fits_is_left_as_it_is() -> None:
    messages = [
        said("user", "go"),
        said("assistant", "", called("shell", '{"command": "ls"}'), opaque={"reasoning": "r"}),
    ]
    assert bounded(messages, limit_tokens=1_000) == messages
    assert size_of_all(messages) > 0
