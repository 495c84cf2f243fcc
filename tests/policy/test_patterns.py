"""Patterns fit what their description says, by a slow matcher that tries everything."""

from __future__ import annotations

import functools
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker_core.policy.patterns import path_fits, text_pattern


def fits(pattern: str, text: str) -> bool:
    """`**` is any text, also nothing with the slash behind it; `*` any text without a slash, `?` one character."""

    @functools.cache
    def at(i: int, j: int) -> bool:
        if i == len(pattern):
            return j == len(text)
        if pattern[i:] and not pattern[i:].replace("/**", ""):
            return j == len(text) or text[j] == "/"
        if pattern.startswith("**", i):
            begins = (i == 0 or pattern[i - 1] == "/") and (j == 0 or text[j - 1] == "/")
            if pattern.startswith("/", i + 2) and begins and at(i + 3, j):
                return True
            return at(i + 2, j) or (j < len(text) and at(i, j + 1))
        if pattern[i] == "*":
            return at(i + 1, j) or (j < len(text) and text[j] != "/" and at(i, j + 1))
        return j < len(text) and (pattern[i] == text[j] or (pattern[i] == "?" and text[j] != "/")) and at(i + 1, j + 1)

    return at(0, 0)


parts = st.sampled_from(["**", "*", "a", "ab", "a*", "*b", "a*b", "*a*", "a**b", "?", "b"])
names = st.text(st.sampled_from("ab"), min_size=1, max_size=4)


@given(st.lists(parts, min_size=1, max_size=5), st.lists(names, min_size=1, max_size=5))
@example(["**", "a", "**", "b", "*"], ["a", "x", "a", "b", "c"])
@example(["a**b"], ["a", "b"])
@example(["*", "**", "**"], ["a"])
@example(["**", "a", "*"], ["aa", "a"])
def test_paths(pattern: list[str], path: list[str]) -> None:
    wanted, text = "/" + "/".join(pattern), "/" + "/".join(path)
    plain = wanted
    while "/**/**" in plain:  # any folders, twice, are any folders
        plain = plain.replace("/**/**", "/**")
    assert path_fits(wanted, text, workspace="/w", inside=False) == fits(plain, text)


@given(st.text(st.sampled_from("ab* ?"), max_size=8), st.text(st.sampled_from("ab "), max_size=10))
def test_texts(pattern: str, text: str) -> None:
    wanted = pattern.removesuffix(" *") if pattern.endswith(" *") else pattern
    simple = wanted.replace("*", "**")
    expected = fits(simple, text)
    if pattern.endswith(" *"):
        expected = expected or any(text[at] == " " and fits(simple, text[:at]) for at in range(len(text)))
    assert (text_pattern(pattern).fullmatch(text) is not None) == expected


def test_a_rule_about_a_device_that_leads_nowhere_fits_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, `realpath` raises where a device does not answer (the source of CPython's `ntpath`)."""

    def refuses(path: str) -> str:
        raise OSError(31, "A device attached to the system is not functioning", path)

    monkeypatch.setattr(os.path, "realpath", refuses)
    assert path_fits("/dev/of-this-test/*", "/dev/of-this-test/x", workspace="/w", inside=False)
    assert not path_fits("/dev/of-this-test/*", "/dev/other", workspace="/w", inside=False)
