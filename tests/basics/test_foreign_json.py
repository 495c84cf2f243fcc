"""What is read here can be written again, whatever wrote it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support import strange_data
from worker_core.basics.foreign_json import (
    DEEPEST,
    TOO_DEEP,
    NestedTooDeep,
    encode,
    is_too_deep,
    loads,
    shallow,
    tamed,
)
from worker_core.basics.whole_text import WholeCharacters, whole
from worker_core.control_plane.models import ExecutionPatch


@given(strange_data.texts)
def test_whole_text_can_be_written_down_and_keeps_what_could_be_before(text: str) -> None:
    result = whole(text)
    result.encode()
    assert whole(result) == result
    if not any("\ud800" <= one <= "\udfff" for one in text):
        assert result == text


def test_halves_that_belong_together_are_joined_and_others_replaced() -> None:
    assert whole("a\ud83d\ude00b") == "a😀b"
    assert whole("a\ude00\ud83db") == "a\ufffd\ufffdb"


@given(strange_data.texts, st.data())
def test_text_in_pieces_reads_as_the_text_in_one(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    characters = WholeCharacters()
    pieces = [characters.feed(text[begin:end]) for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join([*pieces, characters.flush()]) == whole(text)


@given(strange_data.json_texts | strange_data.values.map(json.dumps))
@example(strange_data.nested(3000))
def test_what_is_read_can_be_written_or_is_refused_as_no_json(text: str) -> None:
    try:
        value = loads(text)
    except ValueError:
        return
    msgspec.json.encode(value)
    assert not is_too_deep(value)


@pytest.mark.parametrize(("depth", "is_taken"), [(DEEPEST // 2, True), (DEEPEST // 2 + 1, False), (100_000, False)])
def test_one_level_too_many_is_told_apart_from_bad_json(depth: int, is_taken: bool) -> None:
    text = strange_data.nested(depth)
    if is_taken:
        assert isinstance(loads(text), dict)
    else:
        with pytest.raises(NestedTooDeep, match="more than 100 levels"):
            loads(text)


@given(st.integers(1, 300), st.integers(1, 300), strange_data.texts)
def test_a_text_made_shallow_is_json_and_unchanged_where_it_was_shallow(left: int, right: int, word: str) -> None:
    inner = json.dumps(word + '[{"\\')
    text = f"[{'[' * left}{inner}{']' * left},{strange_data.nested(right)},{inner}]"
    read = loads(shallow(text))
    assert read[2] == whole(word + '[{"\\')
    if 1 + max(left, 2 * right) <= DEEPEST:
        assert shallow(text) == text
    else:
        assert TOO_DEEP in shallow(text)


@pytest.mark.parametrize("text", ["[" * 5000, "[" * 5000 + "1", '{"a":' * 5000, '"[[[', "]" * 10, ""])
def test_a_text_that_is_no_json_stays_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        loads(shallow(text))


class Counted(list[Any]):
    """Counts how often it is looked through."""

    looks = 0

    def __iter__(self) -> Any:
        Counted.looks += 1
        return super().__iter__()


def test_looking_for_depth_takes_as_many_steps_as_there_are_containers() -> None:
    def looks(size: int) -> int:
        Counted.looks = 0
        is_too_deep(Counted([Counted([1, 2]) for _ in range(size)]))
        return Counted.looks

    assert looks(2000) <= 2.1 * looks(1000)


@dataclass(frozen=True)
class Kept:
    words: str
    more: dict[str, Any] = field(default_factory=dict)


@given(strange_data.values)
def test_anything_can_be_encoded(value: Any) -> None:
    read = msgspec.json.decode(encode(Kept(words="\ud83d", more={"a": value, "b": {1, 2}, "c": (object(),)})))
    assert read["words"] == "\ufffd"


def test_what_a_struct_leaves_out_stays_out_when_its_text_is_repaired() -> None:
    patch = ExecutionPatch(
        response="half \ud83d", execution_metadata={"\ude00": [{"deep": tamed(strange_data.deep(3000))}]}
    )
    assert set(msgspec.json.decode(encode(patch))) == {"response", "execution_metadata"}


def test_a_value_of_any_depth_is_tamed() -> None:
    assert not is_too_deep(tamed(strange_data.deep(3000)))
    assert TOO_DEEP in encode(strange_data.deep(100_000)).decode()
