"""Files that executions left: found, and copied out as they are, whatever an agent made of their names and folders."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.engine import home
from worker_core.cli.artefacts import command
from worker_core.workspaces.artefacts import ArtefactError, all_left, chosen, export, left_by, left_in, save
from worker_core.workspaces.workspace import Workspace

GENEROUS = 1 << 30


@pytest.fixture
def workspaces(tmp_path: Path) -> Path:
    folder = tmp_path / "workspaces"
    for name, content in (("report.md", "# One\n"), ("charts/a.png", "png"), ("charts/b.png", "png2")):
        Workspace.open(folder, "3f9a-one").write(name, [content.encode()])
    Workspace.open(folder, "3f9a-one").save_output("call", [b"whole output"])
    Workspace.open(folder, "3f9b-two").write("data.csv", [b"a,b\n"])
    Workspace.open(folder, "3f9c-none")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if not one.is_dir())


def test_who_left_what(workspaces: Path) -> None:
    assert [(one.execution_id, len(one.files), one.size_bytes) for one in all_left(workspaces)] == [
        ("3f9a-one", 3, 13), ("3f9b-two", 1, 4),
    ]  # fmt: skip
    assert [one.path for one in left_by(workspaces, "3f9a").files] == ["report.md", "charts/a.png", "charts/b.png"]
    assert left_by(workspaces, "3f9c-none").files == ()
    for beginning in ("3f9", "", "4", "..", "../workspaces/3f9a-one", "*"):
        with pytest.raises(ArtefactError, match="begin"):
            left_by(workspaces, beginning)
    assert not list(all_left(workspaces / "nowhere"))


def test_files_are_copied_as_they_are(workspaces: Path, tmp_path: Path) -> None:
    left, to = left_by(workspaces, "3f9a"), tmp_path / "to" / "there"
    assert export(left, chosen(left.files, ["charts"]), to=to, limit_bytes=GENEROUS) == 7
    assert names(to) == ["charts/a.png", "charts/b.png"]
    assert export(left, chosen(left.files, ["*.md"]), to=to, limit_bytes=GENEROUS) == 6
    assert (to / "report.md").read_text() == "# One\n"
    with pytest.raises(ArtefactError, match="is there already; nothing was copied"):
        export(left, left.files, to=to, limit_bytes=GENEROUS)
    export(left, left.files, to=to, limit_bytes=GENEROUS, replace=True)
    with pytest.raises(ArtefactError, match="It left no file"):
        chosen(left.files, [".kubiya/outputs/call.txt"])


def test_no_more_than_is_allowed(workspaces: Path, tmp_path: Path) -> None:
    left, to = left_by(workspaces, "3f9a"), tmp_path / "to"
    with pytest.raises(ArtefactError, match="13 B, and at most 12 B are copied; nothing was"):
        export(left, left.files, to=to, limit_bytes=12)
    assert not to.exists()
    Workspace.open(workspaces, "3f9a-one").write("report.md", [b"x" * 1000])
    with pytest.raises(ArtefactError, match=r"0 of 3 files were copied; .* it grew meanwhile"):
        export(left, left.files, to=to, limit_bytes=20)
    assert not names(to), "no part of it"


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_no_link_is_followed_on_either_side(workspaces: Path, tmp_path: Path) -> None:
    left, to, secret = left_by(workspaces, "3f9a"), tmp_path / "to", tmp_path / "secret"
    secret.mkdir()
    (secret / "a.png").write_text("secret")
    charts = left.workspace.path / "charts"
    (charts / "a.png").unlink()
    (charts / "a.png").symlink_to(secret / "a.png")
    with pytest.raises(ArtefactError, match="1 of 3 files were copied"):
        export(left, left.files, to=to, limit_bytes=GENEROUS)
    (charts / "a.png").unlink()
    (charts / "b.png").unlink()
    charts.rmdir()
    charts.symlink_to(secret)
    with pytest.raises(ArtefactError, match=r"'charts/a\.png' was not"):
        export(left, left.files, to=tmp_path / "again", limit_bytes=GENEROUS)
    (to / "charts").rmdir()
    (to / "charts").symlink_to(secret)
    left = left_by(workspaces, "3f9a")
    Workspace.open(workspaces, "3f9b-two").write("charts/new.png", [b"new"])
    other = left_by(workspaces, "3f9b")
    with pytest.raises(ArtefactError, match=r"'charts/new\.png' was not"):
        export(other, chosen(other.files, ["charts"]), to=to, limit_bytes=GENEROUS)
    assert names(secret) == ["a.png"]
    assert (secret / "a.png").read_text() == "secret"


def test_the_command(workspaces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBIYA_WORKER_HOME", str(tmp_path))
    home(tmp_path).state.mkdir(exist_ok=True)
    workspaces.rename(home(tmp_path).workspaces)

    def said(*words: str) -> str:
        result = CliRunner().invoke(command, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "3f9a-one" in said()
    shown = said("show", "3f9a")
    assert "charts/a.png" in shown
    assert "6 B" in shown
    listed = json.loads(said("--json"))["executions"]
    assert {one["execution_id"]: one["files"] for one in listed} == {"3f9a-one": 3, "3f9b-two": 1}
    assert json.loads(said("show", "3f9b", "--json"))["files"][0]["path"] == "data.csv"
    to = tmp_path / "to"
    assert said("export", "3f9a", "charts/*.png", "--to", str(to)) == f"2 files, 7 B, copied into {to}.\n"
    done = json.loads(said("export", "3f9b", "--to", str(to), "--json"))
    assert done == {"to": str(to), "size_bytes": 4, "files": ["data.csv"]}


def test_one_file_is_saved_where_its_owner_wants_it_over_what_is_there(workspaces: Path, tmp_path: Path) -> None:
    left = left_in(workspaces, "3f9a-one")
    [chart] = chosen(left.files, ["charts/b.png"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.png").write_text("before")
    save(left, chart, to=tmp_path / "mine" / "own.png")
    assert (tmp_path / "mine" / "own.png").read_text() == "png2"
    assert sorted(one.name for one in (tmp_path / "mine").iterdir()) == ["own.png"]
    (left.workspace.path / "charts" / "b.png").write_text("png2 and what came later")
    save(left, chart, to=tmp_path / "later.png")
    assert (tmp_path / "later.png").read_text() == "png2", "as long as it was when it was listed"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_what_was_led_elsewhere_is_not_saved_and_no_link_is_written_through(workspaces: Path, tmp_path: Path) -> None:
    left = left_in(workspaces, "3f9a-one")
    [report] = chosen(left.files, ["report.md"])
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link.md").symlink_to("target")
    save(left, report, to=tmp_path / "link.md")
    assert (tmp_path / "target").read_text() == "kept"
    secret = tmp_path / "secret"
    secret.write_text("key")
    (left.workspace.path / "report.md").unlink()
    (left.workspace.path / "report.md").symlink_to(secret)
    with pytest.raises(ArtefactError):
        save(left, report, to=tmp_path / "out.md")
    (left.workspace.path / "report.md").unlink()
    for place in (tmp_path / "out.md", tmp_path / "no" / "out.md"):
        with pytest.raises(ArtefactError, match="not saved"):
            save(left, report, to=place)
    assert not (tmp_path / "out.md").exists()
    with pytest.raises(ArtefactError, match="not on this machine"):
        left_in(workspaces, "3f9")
