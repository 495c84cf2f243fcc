"""Which workers a queue takes, by their labels."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.control_plane.placement import unmet

OWN = {"gpu": "NVIDIA H200", "pool": "spot", "gpu_count": "8"}


@pytest.mark.parametrize(
    "asked",
    [None, {}, {"gpu": "NVIDIA H200"}, {"gpu": "*h200*", "pool": "sp?t"}, {"gpu_count": 8}, {"gpu": "*"}],
)  # fmt: skip
def test_a_worker_that_has_them_fits(asked: object) -> None:
    assert unmet(asked, OWN) == ""


def test_what_is_missing_is_said() -> None:
    assert unmet({"gpu": "*H100*", "pool": "spot"}, OWN) == (
        "This queue asks for workers with gpu=*H100*. This one has gpu=NVIDIA H200."
    )
    assert unmet({"region": "eu", "gpu": "*H100*"}, OWN) == (
        "This queue asks for workers with region=eu, gpu=*H100*. "
        "This one has none of that name: `--label NAME=VALUE` gives it one."
    )
    assert unmet({"gpu": "*"}, {}) != ""


@pytest.mark.parametrize(
    "asked",
    ["gpu", ["gpu=a"], 3, False, {"gpu": None}, {"gpu": True}, {"gpu": ["a"]}, {3: "a"}, {"gpu": "[a-z]"},
     {"gpu": "a\nb"}, {"gpu": "x" * 101}, {"x" * 61: "a"}, {str(number): "a" for number in range(21)},
     {"gpu": "*a" * 6}, {"\ue000": "a"}, {"gpu": "\U00018d09"}],
)  # fmt: skip
def test_what_cannot_be_read_is_never_met(asked: object) -> None:
    assert "cannot read" in unmet(asked, OWN)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_no_setting_breaks_it(asked: Any) -> None:
    said = unmet(asked, OWN)
    assert said == "" or said.startswith("This queue asks for workers ")
    assert said.isprintable()
