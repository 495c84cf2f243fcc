from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.basics.windows_names import at_any_length
from worker_core.workspaces import workspace as workspace_module
from worker_core.workspaces.workspace import OutsideWorkspace, Workspace, safe_name


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "all", "one")


def test_it_is_private_and_the_same_again(tmp_path: Path) -> None:
    first, again = (Workspace.open(tmp_path / "all", "one") for _ in range(2))
    assert first.path == again.path
    if os.name != "nt":
        assert first.path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("path", ["a", "a/b", "./a", "a/../b", "a/", "", ".", "ü", "a b", "..a"])
def test_paths_inside(workspace: Workspace, path: str) -> None:
    assert workspace.resolve(path).is_relative_to(workspace.path)


@pytest.mark.parametrize("path", ["...", "a.", "con", "a/NUL.txt", "b:c", "com1"])
def test_names_that_windows_keeps_for_itself_are_refused_there(workspace: Workspace, path: str) -> None:
    """In the form without a limit it would make them, and its programs could not remove them again (Microsoft's "Naming
    Files, Paths, and Namespaces")."""
    if os.name != "nt":
        assert workspace.make_folder(path).is_dir()
        return
    with pytest.raises(OutsideWorkspace):
        workspace.make_folder(path)


def test_whatever_the_system_is_asked_for_is_asked_in_the_form_without_a_limit(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows takes 260 characters of a path otherwise (Microsoft's "Maximum Path Length Limitation")."""
    deep = "/".join(["a folder with a name of fifty characters, as it is"] * 8)
    asked: list[str] = []

    def remember(path: str) -> str:
        asked.append(path)
        return at_any_length(path)

    monkeypatch.setattr(workspace_module, "at_any_length", remember)
    folder = workspace.make_folder(deep)
    assert folder == workspace.path / deep
    assert asked == [str(workspace.path / deep)] * 2  # to follow links, and to make it
    assert os.path.isdir(at_any_length(str(folder)))  # noqa: PTH112 -- Path's knows no such form on Windows
    assert workspace.resolve(f"{deep}/..") == folder.parent
    assert workspace.write(f"{deep}/file", [b"x"]) == f"{deep}/file"


def test_a_link_beyond_260_characters_does_not_lead_out(workspace: Workspace, tmp_path: Path) -> None:
    deep = "/".join(["a folder with a name of fifty characters, as it is"] * 8)
    folder = workspace.make_folder(deep)
    try:
        Path(at_any_length(str(folder / "out"))).symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("this user may make no links here")
    with pytest.raises(OutsideWorkspace):
        workspace.resolve(f"{deep}/out/file")


@pytest.mark.parametrize(
    "path", ["..", "../x", "a/../../x", "/etc/passwd", "/", "a/../../one-more/x", "\0", "a\0b", "../one"]
)
def test_paths_that_are_refused(tmp_path: Path, workspace: Workspace, path: str) -> None:
    if path == "../one":  # out and in again: harmless
        assert workspace.resolve(path) == workspace.path
        return
    with pytest.raises(OutsideWorkspace) as refused:
        workspace.resolve(path)
    assert str(refused.value).endswith(".")


def test_links(tmp_path: Path, workspace: Workspace) -> None:
    (workspace.path / "out").symlink_to(tmp_path)
    (workspace.path / "in").symlink_to("real")
    (workspace.path / "circle").symlink_to("circle")
    assert workspace.resolve("in") == workspace.path / "real"
    for path in ("out", "out/x", "in/../out/x"):
        with pytest.raises(OutsideWorkspace):
            workspace.resolve(path)
    if os.name != "nt":
        (workspace.path / "root").symlink_to("/proc/self/root/etc")
        with pytest.raises(OutsideWorkspace):
            workspace.resolve("root/passwd")
    with contextlib.suppress(OutsideWorkspace):  # raised before Python 3.13; later it is a path that cannot be opened
        assert workspace.resolve("circle").is_relative_to(workspace.path)


def test_a_very_long_path_gives_a_short_sentence(workspace: Workspace) -> None:
    with pytest.raises(OutsideWorkspace) as refused:
        workspace.resolve("../" + "x" * 100_000)
    assert len(str(refused.value)) < 400


def test_an_output_is_saved_and_replaced(workspace: Workspace) -> None:
    workspace.save_output("call-1", [b"first, longer"])
    saved = workspace.save_output("call-1", [b"sec", b"ond"])
    assert (workspace.path / saved).read_bytes() == b"second"
    assert re.fullmatch(r"\.kubiya/outputs/call-1\.txt", saved)
    if os.name != "nt":
        assert (workspace.path / saved).stat().st_mode & 0o777 == 0o600


def test_an_output_is_not_written_through_links(tmp_path: Path, workspace: Workspace) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = workspace.path / ".kubiya" / "outputs"
    folder.mkdir(parents=True)
    (folder / "call.txt").symlink_to(victim)
    workspace.save_output("call", [b"x"])
    assert victim.read_text() == "mine"
    (folder / "call.txt").unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(OutsideWorkspace):
        workspace.save_output("call", [b"x"])


@given(st.text(max_size=300), st.text(max_size=300))
def test_names_are_safe_and_distinct(first: str, second: str) -> None:
    names = safe_name(first), safe_name(second)
    for name in names:
        assert re.fullmatch(r"[a-z0-9_-]{1,64}", name)
    assert (names[0] == names[1]) == (first == second)


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "con", "nul", "com1", "lpt9", "x" * 65, "\ud800", "a\n"])
def test_names_that_are_not_taken_as_they_are(name: str) -> None:
    assert re.fullmatch(r"x[0-9a-f]{40}", safe_name(name))
    assert safe_name(f"{name}-plain") != safe_name(name)
