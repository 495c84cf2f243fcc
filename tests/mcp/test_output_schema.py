"""A result that is not what its tool promises: one clause says why, whatever the schema, and never for long."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strange_data
from tests.support.growth import LINEAR, twice_the_length_costs
from worker_core.mcp.output_schema import MOST_STEPS, misfit

NUMBER = {"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"}}}
NESTED = {
    "$defs": {"Item": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
        "state": {"enum": ["on", "off"]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "content", "said"),
    [
        (NUMBER, {"number": 1}, ""),
        (NUMBER, {"number": 1.0}, ""),
        (NUMBER, None, "it is missing"),
        (NUMBER, {}, "`number` is missing"),
        (NUMBER, {"number": True}, "`number` should be of type integer, and is true"),
        (NUMBER, [1], "the whole should be of type object, and is an array"),
        (NESTED, {"items": [{"name": "a"}], "state": "on", "note": None}, ""),
        (NESTED, {"items": [{"name": "a"}, {}]}, "`items[1].name` is missing"),
        (NESTED, {"state": "broken"}, '`state` is none of the values that are allowed: "broken"'),
        (NESTED, {"note": 5}, "`note` is nothing that is allowed: 5"),
        (NESTED, {"more": 5}, "`more` should not be there"),
        ({"const": 1}, True, "the whole should be 1, and is true"),
        ({"$ref": "https://elsewhere.example/schema.json"}, {"a": 1}, ""),
        ({"$ref": "#/nowhere"}, {"a": 1}, ""),
        ({"type": "of its own"}, {"a": 1}, ""),
        ({"pattern": "a" * 30, "format": "date"}, {"a": 1}, ""),
        (False, {"a": 1}, "the whole should not be there"),
    ],
)
def test_what_is_said(schema: Any, content: Any, said: str) -> None:
    assert misfit(schema if isinstance(schema, dict) else {"allOf": [schema]}, content) == said


@given(st.dictionaries(st.text(max_size=10), strange_data.values, max_size=5), strange_data.values)
def test_any_schema_and_any_content_give_a_clause(schema: dict[str, Any], content: Any) -> None:
    assert isinstance(misfit(schema, content), str)


def test_schemas_without_end_are_given_up() -> None:
    assert misfit({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, {"a": 1}) == ""
    levels = {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 8} for n in range(30)}
    assert misfit({"$defs": levels, "$ref": "#/$defs/0"}, {"a": 1}) == ""
    assert misfit({"items": {"type": "string"}}, ["x"] * 2 * MOST_STEPS) == ""


def test_twice_the_content_costs_twice_the_work_and_no_more() -> None:
    def content(length: int) -> Any:
        return [{"number": 1}] * length

    assert twice_the_length_costs(lambda one: misfit({"items": NUMBER}, one), content) < LINEAR
