"""Answers from elsewhere as they are written, by whoever may write anything there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.hooks.replies import LONGEST_BYTES, NotAReply, Reply, read_line, read_reply, signature

CODE = "0123456789abcdef" * 2
DENY = {"answer": "deny", "code": CODE}


def message(text: Any, **more: Any) -> bytes:
    return json.dumps({"id": "x", "time": 1, "event": "message", "topic": "t", "message": text, **more}).encode()


def test_an_answer_is_read_alone_or_as_a_message_of_a_topic() -> None:
    expected = Reply(answer="deny", code=CODE)
    assert read_reply(json.dumps(DENY)) == expected
    assert read_line(json.dumps(DENY).encode()) == expected
    assert read_line(message(json.dumps(DENY), priority=3)) == expected
    signed = json.dumps({**DENY, "answer": "allow", "signature": "sha256=" + "a" * 64, "seal": "012345"})
    assert read_reply(signed) == Reply(answer="allow", code=CODE, signature="a" * 64, seal="012345")


@pytest.mark.parametrize("line", [b"", b"  \r", b'{"event": "open"}', b'{"event": "keepalive", "topic": "t"}'])
def test_what_says_nothing_is_none(line: bytes) -> None:
    assert read_line(line) is None


@pytest.mark.parametrize(
    "said",
    [
        {}, {"answer": "deny"}, {"code": CODE}, {**DENY, "answer": "always"}, {**DENY, "answer": ["deny"]},
        {**DENY, "code": CODE[:-1]}, {**DENY, "code": CODE.upper()}, {**DENY, "code": f"{CODE}\n"}, {**DENY, "code": 1},
        {**DENY, "scope": "always"}, {**DENY, "rule": "x"}, {**DENY, "signature": "sha256="},
        {**DENY, "signature": "A" * 64}, {**DENY, "seal": "xyz"}, [DENY], "deny", None, 1,
    ],
)  # fmt: skip
def test_what_is_none_is_refused(said: Any) -> None:
    with pytest.raises(NotAReply):
        read_reply(json.dumps(said))
    with pytest.raises(NotAReply):
        read_line(message(json.dumps(said)))


@pytest.mark.parametrize(
    "line",
    [
        b"<html>", b"\xff\xfe", b'{"event": 1}', message(7), message(None), message("yes"), b"[" * LONGEST_BYTES,
        b'{"a":' * 1_000, json.dumps({**DENY, "code": "0" * LONGEST_BYTES}).encode(), message("x" * LONGEST_BYTES),
    ],
)  # fmt: skip
def test_a_line_of_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises(NotAReply):
        read_line(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["deny", "allow", CODE]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["answer", "code", "event", "message", "signature"]) | st.text(), inner)
    ),
    max_leaves=8,
)


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()) | JSON.map(message))
def test_whatever_comes_is_read_or_refused(line: bytes) -> None:
    try:
        reply = read_line(line)
    except NotAReply:
        return
    assert reply is None or (reply.answer in {"allow", "deny"} and len(reply.code) == 32)


def test_a_signature_is_of_its_answer_and_its_code() -> None:
    made = signature("key", answer="allow", code=CODE)
    others = {
        signature("key", answer="deny", code=CODE), signature("key", answer="allow", code=CODE[::-1]),
        signature("other", answer="allow", code=CODE),
    }  # fmt: skip
    assert made not in others
    assert len(made) == 64
