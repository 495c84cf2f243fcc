from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from worker_core.basics import temporary
from worker_core.basics.temporary import have_one, systems_folder


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process that has not asked for a folder yet, in somebody's project, where the system's are no folders."""
    project = tmp_path / "project"
    project.mkdir()
    for name in temporary.VARIABLES:
        monkeypatch.setenv(name, str(tmp_path / "missing"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "missing"), str(Path.cwd())])
    monkeypatch.chdir(project)
    return project


def own(tmp_path: Path) -> Path:
    made = tmp_path / "own"
    made.mkdir(exist_ok=True)
    return made


def test_the_systems_is_taken_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert have_one(lambda: own(tmp_path)) == ""
    assert systems_folder() == str(tmp_path)
    assert not (tmp_path / "own").exists()


def test_who_names_the_folder_that_he_works_in_gets_it(
    asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(asked))
    assert have_one(lambda: own(tmp_path)) == ""


@pytest.mark.skipif(os.name != "posix", reason="Windows' places are others, and depend on the user's profile")
def test_somebodys_project_is_no_folder_for_temporary_files(asked: Path, tmp_path: Path) -> None:
    said = have_one(lambda: own(tmp_path))
    assert str(tmp_path / "own") in said
    assert str(tmp_path / "missing") in said
    assert "TMPDIR" in said
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).parent == tmp_path / "own"
    assert os.environ["TMPDIR"] == str(tmp_path / "own"), "programs that it starts need one as well"
    assert list(asked.iterdir()) == []
    assert have_one(lambda: own(tmp_path)) == "", "it is asked once"
