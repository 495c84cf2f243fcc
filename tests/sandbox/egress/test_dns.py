"""What comes to the name server may be anything; what leaves it is an answer."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.sandbox.egress.dns import ADDRESS, Code, answer, read_query

LABELS = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-_", min_size=1, max_size=63)
NAMES = st.lists(LABELS, min_size=1, max_size=6).map(".".join).filter(lambda name: len(name) < 250)


def asked(name: str, *, kind: int = 1, flags: int = 0x0100, questions: int = 1, network: int = 1) -> bytes:
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split("."))
    return struct.pack(">6H", 7, flags, questions, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, network)


@given(NAMES, st.integers(0, 0xFFFF))
def test_a_question_and_its_answer(name: str, kind: int) -> None:
    options = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)  # EDNS, which most programs add: it changes nothing
    question = read_query(asked(name, kind=kind) + options)
    assert (question.name, question.kind, question.number) == (name, kind, 7)
    said = answer(question, address=IPv4Address("127.128.0.1"))
    number, flags, questions, answers, *rest = struct.unpack_from(">6H", said)
    assert (number, questions, answers, rest) == (7, 1, 1, [0, 0])
    assert flags == 0x8180, "an answer, recursion wanted and had"
    assert said[12:].startswith(asked(name, kind=kind)[12:])
    assert said.endswith(struct.pack(">HHHIH", 0xC00C, ADDRESS, 1, 60, 4) + bytes([127, 128, 0, 1]))


@pytest.mark.parametrize("code", Code)
def test_nothing_to_answer(code: Code) -> None:
    said = answer(read_query(asked("a.example", flags=0)), code=code)
    assert struct.unpack_from(">6H", said) == (7, 0x8080 | code, 1, 0, 0, 0)


@given(st.binary(max_size=600) | st.builds(lambda head, rest: head[:-5] + rest, NAMES.map(asked), st.binary()))
def test_anything_else(datagram: bytes) -> None:
    try:
        question = read_query(datagram)
    except ValueError:
        return
    assert len(answer(question, address=IPv4Address("127.128.0.1"))) <= 512


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        asked("a.example", flags=0x8000),
        asked("a.example", flags=0x2800),
        asked("a.example", questions=2),
        asked("a.example", network=3),
        asked("a.example")[:-1],
        asked("a." * 130 + "example"),
        asked("a.example").replace(b"\x07example", b"\xc0\x0cxample"),
        asked("a.example").replace(b"example", b"exa.ple"),
        asked("a.example").replace(b"example", b"exa\xffple"),
    ],
    ids=[
        "empty",
        "an answer",
        "another operation",
        "two",
        "another network",
        "cut",
        "long",
        "pointer",
        "dot",
        "no ASCII",
    ],
)
def test_what_is_no_question(datagram: bytes) -> None:
    with pytest.raises(ValueError, match=r"no |another"):
        read_query(datagram)
