"""Where names stand in a TOML text."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.growth import LINEAR, twice_the_length_costs
from worker_core.settings.places import place_of_error, places

_VALUES = (
    "1", "true", '"a # b"', "'it = [x'", "[1,\n  2, # ] \n 3]", '{ a = "}" }', '"""\nx = 1\n""""', "'''\n[y]\n'''",
    "2026-01-01T00:00:00Z", '"\\""', '["""\n]""", "]"]',
)  # fmt: skip
_FILLINGS = ("", "\n", "# z = 1\n", "  \t\n", "#\n\n")


@given(
    st.lists(
        st.tuples(st.sampled_from(_FILLINGS), st.booleans(), st.sampled_from(_VALUES), st.sampled_from(("=", "  =  "))),
        max_size=8,
    ),
    st.booleans(),
)
def test_every_name_is_found_where_it_stands(
    parts: list[tuple[str, bool, str, str]], with_carriage_returns: bool
) -> None:
    text, expected = "", {}
    for number, (filling, quoted, value, sign) in enumerate(parts):
        name = f"name_{number}"
        text += filling
        line = text.count("\n") + 1
        written = json.dumps(name) if quoted else name
        text += f"{written}{sign}{value}\n"
        expected[name] = (line, 1, line, len(written) + len(sign) + 1)
    if with_carriage_returns:
        text = text.replace("\n", "\r\n")
    assert set(tomllib.loads(text)) == set(expected)
    found = {name: (one.line, one.column, one.value_line, one.value_column) for name, one in places(text).items()}
    assert found == expected


def test_tables_are_names_too_and_what_stands_in_them_is_not() -> None:
    found = places('a = 1\n[work]\nb = 2\n[[rules]]\nc = 3\n[ "x y".z ]\nd.e = 4\n')
    assert {name: (one.line, one.column) for name, one in found.items()} == {
        "a": (1, 1), "work": (2, 2), "rules": (4, 3), "x y": (6, 3),
    }  # fmt: skip


@given(st.text(alphabet="a=[]{}\"'#\n\\ .,1", max_size=60))
def test_no_text_is_too_strange(text: str) -> None:
    places(text)
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text + "\n= nothing")
    line, column, said = place_of_error(caught.value, text)
    assert line >= 1
    assert column >= 1
    assert said
    assert "at line" not in said


def test_twice_the_file_takes_twice_the_time() -> None:
    def of(length: int) -> str:
        return "".join(f"name_{at} = [\n'x']\n" for at in range(length // 16))

    assert twice_the_length_costs(places, of) < LINEAR
