"""How an answer ended: what is said of it, and what is done next."""

from __future__ import annotations

from typing import Any

import pytest

from worker_core.model.answer import Answer, ToolCall, Usage
from worker_core.model.calls import with_code
from worker_core.model.endings import (
    MOST_OUTPUT_TOKENS,
    NUDGE,
    Ending,
    ending_of,
    larger_limit,
    made_calls,
    nudged,
    remark,
)


def call(arguments: str = "{}", name: str = "shell") -> ToolCall:
    return ToolCall(call_id="c", name=name, arguments=arguments)


WHOLE, HALF = call('{"a": 1}'), call('{"a": "')

TABLE: list[tuple[Answer, Ending, int, str]] = [
    (Answer(content="Hi", finish_reason="stop"), Ending.SAID, 0, ""),
    (Answer(content="Hi", finish_reason=""), Ending.SAID, 0, ""),
    (Answer(content="Hi", finish_reason="tool_calls"), Ending.SAID, 0, ""),
    (Answer(content="No.", refused=True, finish_reason="stop"), Ending.REFUSED, 0, "declined"),
    (Answer(tool_calls=(WHOLE,), finish_reason="stop"), Ending.CALLS, 1, ""),
    (Answer(tool_calls=(WHOLE,), finish_reason="length"), Ending.CALLS, 1, ""),
    (Answer(tool_calls=(call("no object"),), finish_reason="tool_calls"), Ending.CALLS, 1, ""),
    (Answer(tool_calls=(WHOLE, HALF), finish_reason="length"), Ending.CUT_IN_CALL, 2, "write less at once"),
    (Answer(content="Hal", finish_reason="length"), Ending.CUT, 0, "cut at the model's output limit (40 tokens)"),
    (Answer(reasoned=True, finish_reason="length"), Ending.REASONED_ALONE, 0, "thought until"),
    (Answer(reasoned=True, finish_reason="stop"), Ending.REASONED_ALONE, 0, "thought, and did not answer"),
    (Answer(content="Hal", finish_reason="content_filter"), Ending.FILTERED, 0, "content filter"),
    (Answer(finish_reason="content_filter"), Ending.FILTERED, 0, "word the request differently"),
    (Answer(tool_calls=(HALF,), finish_reason="content_filter"), Ending.FILTERED, 0, "content filter"),
    (Answer(finish_reason="tool_calls"), Ending.CALL_MISSING, 0, "made none"),
    (Answer(finish_reason="stop"), Ending.EMPTY, 0, "answered nothing"),
    (Answer(content=" \n", finish_reason="stop"), Ending.EMPTY, 0, "answered nothing"),
    (Answer(content="Hal", finish_reason="error"), Ending.BROKEN, 0, ""),
    (Answer(tool_calls=(HALF,), finish_reason="error"), Ending.BROKEN, 1, ""),
    (Answer(tool_calls=(WHOLE,), finish_reason="error"), Ending.CALLS, 1, ""),
    (Answer(content="x", shortened=True), Ending.TOO_LONG, 0, "longer than this worker takes"),
    (Answer(tool_calls=(HALF,), shortened=True), Ending.TOO_LONG, 1, "longer than this worker takes"),
]


@pytest.mark.parametrize(("answer", "ending", "calls", "said"), TABLE)
def test_every_ending_is_known_and_told(answer: Answer, ending: Ending, calls: int, said: str) -> None:
    answer = Answer(
        **{name: getattr(answer, name) for name in answer.__slots__} | {"usage": Usage(completion_tokens=40)}
    )
    assert ending_of(answer) is ending
    assert len(made_calls(ending, answer)) == calls
    sentence = remark(ending, answer, model="m")
    assert said in sentence
    assert bool(sentence) is (ending not in {Ending.SAID, Ending.CALLS, Ending.BROKEN})


def test_a_cut_call_is_not_made_and_says_why() -> None:
    answer = Answer(tool_calls=(WHOLE, HALF), finish_reason="length", usage=Usage(completion_tokens=4096))
    first, second = made_calls(Ending.CUT_IN_CALL, answer)
    assert first.problem == ""
    assert "output limit of 4,096 tokens" in second.problem
    assert "Write less at once" in second.problem


@pytest.mark.parametrize(
    ("options", "reached", "limit"),
    [
        ({}, 4096, 32_000),
        ({}, 0, 32_000),
        ({}, 10_000, 40_000),
        ({}, 20_000, MOST_OUTPUT_TOKENS),
        ({}, MOST_OUTPUT_TOKENS, 0),
        ({"max_tokens": 500}, 500, 0),
        ({"max_completion_tokens": 500}, 500, 0),
    ],
)
def test_more_room_is_asked_for_where_nobody_here_set_a_limit(options: Any, reached: int, limit: int) -> None:
    assert larger_limit(options, Answer(usage=Usage(completion_tokens=reached))) == limit


def test_the_second_request_says_what_was_missing_in_a_shape_that_servers_take() -> None:
    assert nudged([{"role": "user", "content": "hi"}]) == [{"role": "user", "content": f"hi\n\n{NUDGE}"}]
    tool = {"role": "tool", "tool_call_id": "c", "content": "done"}
    assert nudged([tool]) == [tool, {"role": "user", "content": NUDGE}]


@pytest.mark.parametrize(
    ("name", "arguments", "sent"),
    [
        ("python", "print(1)\n", '{"code": "print(1)\\n"}'),
        ("python", '{"code": "1"}', '{"code": "1"}'),
        ("python", '{"code": "1', '{"code": "1'),
        ("shell", "ls", "ls"),
    ],
)
def test_bare_program_text_is_code(name: str, arguments: str, sent: str) -> None:
    assert with_code(call(arguments, name)).arguments == sent
