"""Which folders an execution gets: what was granted to it, and nothing that an agent could have led elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from worker_core.checkouts import granting
from worker_core.checkouts.granting import Given, Reserved, given, placed, start_in
from worker_core.checkouts.record import CheckoutError
from worker_core.sandbox import mount_table
from worker_core.sandbox.launcher import GrantedFolder
from worker_core.settings.folders import FolderGrant, read_grant

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the links and paths are POSIX")


class Owner:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reserved = Reserved(own=(folder / "home" / ".worker",))
        for name in ("data/in/deep", "work/out", "other", "home/.worker/state"):
            (folder / name).mkdir(parents=True)

    def grants(self, *texts: str) -> list[FolderGrant]:
        return [read_grant(f"{self.folder}/{one}") for one in texts]

    def given(self, *texts: str, ids: tuple[str, ...] = ("queue", "agent")) -> Given:
        return given(self.grants(*texts), ids=ids, reserved=self.reserved)

    def refusal(self, *texts: str) -> str:
        """Of the last one, which is not given."""
        found = self.given(*texts)
        [refused] = found.refused
        path = texts[-1].partition("=")[0]
        assert f"{self.folder}/{path} " in refused
        assert self.folder / path not in {one.path for one in (*found.folders, *found.copies)}
        return refused


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Owner:
    monkeypatch.setattr(granting, "home_folder", lambda: tmp_path / "home")
    return Owner(tmp_path.resolve())


def test_an_execution_gets_what_is_granted_to_it(owner: Owner) -> None:
    found = owner.given(
        "data=read-only", "work=read-write agent", "other=read-write another", "home/repo=worktree queue"
    )
    assert found.folders == (
        GrantedFolder(path=owner.folder / "data"),
        GrantedFolder(path=owner.folder / "work", writable=True),
    )
    assert [str(one.path) for one in found.copies] == [f"{owner.folder}/home/repo"]
    assert not found.refused
    assert owner.given("data=read-only", "data=read-write agent").folders == (
        GrantedFolder(path=owner.folder / "data", writable=True),
    ), "granted twice, it gets both"
    assert owner.given("work=read-write another") == Given()


def test_one_in_it_may_be_written_where_the_rest_may_only_be_read(owner: Owner) -> None:
    found = owner.given("data=read-only", "data/in=read-write")
    assert {(one.path.name, one.writable) for one in found.folders} == {("data", False), ("in", True)}


@pytest.mark.parametrize("mode", ["read-only", "read-write", "worktree"])
def test_nothing_is_reached_through_what_any_agent_may_write(owner: Owner, mode: str) -> None:
    """There a link could be put in its place: also by an agent of another queue."""
    (owner.folder / "link").symlink_to(owner.folder / "data" / "in")
    for path in ("data/in", "link/deep", "link", "data/in/deep/../deep"):
        assert "which agents may write" in owner.refusal("data=read-write another-agent", f"{path}={mode}")
    (owner.folder / "data" / "in" / "deep").rmdir()
    (owner.folder / "data" / "in" / "deep").symlink_to(owner.folder / "other")
    assert "which agents may write" in owner.refusal("data=read-write another-agent", f"link/deep={mode}")


def test_git_reads_nothing_here_that_an_agent_may_write(owner: Owner) -> None:
    assert "git would read here" in owner.refusal("data/in=read-write another", "data=worktree")
    assert "git would read here" in owner.refusal("data=read-write another", "data=worktree")


def test_what_is_too_wide_or_the_workers_is_not_given(owner: Owner) -> None:
    for path in ("home/.worker", "home/.worker/state"):
        assert "of its own" in owner.refusal(f"{path}=read-only")
    (owner.folder / "to-home").symlink_to(owner.folder / "home")
    owner.reserved = Reserved()
    for path in ("home", "to-home"):
        assert "whole home folder" in owner.refusal(f"{path}=read-only")
    for path in ("/", "/usr", "/etc", "/etc/ssl", "/proc/self", "/dev", "/var"):
        [refused] = given([FolderGrant(path=Path(path), mode="read-write")], ids=(), reserved=Reserved()).refused
        assert "of the system" in refused or "home folder is in it" in refused
    assert "no such folder" in owner.refusal("nowhere=read-only")
    (owner.folder / "circle").symlink_to(owner.folder / "circle")
    assert "cannot be looked at" in owner.refusal("circle=read-only")


def test_nobody_writes_what_the_worker_starts_or_shows_to_others(owner: Owner) -> None:
    (owner.folder / "bin").symlink_to(owner.folder / "data" / "in")
    programs, parts = owner.folder / "bin", owner.folder / "work"
    owner.reserved = Reserved(named=(programs,), program=(parts,))
    assert "which the worker starts" in owner.refusal("data=read-write")
    assert owner.given("data=read-only", "data/in=read-write").folders[1:]
    assert "a part of the worker" in owner.refusal("work/out=read-write")
    assert owner.given("work/out=read-only").folders
    owner.reserved = Reserved(named=(owner.folder / "data" / "not-yet" / "bin",))
    assert "which the worker starts" in owner.refusal("data=read-write"), "it could be made"


@pytest.mark.skipif(sys.platform != "linux", reason="mounts are known there")
def test_what_another_file_system_is_mounted_in_is_not_given(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = owner.folder / "mountinfo"
    listed.write_text(
        f"36 35 98:0 / {owner.folder}/data/in\\040it rw - ext4 /dev/x rw\n36 35 98:0 / {owner.folder}/work rw\n"
    )
    monkeypatch.setattr(mount_table, "_TABLE", listed)
    assert f"is mounted in it, at {owner.folder}/data/in it" in owner.refusal("data=read-only")
    assert owner.given("work=read-write").folders, "one that is mounted itself"


def test_a_repository_may_only_be_read(owner: Owner) -> None:
    (owner.folder / "work" / ".git").mkdir()
    found = owner.given("work=read-write")
    assert found.folders == (GrantedFolder(path=owner.folder / "work"),)
    assert "may only be read: it is a git repository" in found.refused[0]
    assert not owner.given("work=read-only").refused
    (owner.folder / "work" / ".git").rmdir()
    (owner.folder / "work" / ".git").symlink_to("nowhere")
    assert not owner.given("work=read-write").folders[0].writable
    for name in ("HEAD", "objects", "refs"):
        (owner.folder / "other" / name).mkdir()
    assert not owner.given("other=read-write").folders[0].writable, "a bare one"


def test_where_an_execution_begins(owner: Owner) -> None:
    found = owner.given("data=read-only", "work=worktree", "work/out=read-write")
    # A folder of the copy may be written in place: neither is sure, so there is no copy.
    assert "work" not in {one.path.name for one in found.copies}
    assert start_in(f"{owner.folder}/data/in", found) == owner.folder / "data" / "in"
    assert start_in(f"{owner.folder}/work/out/../out", found) == owner.folder / "work" / "out"
    for outside in (f"{owner.folder}/other", f"{owner.folder}/data/../other", "data", "", "/x\0", "~nobody-here/x"):
        assert start_in(outside, found) is None
    (owner.folder / "data" / "link").symlink_to(owner.folder / "other")
    assert start_in(f"{owner.folder}/data/link", found) is None
    with pytest.raises(CheckoutError, match="no such folder"):
        start_in(f"{owner.folder}/data/nowhere", found)
    both = owner.given("data=read-only", "data/in=worktree")
    assert start_in(f"{owner.folder}/data/in/deep", both) is None, "the deeper one is meant: a copy"
    assert start_in(f"{owner.folder}/data", both) == owner.folder / "data"


def test_each_call_is_where_it_may_be_now(owner: Owner) -> None:
    def place(*texts: str) -> Path | None:
        start = str(owner.folder / "data" / "in")
        return placed(owner.grants(*texts), ids=("agent",), reserved=owner.reserved, start=start).start

    assert place("data=read-write") == owner.folder / "data" / "in"
    for grants in ((), ("data=read-write another",), ("data/in/deep=read-write",)):
        with pytest.raises(CheckoutError, match="may not use any more"):
            place(*grants)
    (owner.folder / "data" / "in" / "deep").rmdir()
    (owner.folder / "data" / "in").rmdir()
    (owner.folder / "data" / "in").symlink_to(owner.folder / "other")
    with pytest.raises(CheckoutError, match="may not use any more"):
        place("data=read-write")
    assert placed(owner.grants("data=read-only"), ids=(), reserved=Reserved(), start="").start is None
