"""Limits as texts, and as a table of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.settings import SETTINGS, read
from worker_core.settings.budget import KINDS, SCOPES, Limit, narrowest, read_limit


def of_file(folder: Path, text: str) -> list[str]:
    file = folder / "config.toml"
    file.write_text(text)
    return [str(one) for one in read(environ={}, file=file).settings().budget]


def test_a_table_reads_like_a_list(tmp_path: Path) -> None:
    table = '[budget]\nturn.tokens = 2_000\nday.cost = 5.5\n[budget.execution]\nwall_time = "2 h"\n'
    assert of_file(tmp_path, table) == ["turn.tokens=2000", "day.cost=5.5", "execution.wall_time=2 h"]
    listed = 'budget = ["turn.tokens=2000", "day.cost=5.5", "execution.wall_time=2 h"]\n'
    assert of_file(tmp_path, listed) == of_file(tmp_path, table)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[budget]\nturn.tokens = 0\n", "of its line 'turn.tokens=0': an amount must be a number, and more than 0"),
        ("[budget]\nturn.tokens = 1.5\n", "tokens must be a whole number"),
        ("[budget]\nturn.tokens = true\n", "turn.tokens must be a number or a text"),
        ("[budget]\nturn = [1]\n", "turn must be a number or a text"),
        ("[budget]\nturn.spoons = 1\n", "each limit is SCOPE.WHAT=AMOUNT"),
        ('[budget]\nlog_level = "DEBUG"\n', "of its line 'log_level=DEBUG'"),
        ('budget = ["turn.cost=nan"]\n', "an amount must be a number"),
        ('[budget]\nturn.wall_time = "soon"\n', "turn.wall_time=soon"),
    ],
)
def test_what_is_no_limit_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    [fault] = read(environ={}, file=file).faults
    assert said in fault.sentence
    assert fault.line == 1


@given(
    st.lists(
        st.builds(
            Limit, scope=st.sampled_from(SCOPES), kind=st.sampled_from(KINDS), amount=st.integers(1, 10**9).map(float)
        )
    )
)
def test_the_narrowest_holds_and_texts_say_the_same(limits: list[Limit]) -> None:
    assert [read_limit(str(one)) for one in limits] == limits
    found = narrowest(limits, [])
    assert found == narrowest([], reversed(limits))
    assert all(found[one.scope, one.kind] <= one.amount for one in limits)
    assert SETTINGS["budget"].read(", ".join(map(str, limits))) == tuple(dict.fromkeys(limits))
