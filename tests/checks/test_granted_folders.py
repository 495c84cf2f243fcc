"""What `doctor` says of the folders that the settings grant: one finding each, as the next call would find them."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.walls import needs_bubblewrap
from worker_core.checks.check import Check
from worker_core.checks.examine import examine
from worker_core.paths import Paths
from worker_core.settings import Settings
from worker_core.settings.folders import read_grant

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the links and paths are POSIX")


class Owner:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = Paths.from_environment({"KUBIYA_WORKER_HOME": str(folder / "worker")})
        for name in ("data", "work", "repo/.git", "worker/state"):
            (folder / name).mkdir(parents=True)

    async def found(self, *grants: str, sandbox: str = "none") -> list[Check]:
        settings = Settings(
            control_plane_url="http://127.0.0.1:1",
            folders=tuple(read_grant(f"{self.folder}/{one}") for one in grants),
            sandbox=sandbox,  # type: ignore[arg-type]
            require_sandbox="never",
        )
        return await examine(settings, paths=self.paths, only=("folders",))

    async def sentence(self, *grants: str) -> str:
        """Of the last one, which is not as it was granted."""
        found = await self.found(*grants)
        assert (found[-1].verdict, bool(found[-1].repair)) == ("warn", True)
        return found[-1].sentence.removeprefix(f"{self.folder}/")


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path.resolve())


def facts(found: Sequence[Check]) -> list[tuple[object, ...]]:
    names = ("mode", "exists", "readable", "writable", "given")
    return [tuple(one.to_json()["facts"][name] for name in names) for one in found]


async def test_none_is_granted(owner: Owner) -> None:
    [found] = await owner.found()
    assert found.verdict == "ok"
    assert "facts" not in found.to_json()


@needs_bubblewrap
async def test_each_folder_has_a_finding_with_the_same_for_scripts(owner: Owner) -> None:
    (owner.folder / "link").symlink_to("data")
    grants = ("data=read-only", "work=read-write q agent", "link=read-only", "repo=worktree")
    found = await owner.found(*grants, sandbox="auto")
    assert [one.verdict for one in found] == ["ok"] * 4
    assert found[1].sentence.endswith(
        "work (read-write, for q, agent alone) is there, and agents may read and write it."
    )
    assert f"which leads to {owner.folder}/data" in found[2].sentence
    assert facts(found) == [
        ("read-only", True, True, True, "read-only"),
        ("read-write", True, True, True, "read-write"),
        ("read-only", True, True, True, "read-only"),
        ("worktree", True, True, True, "worktree"),
    ]
    assert found[1].to_json()["facts"]["only_for"] == ["q", "agent"]


async def test_what_is_not_there_and_what_is_no_folder(owner: Owner) -> None:
    (owner.folder / "file").write_text("x")
    for mode in ("read-only", "read-write", "worktree"):
        assert (await owner.sentence(f"gone={mode}")).startswith(f"gone ({mode}) is not there")
        assert (await owner.sentence(f"file={mode}")).startswith(f"file ({mode}) is no folder")
    assert facts(await owner.found("gone=read-only")) == [("read-only", False, False, False, None)]


async def test_what_lies_where_nothing_is_granted(owner: Owner) -> None:
    assert "the worker keeps something of its own there" in await owner.sentence("worker/state=read-only")
    (owner.folder / "work" / "in").mkdir()
    assert "which agents may write" in await owner.sentence("work=read-write other", "work/in=read-only")
    assert "may only be read: it is a git repository" in await owner.sentence("repo=read-write")
    assert facts(await owner.found("repo=read-write"))[0][-1] == "read-only"
    assert facts(await owner.found("worker/state=read-only"))[0][-1] is None


async def test_the_policy_denies_what_is_in_it(owner: Owner) -> None:
    (owner.folder / "data" / ".ssh").mkdir()
    assert "the policy denies what is in it" in await owner.sentence("data/.ssh=read-only"), "built in"
    owner.paths.policy_file.parent.mkdir(parents=True)
    owner.paths.policy_file.write_text(f'[[deny]]\npath = "{owner.folder}/work/**"\nwhy = "mine"\n')
    assert "(mine)" in await owner.sentence("work=read-write")


@needs_bubblewrap
async def test_a_program_that_listens_in_it_keeps_commands_from_starting(owner: Owner) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(f"{owner.folder}/data/s")
        [found] = await owner.found("data=read-only", sandbox="auto")
        assert (found.verdict, f"listens in it, at {owner.folder}/data/s" in found.sentence) == ("warn", True)


async def test_nothing_keeps_commands_from_what_may_only_be_read(owner: Owner) -> None:
    read_only, written = await owner.found("data=read-only", "work=read-write")
    assert (read_only.verdict, written.verdict) == ("warn", "ok")
    assert "no sandbox keeps them from writing it" in read_only.sentence


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read and write everywhere")
async def test_rights_of_the_worker_s_user(owner: Owner) -> None:
    (owner.folder / "work").chmod(0o500)
    assert "not be written by the worker's user" in await owner.sentence("work=read-write")
    (owner.folder / "work").chmod(0)
    assert "cannot be read by the worker's user" in await owner.sentence("work=read-write")
    (owner.folder / "work").chmod(0o700)


async def test_looking_changes_nothing(owner: Owner) -> None:
    before = sorted(owner.folder.rglob("*"))
    await owner.found("data=read-only", "work=read-write", "gone=read-only")
    assert sorted(owner.folder.rglob("*")) == before
