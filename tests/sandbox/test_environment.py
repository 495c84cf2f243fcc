from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.sandbox.environment import CALL_MARK, tool_environment

INHERITED = {
    "PATH": "/bin", "HOME": "/home/me", "LC_ALL": "C", "LANG": "C", "KUBIYA_API_KEY": "k", "LITELLM_API_KEY": "l",
    "AWS_SECRET_ACCESS_KEY": "a", "TEMPORAL_API_KEY": "t", "RANDOM": "r", "PYTHONPATH": "/x", "LD_PRELOAD": "/x.so",
}  # fmt: skip


def test_only_listed_variables_are_inherited() -> None:
    got = tool_environment({}, call_mark="e/c", inherited=INHERITED)
    assert set(got) == {"PATH", "HOME", "LC_ALL", "LANG", CALL_MARK}


def test_declared_variables_are_added_and_win() -> None:
    got = tool_environment({"HOME": "/elsewhere", "GH_TOKEN": "g"}, call_mark="e/c", inherited=INHERITED)
    assert (got["HOME"], got["GH_TOKEN"]) == ("/elsewhere", "g")


@pytest.mark.parametrize(
    "name",
    ["KUBIYA_API_KEY", "LITELLM_API_KEY", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PYTHONPATH", "BASH_ENV", "ENV",
     "NODE_OPTIONS", "BASH_FUNC_ls%%", "SHELLOPTS", "BASHOPTS", "", "A=B", "A\0B", "A\ud800"],
)  # fmt: skip
def test_declared_variables_that_are_not_passed(name: str) -> None:
    assert set(tool_environment({name: "x"}, call_mark="e/c", inherited={})) == {CALL_MARK}


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_declared_values_that_no_process_can_have(value: str) -> None:
    assert "X" not in tool_environment({"X": value}, call_mark="e/c", inherited={})


def test_the_mark_is_the_calls_own_and_cannot_be_declared() -> None:
    first, second = (tool_environment({CALL_MARK: "mine"}, call_mark="e/c", inherited={})[CALL_MARK] for _ in "12")
    assert first != second
    assert first.startswith("e/c/")


def test_a_frozen_workers_libraries_are_not_for_its_children() -> None:
    inherited = {"LD_LIBRARY_PATH": "/frozen", "LD_LIBRARY_PATH_ORIG": "/usr/own"}
    assert tool_environment({}, call_mark="", inherited=inherited)["LD_LIBRARY_PATH"] == "/usr/own"


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_whatever_is_declared_a_process_can_have_it(declared: dict[str, str], mark: str) -> None:
    for name, value in tool_environment(declared, call_mark=mark, inherited={}).items():
        assert name
        assert b"=" not in os.fsencode(name)
        assert b"\0" not in os.fsencode(name + value)
