"""What a request to Anthropic's API took, however its answer comes."""

from __future__ import annotations

import json
import time

import pytest

from worker_core.claude.metering import UsageMeter
from worker_core.model.answer import Usage

START = {
    "type": "message_start",
    "message": {
        "model": "claude-x",
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 2,
            "output_tokens": 1,
        },
    },
}
END = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 7}}
ALL = Usage(
    prompt_tokens=17, completion_tokens=7, total_tokens=24, cached_tokens=5, cache_creation_tokens=2
)  # the last count of each


def stream(*events: object) -> bytes:
    return b"".join(b"event: x\ndata: " + json.dumps(event).encode() + b"\n\n" for event in events)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_counts_wherever_it_is_cut(size: int) -> None:
    meter, said = UsageMeter("text/event-stream; charset=utf-8"), stream(START, {"type": "ping"}, END)
    for at in range(0, len(said), size):
        meter.feed(said[at : at + size])
    assert meter.usage() == ALL
    assert meter.model == "claude-x"


def test_a_document_counts() -> None:
    meter = UsageMeter("application/json")
    meter.feed(json.dumps({"model": "claude-x", "usage": {"input_tokens": 3, "output_tokens": 4}}).encode())
    assert meter.usage().total_tokens == 7


@pytest.mark.parametrize("said", [b"", b"{", b"[" * 100_000, b'{"usage": 5}', b'{"usage": {"input_tokens": "x"}}'])
def test_what_cannot_be_read_counts_as_nothing(said: bytes) -> None:
    for kind in ("application/json", "text/event-stream"):
        meter = UsageMeter(kind)
        meter.feed(said)
        meter.feed(b"data: " + said + b"\n\n")
        assert meter.usage() == Usage()


def test_four_times_the_pieces_of_a_document_take_four_times_the_time() -> None:
    def seconds(pieces: int) -> float:
        meter, begun = UsageMeter("application/json"), time.process_time()
        for _ in range(pieces):
            meter.feed(b"x")
        return time.process_time() - begun

    assert min(seconds(160_000) for _ in range(3)) < 8 * min(seconds(40_000) for _ in range(3)), "16 times: quadratic"


def test_what_comes_before_a_stream_that_is_too_long_counts() -> None:
    meter = UsageMeter("text/event-stream")
    for block in (stream(START), b":" * (5 << 20), stream(END)):
        meter.feed(block)
    assert meter.usage().total_tokens == 18
