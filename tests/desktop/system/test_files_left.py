"""Files that an execution left, as the window lists and saves them: an agent chose what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.system.files_left import FilesLeft, name_for
from worker_core.basics.windows_names import is_name_of_windows
from worker_core.workspaces.workspace import Workspace


async def test_they_are_listed_and_saved(tmp_path: Path) -> None:
    Workspace.open(tmp_path / "w", "e").write("out/report.md", [b"# One\n"])
    files = FilesLeft(workspaces=tmp_path / "w")
    assert files.has_place("e")
    assert not files.has_place("other")
    left = await files.of("e")
    assert [one.path for one in left.files] == ["out/report.md"]
    await files.save(left, left.files[0], to=tmp_path / "mine.md")
    assert (tmp_path / "mine.md").read_text() == "# One\n"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("out/report.md", "report.md"),
        ("a/..", "file"),
        ("a/.bashrc", "bashrc"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ('a\\b:c*?"<>|.txt', "a_b_c______.txt"),
        ("nul.txt", "file_nul.txt"),
        ("line\nbreak.md", "line_break.md"),
        ("name. . ", "name"),
        ("w" * 300 + ".pdf", "w" * 100 + ".pdf"),
        ("w" * 300, "w" * 120),
        ("grün 報告.pdf", "grün 報告.pdf"),
    ],
)
def test_what_one_is_called_where_it_is_saved(path: str, name: str) -> None:
    assert name_for(path) == name


@given(st.text(max_size=400))
def test_it_is_always_one_name_that_every_system_takes(path: str) -> None:
    name = name_for(path)
    assert 0 < len(name) <= 126
    assert not set(name) & set('<>:"/\\|?*\n\t\0')
    assert not name.startswith(".")
    assert is_name_of_windows(name)
