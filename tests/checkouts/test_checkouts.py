"""Working copies of a repository: what is granted, made, shown, merged and discarded, and what cannot happen."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from worker_core.checkouts.changes import CheckoutChanges
from worker_core.checkouts.making import WorkingFolder, prepare
from worker_core.checkouts.record import Checkout, CheckoutError, CheckoutRecords
from worker_core.paths import Paths
from worker_core.sandbox.choice import choose
from worker_core.sandbox.direct import DirectLauncher
from worker_core.settings import Settings
from worker_core.settings.folders import FolderGrant, read_grant

ID = "an-execution"


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Owner", "-c", "user.email=owner@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("one\ntwo\n")
    (folder / "sub" / "b.txt").write_text("b\n")
    git(folder, "init", "-q")
    git(folder, "config", "user.name", "Owner")
    git(folder, "config", "user.email", "owner@example.org")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "begin")
    (folder / "unsaved.txt").write_text("not committed\n")
    return folder


class Machine:
    def __init__(self, folder: Path) -> None:
        self.workspaces, self.records = folder / "workspaces", CheckoutRecords(folder / "checkouts")
        self.changes = CheckoutChanges(self.records, workspaces=self.workspaces, launcher=DirectLauncher())

    def prepare(self, wanted: Path | str, *grants: str, ids: tuple[str, ...] = ("queue", "agent")) -> WorkingFolder:
        return prepare(
            str(wanted), execution_id=ID, ids=ids, grants=[read_grant(one) for one in grants], records=self.records,
            workspaces=self.workspaces,
        )  # fmt: skip

    @property
    def copy(self) -> Path:
        return self.workspaces / ID

    @property
    def checkout(self) -> Checkout:
        return self.records.one(ID[:5])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "state")


def as_it_is(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, git's own among them."""
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


async def test_a_granted_repository_is_worked_on_in_a_copy_and_merged(repository: Path, machine: Machine) -> None:
    before = as_it_is(repository)
    made = machine.prepare(repository / "sub", f"{repository}=worktree")
    assert f"a copy of {repository}" in made.sentence
    assert "in its folder sub" in made.note
    assert as_it_is(repository) == before, "nothing of the owner's is written"
    assert not (machine.copy / "unsaved.txt").exists()
    assert git(machine.copy, "branch", "--show-current") == f"kubiya/{ID}"

    (machine.copy / "a.txt").write_text("one\nTWO\n")
    git(machine.copy, "commit", "-q", "-am", "by the agent")
    (machine.copy / "new.txt").write_text("not committed by the agent\n")
    (machine.copy / ".kubiya").mkdir(exist_ok=True)
    (machine.copy / ".kubiya" / "transcript.jsonl").write_text("{}\n")
    changes = await machine.changes.of(machine.checkout)
    assert [(one.path, one.added, one.removed) for one in changes.files] == [("a.txt", 1, 1), ("new.txt", 1, 0)]
    assert "+TWO" in changes.diff
    assert as_it_is(repository) == before
    assert git(machine.copy, "status", "--porcelain") == "?? new.txt", "the agent's own index is left alone"

    said = await machine.changes.merge(machine.checkout, seal=changes.seal)
    assert said == f"Merged into {repository}, by the branch kubiya/{ID}."
    assert (repository / "a.txt").read_text() == "one\nTWO\n"
    assert (repository / "new.txt").exists()
    assert (repository / "unsaved.txt").read_text() == "not committed\n"
    assert not (repository / ".kubiya").exists()
    assert machine.checkout.state == "merged"


async def test_what_was_not_shown_or_does_not_merge_changes_nothing(repository: Path, machine: Machine) -> None:
    machine.prepare(repository, f"{repository}=worktree")
    with pytest.raises(CheckoutError, match="no changes to merge"):
        await machine.changes.merge(machine.checkout)
    (machine.copy / "a.txt").write_text("theirs\n")
    seal = (await machine.changes.of(machine.checkout)).seal
    (machine.copy / "later.txt").write_text("after it was shown\n")
    with pytest.raises(CheckoutError, match="look at them again"):
        await machine.changes.merge(machine.checkout, seal=seal)
    (repository / "a.txt").write_text("ours\n")
    git(repository, "commit", "-q", "-am", "meanwhile")
    with pytest.raises(CheckoutError, match="Merge it by hand"):
        await machine.changes.merge(machine.checkout)
    assert (repository / "a.txt").read_text() == "ours\n"
    assert git(repository, "status", "--porcelain") == "?? unsaved.txt"
    assert "theirs" in git(repository, "show", f"kubiya/{ID}:a.txt")
    assert machine.checkout.state == "open"


async def test_a_large_change_is_read_whole(repository: Path, machine: Machine) -> None:
    machine.prepare(repository, f"{repository}=worktree")
    lines = [f"line {number} of many" for number in range(300_000)]
    (machine.copy / "a.txt").write_text("\n".join(lines))
    changes = await machine.changes.of(machine.checkout)
    assert [one.added for one in changes.files] == [300_000]
    assert [line[1:] for line in changes.diff.split("\n") if line.startswith("+line")] == lines


async def test_discarded_changes_leave_the_copy_as_it_began(repository: Path, machine: Machine) -> None:
    machine.prepare(repository, f"{repository}=worktree")
    before = as_it_is(repository)
    (machine.copy / "a.txt").unlink()
    (machine.copy / "new.txt").write_text("x")
    await machine.changes.discard(machine.checkout)
    assert (machine.copy / "a.txt").exists()
    assert not (machine.copy / "new.txt").exists()
    assert as_it_is(repository) == before
    assert machine.checkout.state == "discarded"


def test_what_is_not_granted_is_one_sentence_and_nothing_is_touched(
    repository: Path, machine: Machine, tmp_path: Path
) -> None:
    link = tmp_path / "granted" / "link"
    link.parent.mkdir()
    link.symlink_to(repository)
    for wanted, grants in (
        (repository, ()),
        (repository, (f"{repository / 'sub'}=worktree",)),
        (repository, (f"{repository}=worktree another-queue",)),
        (link, (f"{link.parent}=worktree",)),
        (f"{tmp_path}/granted/../repo", (f"{link.parent}=worktree",)),
        ("relative", (f"{repository}=worktree",)),
        ("~nobody-of-this-name/x", (f"{repository}=worktree",)),
        ("/x\0y", (f"{repository}=worktree",)),
    ):
        made = machine.prepare(wanted, *grants)
        assert "has not granted" in made.sentence
        assert not made.note
    assert not machine.workspaces.exists()
    assert list(machine.records.all()) == []


def test_a_grant_is_for_whom_it_names(repository: Path, machine: Machine) -> None:
    assert machine.prepare(repository, f"{repository}=worktree other agent").note
    assert machine.prepare(repository, f"{repository}=worktree other agent").note, "a later try finds what is there"


def test_what_cannot_be_copied_is_said(repository: Path, machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    git(tmp_path, "init", "-q", "empty")
    for wanted, said in (
        (tmp_path / "plain", "not a git repository"),
        (tmp_path / "empty", "rev-parse failed"),
        (tmp_path / "missing", "There is no such folder"),
    ):
        made = machine.prepare(wanted, f"{wanted}=worktree")
        assert said in made.sentence
        assert not made.note
    assert "not granted as a whole" in machine.prepare(repository / "sub", f"{repository / 'sub'}=worktree").sentence
    (machine.copy / ".git").mkdir(parents=True)
    assert "in use already" in machine.prepare(repository, f"{repository}=worktree").sentence


def test_no_object_of_the_owners_is_shared(repository: Path, machine: Machine) -> None:
    machine.prepare(repository, f"{repository}=worktree")
    assert all(one.stat().st_nlink == 1 for one in (machine.copy / ".git").rglob("*") if one.is_file())
    assert not (machine.copy / ".git" / "objects" / "info" / "alternates").exists()
    assert git(machine.copy, "remote") == ""


async def test_what_an_agent_writes_into_its_copys_configuration_runs_in_the_sandbox_alone(
    repository: Path, tmp_path: Path
) -> None:
    choice = choose(Settings(), Paths(config=tmp_path / "c", state=tmp_path / "state", runtime=tmp_path / "r"))
    if choice.launcher is None or "files" not in choice.launcher.enforces:
        pytest.skip(f"there is no sandbox that holds files: {choice.reason}")
    machine = Machine(tmp_path / "state")
    machine.changes = CheckoutChanges(machine.records, workspaces=machine.workspaces, launcher=choice.launcher)
    try:
        machine.prepare(repository, f"{repository}=worktree")
        outside, inside = tmp_path / "outside", machine.copy / ".kubiya" / "ran"
        inside.parent.mkdir(exist_ok=True)
        note = machine.copy / "note.sh"
        note.write_text(f"#!/bin/sh\ntouch {inside}; touch {outside}; cat\n")
        note.chmod(0o755)
        git(machine.copy, "config", "filter.note.clean", str(note))
        (machine.copy / ".gitattributes").write_text("*.txt filter=note\n")
        (machine.copy / "a.txt").write_text("changed\n")
        assert (await machine.changes.of(machine.checkout)).files
        assert await machine.changes.merge(machine.checkout)
    finally:
        choice.close()
    assert inside.exists(), "the filter ran, where the agent's tools are"
    assert not outside.exists()
    assert git(repository, "config", "--list").count("filter.note") == 0


@pytest.mark.parametrize("text", ["~/repo", "~/repo=read", "=worktree", "relative=worktree", "~/repo="])
def test_what_is_no_grant_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="each folder is"):
        read_grant(text)


def test_a_grant_reads_back() -> None:
    for text in ("/a/b=worktree", "/a = b=worktree", "/a/b=worktree one two", "/a=read-only", "/a=read-write one"):
        assert str(read_grant(text)) == text
        assert isinstance(read_grant(text), FolderGrant)
