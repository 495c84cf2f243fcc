"""Files that go along with a task."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from markdown_it import MarkdownIt

from desktop.models.task_files import LIMIT_BYTES, TaskFile, read_file, with_files
from worker_core.errors import KubiyaError


def test_a_text_file_goes_along_below_the_request(tmp_path: Path) -> None:
    file = tmp_path / "costs.csv"
    file.write_bytes(b"\xef\xbb\xbfday,euro\n1,20\n")
    assert with_files("Sum it up.", [read_file(file)]) == (
        "Sum it up.\n\nFile costs.csv:\n\n```csv\nday,euro\n1,20\n```"
    )
    assert with_files("Sum it up.", []) == "Sum it up."


@given(text=some.text(alphabet="`~ \na", max_size=40))
def test_no_file_ends_its_block_early(text: str) -> None:
    sent = with_files("Look.", [TaskFile(name="a.txt", text=text)])
    found = MarkdownIt().parse(sent)
    kinds = [token.type for token in found if token.nesting != -1 and token.type != "inline"]
    assert kinds == ["paragraph_open", "paragraph_open", "fence" if text.strip() else "paragraph_open"]


def test_a_fence_is_made_in_one_look() -> None:
    many = "`" * 200_000
    assert with_files("Look.", [TaskFile(name="a", text=many)]).endswith(many + "`")


def test_what_cannot_go_along_is_named(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    (tmp_path / "large.txt").write_text("x" * (LIMIT_BYTES + 1))
    (tmp_path / "fits.txt").write_text("x" * LIMIT_BYTES)
    assert read_file(tmp_path / "fits.txt").size_bytes == LIMIT_BYTES
    for name, words in (
        ("photo.png", "photo.png is no text"),
        ("large.txt", "large.txt is too large: all files of a task together have 200 kB"),
        ("gone.txt", "gone.txt cannot be read: No such file"),
        (".", "is no file"),
    ):
        with pytest.raises(KubiyaError, match=words):
            read_file(tmp_path / name)
    with pytest.raises(KubiyaError, match=r"fits\.txt is too large"):
        read_file(tmp_path / "fits.txt", room_bytes=LIMIT_BYTES - 1)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KubiyaError, match="pipe is no file"):
        read_file(tmp_path / "pipe")
