"""One reader for the answers of every server: the table of dialects, and that it does not matter where they are cut."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.dialects import DIALECTS, LS, TOOLS, Dialect, call, calls, choice, text
from worker_core.model.answer import Answer
from worker_core.model.calls import MOST_CALLS
from worker_core.model.reader import LARGEST_ANSWER_BYTES, AnswerReader, StreamedError
from worker_core.network.sse import SseParser


def read(chunks: Any, **options: Any) -> tuple[str, Answer]:
    reader = AnswerReader(tool_names=TOOLS, **options)
    shown = "".join(reader.feed(chunk) for chunk in chunks) + reader.finish()
    return shown, reader.answer()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_the_loop_sees_the_same_whoever_serves_the_model(dialect: Dialect) -> None:
    before = copy.deepcopy(dialect.chunks)
    shown, answer = read(dialect.chunks)
    assert shown == answer.content == dialect.content
    assert tuple((one.call_id, one.name, one.arguments) for one in answer.tool_calls) == dialect.calls
    assert (answer.finish_reason, answer.reasoned, answer.refused) == (
        dialect.finish_reason, dialect.reasoned, dialect.refused,
    )  # fmt: skip
    assert answer.usage == dialect.usage
    assert answer.opaque == dialect.opaque
    if dialect.opaque_of_calls:
        assert tuple(one.opaque for one in answer.tool_calls) == dialect.opaque_of_calls
    assert not answer.shortened
    assert dialect.chunks == before, "what came is not changed"


@settings(max_examples=300)
@given(st.data())
def test_it_does_not_matter_where_a_server_cuts_its_texts(data: st.DataObject) -> None:
    dialect = data.draw(st.sampled_from(DIALECTS))
    chunks = [piece for chunk in dialect.chunks for piece in _cut(chunk, dialect.kept, data)]
    assert read(chunks) == read(dialect.chunks)


@settings(max_examples=200)
@given(st.data())
def test_it_does_not_matter_where_the_network_cuts_the_stream(data: st.DataObject) -> None:
    dialect = data.draw(st.sampled_from(DIALECTS))
    raw = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in dialect.chunks)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=20)))
    parser = SseParser()
    events = [
        event for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True) for event in parser.feed(raw[start:end])
    ]
    assert read([json.loads(event.data) for event in events]) == read(dialect.chunks)


def _cut(chunk: Any, kept: tuple[str, ...], data: st.DataObject) -> list[Any]:
    """The same chunk as several: every text that comes in pieces is cut at random places."""
    if not isinstance(chunk, dict) or not chunk.get("choices"):
        return [chunk]
    [first, *others] = chunk["choices"]
    delta = first.get("delta")
    if not isinstance(delta, dict) or others:
        return [chunk]
    number = data.draw(st.integers(1, 4))
    deltas: list[dict[str, Any]] = [{} for _ in range(number)]
    for key, value in delta.items():
        if isinstance(value, str) and key in {"content", "reasoning_content", "reasoning", "refusal"}:
            for one, piece in zip(deltas, _pieces(value, number, data), strict=True):
                one[key] = piece
        elif key == "tool_calls" and value:
            cut = [_cut_call(part, number, kept, data) for part in value]
            for one, parts in zip(deltas, zip(*cut, strict=True), strict=True):
                one[key] = list(parts)
        elif key == "thinking_blocks":
            for one, pieces in zip(deltas, _cut_blocks(value, number, data), strict=True):
                one[key] = pieces
        else:
            deltas[-1][key] = value
    return [
        {**chunk, "choices": [{**first, "delta": one, "finish_reason": first.get("finish_reason") if last else None}]}
        for last, one in ((one is deltas[-1], one) for one in deltas)
    ]


def _cut_call(part: dict[str, Any], number: int, kept: tuple[str, ...], data: st.DataObject) -> list[dict[str, Any]]:
    body = "custom" if "custom" in part else "function"
    field = "input" if "custom" in part else "arguments"
    if not isinstance(arguments := part[body].get(field), str):
        return [part, *({"index": part["index"]} for _ in range(number - 1))]
    first, *rest = _pieces(arguments, number, data)
    repeated = {key: part[key] for key in ("index", "id") if key in kept and key in part}
    name = {"name": part[body]["name"]} if "name" in kept else {}
    return [
        {**part, body: {**part[body], field: first}},
        *({**repeated, body: {**name, field: piece}} for piece in rest),
    ]


def _cut_blocks(blocks: list[dict[str, Any]], number: int, data: st.DataObject) -> list[list[dict[str, Any]]]:
    if len(blocks) != 1 or "thinking" not in blocks[0] or "signature" in blocks[0]:
        return [*([[]] * (number - 1)), blocks]
    return [[{**blocks[0], "thinking": piece}] for piece in _pieces(blocks[0]["thinking"], number, data)]


def _pieces(value: str, number: int, data: st.DataObject) -> list[str]:
    """Cut between the halves of characters as well."""
    halves = [unit for character in value for unit in _halves(character)]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(halves)), min_size=number - 1, max_size=number - 1)))
    bounds = zip([0, *cuts], [*cuts, len(halves)], strict=True)
    return ["".join(halves[start:end]) for start, end in bounds]


def _halves(character: str) -> list[str]:
    units = character.encode("utf-16-le", "surrogatepass")
    return [units[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(units), 2)]


@given(st.text(alphabet=st.characters(categories=["Cs", "L", "So", "Zs"])), st.data())
def test_whatever_comes_leaves_as_text_that_utf_8_can_hold(said: str, data: st.DataObject) -> None:
    pieces = _pieces(said, 4, data)
    shown, answer = read([*(text(piece) for piece in pieces), calls(call(0, said, said, said)), choice({}, "stop")])
    for said in (shown, *(one.arguments + one.name + one.call_id for one in answer.tool_calls)):
        said.encode()


KEYS = (
    "choices", "delta", "content", "tool_calls", "function", "index", "id", "arguments", "usage", "x_groq", "message",
    "thinking_blocks", "provider_specific_fields", "finish_reason", "type", "signature", "prompt_tokens_details",
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.sampled_from(KEYS), one),
    max_leaves=30,
)


@given(ANYTHING)
def test_no_chunk_of_any_shape_is_more_than_refused(chunk: Any) -> None:
    reader = AnswerReader()
    try:
        reader.feed({"choices": [{"delta": chunk}]})
        reader.feed(chunk)
    except (ValueError, StreamedError):
        pass
    reader.finish()
    reader.answer()


@pytest.mark.parametrize(
    "chunk",
    [
        {"error": {"message": "overloaded", "code": 529}},
        {"error": "overloaded"},
        {"object": "error", "message": "overloaded"},
        {"error": {"message": "overloaded"}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]},
    ],
)
def test_an_error_in_the_stream_is_no_answer(chunk: Any) -> None:
    with pytest.raises(StreamedError) as caught:
        read([text("Hel"), chunk])
    assert "overloaded" in str(caught.value.body)


def test_an_answer_of_any_length_is_cut_where_it_becomes_too_long() -> None:
    piece = "ä" * 1000
    for make in (text, lambda said: calls(call(0, "c", "shell", said)), lambda said: text(said * 10_000)):
        reader, taken = AnswerReader(), 0
        while not reader.full:
            reader.feed(make(piece))
            taken += 1
        reader.finish()
        answer = reader.answer()
        called = "".join(one.call_id + one.name + one.arguments for one in answer.tool_calls)
        size = len((answer.content + called).encode())
        assert answer.shortened
        assert LARGEST_ANSWER_BYTES - 2 <= size <= LARGEST_ANSWER_BYTES
        assert taken <= 1 + LARGEST_ANSWER_BYTES // 2000


def test_calls_without_end_are_no_calls_without_end() -> None:
    _, answer = read(calls(call(number, f"c{number}", "shell", LS)) for number in range(2 * MOST_CALLS))
    assert len(answer.tool_calls) == MOST_CALLS
    assert answer.shortened


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("where", ["name", "id", "opaque", "opaque of the function", "numbers", "reason", "model"])
def test_whatever_of_an_answer_is_long_it_stays_small_enough_for_temporal(where: str, times: int) -> None:
    long = "\N{GRINNING FACE}" * 20_000 * times

    def chunk(number: int) -> dict[str, Any]:
        function: dict[str, Any] = {"name": f"{number}", "arguments": LS}
        part: dict[str, Any] = {"index": number, "id": f"c{number}", "function": function}
        if where == "name":
            function["name"] = f"{number}{long}"
        elif where == "id":
            part["id"] = f"c{number}{long}"
        elif where == "opaque":
            part["thought_signature"] = long[:12_000]
        elif where == "opaque of the function":
            function["extra_content"] = {f"{number}": long[:12_000]}
        elif where == "numbers":
            part["reasoning"] = {f"{place}": 10**4000 for place in range(10 * times)}
        return {
            "model": long if where == "model" else "m",
            "choices": [
                {"delta": {"tool_calls": [part]}, "finish_reason": long if where == "reason" else "tool_calls"}
            ],
        }

    _, answer = read(chunk(number) for number in range(MOST_CALLS))
    assert len(msgspec.json.encode(answer)) < 1_500_000
    assert answer.tool_calls


def test_an_id_that_holds_a_signature_is_sent_back_whole() -> None:
    """LiteLLM puts Gemini's signature into it."""
    call_id = "call_1__thought__" + "A" * 20_000
    _, answer = read([calls(call(0, call_id, "shell", LS))])
    assert answer.tool_calls[0].call_id == call_id


def test_reasoning_that_is_too_long_to_be_sent_back_is_not_sent_back_in_part() -> None:
    _, answer = read([choice({"reasoning_content": "x" * 1000}) for _ in range(1000)])
    assert answer.reasoned
    assert answer.opaque == {}


@pytest.mark.parametrize(
    "make",
    [
        text,
        lambda piece: calls(call(0, "c", "shell", piece)),
        lambda piece: calls(call(0, "c", "shell", "{" + piece)),
        lambda piece: choice({"reasoning_content": piece}),
        lambda piece: choice({"thinking_blocks": [{"type": "thinking", "thinking": piece}]}),
        lambda piece: text(" "),
        lambda piece: text("<think>" + piece),
    ],
)
def test_four_times_the_pieces_take_four_times_the_time(make: Any) -> None:
    def seconds(number: int) -> float:
        chunks = [make('"}ab')] * number
        begun = time.process_time()
        read(chunks)
        return time.process_time() - begun

    assert min(seconds(40_000) for _ in range(3)) < 8 * min(seconds(10_000) for _ in range(3)), "16 times: quadratic"


@pytest.mark.parametrize(
    ("header", "cost"), [("0.00125", 0.00125), ("", 0.0), ("free", 0.0), ("nan", 0.0), ("-1", 0.0)]
)
def test_what_a_server_says_of_the_price_beside_the_answer_counts_where_the_usage_has_none(
    header: str, cost: float
) -> None:
    chunk = {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}], "usage": {"total_tokens": 3}}
    reader = AnswerReader()
    reader.priced(header)
    reader.feed(chunk)
    assert reader.answer().usage.cost == cost
    reader.feed({**chunk, "usage": {"total_tokens": 3, "cost": 0.5}})
    assert reader.answer().usage.cost == 0.5
