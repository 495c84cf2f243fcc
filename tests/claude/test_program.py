"""What the program says, a message a line, whatever it is."""

from __future__ import annotations

import json

import pytest

from tests.support import strange_data
from worker_core.basics.foreign_json import DEEPEST, is_too_deep, tamed
from worker_core.claude.program import _read


@pytest.mark.parametrize("depth", [49, 60, 1500])
def test_a_call_nested_too_deep_comes_as_one_and_is_still_too_deep(depth: int) -> None:
    """So that it is answered with the sentence for it, instead of being waited for."""
    line = f'{{"type": "control_request", "arguments": {strange_data.nested(depth)}}}'
    message = _read(line.encode())
    assert message["type"] == "control_request"
    given = json.dumps(tamed(message["arguments"], deepest=DEEPEST + 1))
    assert is_too_deep(json.loads(given)) is (2 * depth > DEEPEST)


@pytest.mark.parametrize("line", [b"", b"{", b"[" * 9000, b"\xff"])
def test_what_is_no_message_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        _read(line)
