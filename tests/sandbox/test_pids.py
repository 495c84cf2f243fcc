"""Where control groups can be made: what this process's place in the hierarchies says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from worker_core.sandbox.pids import ProcessGroups, _base

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")

ROOT = hasattr(os, "getuid") and os.getuid() == 0


def mount(folder: Path, own: str, **files: str) -> tuple[Path, Path]:
    """A hierarchy made of plain files, and what /proc/self/cgroup says."""
    for name, text in files.items():
        file = folder / "cgroup" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    said = folder / "self"
    said.write_text(own)
    return folder / "cgroup", said


def test_the_first_version_has_a_hierarchy_for_it(tmp_path: Path) -> None:
    where = mount(tmp_path, "9:name=systemd:/\n8:pids:/docker/abc\n0::/\n", **{"pids__docker__abc__pids.max": "max"})
    assert _base(*where) == where[0] / "pids" / "docker" / "abc"
    where = mount(tmp_path, "8:pids:/somewhere/else\n")
    assert _base(*where) is None, "not mounted here"


def test_the_second_version_counts_where_it_is_delegated(tmp_path: Path) -> None:
    name = "user.slice__cgroup.subtree_control"
    where = mount(tmp_path, "0::/user.slice\n", **{name: "cpu memory pids\n"})
    assert _base(*where) == where[0] / "user.slice"


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert _base(tmp_path, tmp_path / "no file") is None
    for said in ("", "nonsense\n", "0::/\n", "1:cpu:/\n"):
        assert _base(*mount(tmp_path, said)) is None


@pytest.mark.skipif(not ROOT, reason="an ordinary user's processes are counted by the kernel")
def test_a_group_that_cannot_be_made_is_none_and_what_was_killed_is_tidied_up(tmp_path: Path) -> None:
    where = mount(tmp_path, "8:pids:/\n", pids__tasks="")
    left = where[0] / "pids" / "kubiya-999999999-1"
    left.mkdir()
    groups = ProcessGroups.find(mount=where[0], own=where[1])
    assert groups is not None
    assert not left.exists()
    (where[0] / "pids" / "tasks").unlink()
    for made in (where[0] / "pids").iterdir():
        for file in made.iterdir():
            file.unlink()
        made.rmdir()
    (where[0] / "pids").rmdir()
    assert groups.new(limit=3) is None
    assert ProcessGroups.find(mount=where[0], own=where[1]) is None
