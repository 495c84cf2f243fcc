"""What models, servers and files send when something is wrong with them: texts and JSON, for property tests."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

HALVES = st.sampled_from(["\ud83d", "\ude00", "\ud83d\ude00", "\udcff"])

texts = st.lists(st.text(st.characters(codec="utf-8"), max_size=8) | HALVES, max_size=4).map("".join)
"""Any text that Python can hold."""

numbers = st.sampled_from([float("nan"), float("inf"), 1e308, 2**64 + 1, -(10**40), 0, -0.0, 1.5]) | st.integers()

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
"""Any value of JSON's types."""


def deep(depth: int) -> Any:
    """A value of lists in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def nested(depth: int, opened: str = '{"a":[', closed: str = "]}") -> str:
    """An object with arrays and objects in it, `2 * depth` levels deep."""
    return opened * depth + closed * depth


json_texts = st.one_of(
    values.map(json.dumps),
    st.dictionaries(texts, values, max_size=3).map(json.dumps),
    st.dictionaries(texts, values, max_size=3).map(lambda value: json.dumps(value, ensure_ascii=False)),
    st.sampled_from([49, 50, 60, 400, 1500, 3000]).map(nested),
    st.sampled_from(
        ["", "{", "null", "[]", '"x"', '{"a": ' + "9" * 5000 + "}", '{"a": 1e999}', '{"a": "\\ud83d"}', "[" * 9000]
    ),
    texts,
)
"""What a model may write where JSON was asked for."""
