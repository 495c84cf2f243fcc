from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from worker_core.workspaces.sweeping import LONGEST_WAIT, WorkspaceSweep, mark_ended
from worker_core.workspaces.workspace import Workspace

KEPT = timedelta(hours=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "workspaces"


def sweep(root: Path, *, later: timedelta = timedelta(0), in_use: tuple[str, ...] = (), keep: bool = False) -> int:
    return WorkspaceSweep(
        root, kept=KEPT, keep_failed=keep, in_use=lambda: in_use, now=lambda: time.time() + later.total_seconds()
    ).run()


def names(root: Path) -> list[str]:
    return sorted(one.name for one in root.iterdir())


def test_the_ended_go_after_their_time_and_their_marks_with_them(root: Path) -> None:
    Workspace.open(root, "over").write("file", [b"x"])
    mark_ended(root, "over", "completed")
    assert sweep(root) == 0
    assert sweep(root, later=KEPT - timedelta(minutes=1)) == 0
    assert sweep(root, later=KEPT + timedelta(minutes=1)) == 1
    assert names(root) == []


def test_one_whose_end_was_not_seen_may_still_wait_for_its_user(root: Path) -> None:
    Workspace.open(root, "waiting")
    assert sweep(root, later=LONGEST_WAIT - timedelta(minutes=1)) == 0
    assert sweep(root, later=LONGEST_WAIT + timedelta(minutes=1)) == 1


def test_what_runs_is_spared_and_what_began_again_too(root: Path) -> None:
    for name in ("running", "again"):
        Workspace.open(root, name)
        mark_ended(root, name, "completed")
    os.utime(root / "again", (time.time() + 60, time.time() + 60))
    assert sweep(root, later=timedelta(hours=3), in_use=("running",)) == 0
    assert sweep(root, later=timedelta(days=3)) == 2


def test_failed_ones_are_kept_where_that_is_asked(root: Path) -> None:
    for name, status in (("bad", "failed"), ("good", "completed"), ("stopped", "cancelled")):
        Workspace.open(root, name)
        mark_ended(root, name, status)
    assert sweep(root, later=timedelta(days=100), keep=True) == 2
    assert names(root) == ["bad", "bad.ended"]
    assert sweep(root, later=timedelta(days=100)) == 1


def test_marks_of_folders_that_are_gone_are_tidied_up(root: Path) -> None:
    Workspace.open(root, "gone")
    mark_ended(root, "gone", "completed")
    (root / "gone").rmdir()
    mark_ended(root, "never-here", "failed")
    assert names(root) == ["gone.ended"]
    assert sweep(root) == 0
    assert names(root) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_out_are_removed_and_not_followed(root: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "mine").write_text("mine")
    workspace = Workspace.open(root, "over")
    (workspace.path / "out").symlink_to(victim)
    (root / "planted").symlink_to(victim)
    assert sweep(root, later=timedelta(days=100)) == 2
    assert names(root) == []
    assert (victim / "mine").read_text() == "mine"


def test_it_is_due_at_start_and_a_day_later(root: Path) -> None:
    now = [1000.0]
    one = WorkspaceSweep(root, kept=KEPT, keep_failed=False, in_use=tuple, now=time.time, steady=lambda: now[0])
    assert one.due
    assert one.run() == 0
    now[0] += 86_000
    assert not one.due
    now[0] += 1_000
    assert one.due


def test_nothing_goes_while_nobody_knows_the_time(root: Path) -> None:
    Workspace.open(root, "over")
    mark_ended(root, "over", "completed")
    told: list[float | None] = [None]
    one = WorkspaceSweep(root, kept=KEPT, keep_failed=False, in_use=tuple, now=lambda: told[0])
    assert not one.due
    assert one.run() == 0
    told[0] = time.time() + 86_400
    assert one.due
    assert one.run() == 1


@pytest.mark.parametrize("seen", [True, False])
def test_what_was_made_before_the_machine_knew_the_time_is_not_old(root: Path, *, seen: bool) -> None:
    Workspace.open(root, "young")
    os.utime(root / "young", (3600.0, 3600.0))
    if seen:
        mark_ended(root, "young", "completed")
        os.utime(root / "young.ended", (3700.0, 3700.0))
    assert sweep(root) == 0
    assert "young" in names(root)
    assert sweep(root, later=LONGEST_WAIT + timedelta(hours=1)) == 1, "it is dated from then on"
