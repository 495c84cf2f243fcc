from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.basics.windows_names import (
    as_people_write_it,
    at_any_length,
    is_name_of_windows,
    is_too_long_to_begin_in,
)
from worker_core.sandbox import files_child

TEXTS = st.text(st.sampled_from("aux.nul com1\\/:C?*\u00b9"), max_size=20)


@pytest.mark.parametrize(
    "path",
    [
        "a.txt",
        "a/b.c/d",
        ".",
        "..",
        "../x",
        "auxiliary",
        "com",
        "com10",
        "comx",
        "C:/x/y",
        ".hidden",
        "a b.txt",
        "nul_",
    ],
)
def test_names_of_files(path: str) -> None:
    assert is_name_of_windows(path)


@pytest.mark.parametrize(
    "path",
    ["nul", "NUL.txt", "sub/Aux", "com1", "COM\u00b9.x", "lpt9.tar.gz", "con .txt", "a.", "a ", "sub /x",
     "a.txt:stream", "C:x:y", "conout$"],
)  # fmt: skip
def test_names_that_are_something_else(path: str) -> None:
    """Of Microsoft's "Naming Files, Paths, and Namespaces"."""
    assert not is_name_of_windows(path)


@pytest.mark.parametrize(
    ("path", "long"),
    [
        (r"C:\w\a", "\\\\?\\C:\\w\\a"),
        ("C:/w/./b/../a", "\\\\?\\C:\\w\\a"),
        (r"\\server\share\a", "\\\\?\\UNC\\server\\share\\a"),
        ("\\\\?\\C:\\w", "\\\\?\\C:\\w"),
        ("relative", "relative"),
        ("/posix", "/posix"),
    ],
)
def test_paths_of_any_length(path: str, long: str) -> None:
    """Of Microsoft's "Maximum Path Length Limitation"."""
    assert at_any_length(path, windows=True) == long
    assert at_any_length(path, windows=False) == path


@pytest.mark.parametrize("path", [r"C:\w\a", r"\\server\share\a", "relative", "/posix", "C:\\"])
def test_the_form_of_any_length_can_be_undone(path: str) -> None:
    assert as_people_write_it(at_any_length(path, windows=True)) == path


def test_no_process_begins_in_a_folder_that_is_too_long() -> None:
    """Microsoft's `SetCurrentDirectory`: at most MAX_PATH - 2 characters without the `\\` at the end."""
    most = "C:\\" + "x" * 255
    assert not is_too_long_to_begin_in(most, windows=True)
    assert not is_too_long_to_begin_in(most + "\\", windows=True)
    assert is_too_long_to_begin_in(most + "x", windows=True)
    assert not is_too_long_to_begin_in(most + "x", windows=False)


@given(TEXTS)
def test_the_file_tools_program_has_the_same(path: str) -> None:
    assert files_child.is_name_of_windows(path) == is_name_of_windows(path)
    assert files_child.at_any_length(path, windows=True) == at_any_length(path, windows=True)
