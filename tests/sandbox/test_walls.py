"""What lies in what, of paths: asked a hundred times before each call, and part of what hides the worker's files."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from worker_core.sandbox.walls import lies_in, outermost

PATHS = st.lists(st.sampled_from(["a", "ab", "a b", "A", "..a", "ä"]), max_size=4).map(lambda parts: Path("/", *parts))


@given(PATHS, PATHS)
def test_a_path_lies_in_another_as_pathlib_says(path: Path, folder: Path) -> None:
    assert lies_in(path, folder) == path.is_relative_to(folder)


@given(st.lists(PATHS))
def test_the_outermost_hold_all_and_not_each_other(paths: list[Path]) -> None:
    found = outermost(paths)
    assert set(found) <= set(paths)
    assert all(any(path.is_relative_to(one) for one in found) for path in paths)
    assert not any(one.is_relative_to(other) for one in found for other in found if one != other)
