"""Settings of the model: which are sent, which are not honoured, which a model refuses by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker_core.model.options import options_of, refused_option, refuses_opaque
from worker_core.model.said import said_by


def test_what_is_not_honoured_is_named() -> None:
    sent, left_out = options_of(
        {
            "temperature": 0.2,
            "max_tokens": None,
            "tool_choice": "required",
            "unknown": 1,
            "extra_body": {"top_a": 0.5, "stream": False, "nothing": None},
        }
    )
    assert sent == {"temperature": 0.2, "top_a": 0.5}
    assert left_out == ("stream", "tool_choice", "unknown")
    assert options_of({"extra_body": "text"}) == ({}, ("extra_body",))
    assert options_of({}) == ({}, ())


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (
            {"message": "Unsupported parameter: 'max_tokens' is not supported with this model.", "param": "max_tokens"},
            "max_tokens",
        ),
        ({"message": "Unsupported value: 'temperature' does not support 0.2", "param": "temperature"}, "temperature"),
        (
            {"message": "litellm.UnsupportedParamsError: x does not support parameters: ['temperature'], for"},
            "temperature",
        ),
        ({"message": "top_k: Extra inputs are not permitted"}, "top_k"),
        ({"message": "`temperature` may only be set to 1 when thinking is enabled."}, "temperature"),
        (
            {"message": "Unrecognized request argument supplied: stream_options", "param": "stream_options"},
            "stream_options",
        ),
        ({"message": "gpt-5 doesn't support temperature=0.2 while reasoning is active."}, "temperature"),
        ({"message": "bad tool", "param": "tools[0].function"}, ""),
        ({"message": "The user is not allowed to stop"}, ""),
        ({"message": "'temperature' was 0.2"}, ""),
    ],
)
def test_an_option_that_is_refused_by_its_name(error: dict[str, Any], name: str) -> None:
    sent = ("temperature", "top_k", "max_tokens", "user", "stop", "stream_options")
    assert refused_option(said_by(400, json.dumps({"error": error}).encode(), {}), sent) == name
    assert refused_option(said_by(500, json.dumps({"error": error}).encode(), {}), sent) == ""


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ("messages.1: property 'reasoning_content' is unsupported", True),
        ("messages.2.reasoning_content: Extra inputs are not permitted", True),
        ("The `reasoning_content` in the thinking mode must be passed back to the API.", False),
        ("messages.1.content.0.type: Expected `thinking_blocks`, but found `tool_use`", False),
        ("no luck", False),
    ],
)
def test_what_came_with_an_answer_may_be_refused_or_wanted(message: str, refused: bool) -> None:
    said = said_by(400, json.dumps({"error": {"message": message}}).encode(), {})
    assert refuses_opaque(said, {"reasoning_content", "thinking_blocks"}) is refused
