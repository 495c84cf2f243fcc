"""What an execution changed in its working copy: listed, merged into the owner's repository, or discarded."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import joined, worded
from worker_core.checkouts.git import at_owners, in_sandbox
from worker_core.checkouts.record import Checkout, CheckoutError, CheckoutRecords
from worker_core.paths import Paths
from worker_core.sandbox.choice import choose
from worker_core.sandbox.launcher import Launcher
from worker_core.workspaces import anchored
from worker_core.workspaces.anchored import OutsideWorkspace
from worker_core.workspaces.workspace import OWN_FOLDER, Workspace

if TYPE_CHECKING:
    from worker_core.settings import Settings

_INDEX: Final = f"{OWN_FOLDER}/changes-index"
_BUNDLE: Final = f"{OWN_FOLDER}/changes.bundle"
_REF: Final = "refs/kubiya/changes"
_BUNDLE_BYTES: Final = 500 << 20
_SEAL: Final = 10
"""Characters of what names a state of the files."""

_AGENT: Final[Mapping[str, str]] = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Kubiya agent"), ("EMAIL", "agent@kubiya.invalid"))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFile:
    """Lines are None for what is no text."""

    path: str
    added: int | None
    removed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Everything between the commit that a copy began with and its files as they are now, committed or not."""

    checkout: Checkout
    files: tuple[ChangedFile, ...]
    diff: str
    seal: str
    """Names this state: what is merged can be held to what was read."""


class CheckoutChanges:
    """Of one machine.

    Args:
        records: which copies there are.
        workspaces: the folder of all executions' workspaces.
        launcher: in whose sandbox git reads a copy.
    """

    def __init__(self, records: CheckoutRecords, *, workspaces: Path, launcher: Launcher) -> None:
        self._records = records
        self._workspaces = workspaces
        self._launcher = launcher

    async def of(self, checkout: Checkout) -> Changes:
        """What was changed so far.

        Raises:
            CheckoutError: the copy is gone, or git cannot read it.
        """
        git = self._git(checkout)
        tree = await git.tree()
        numbers = await git.run("diff", "--cached", "--numstat", "-z", "--no-renames", checkout.base)
        diff = await git.run("diff", "--cached", "--no-color", "--no-ext-diff", "--no-textconv", checkout.base)
        return Changes(checkout=checkout, files=_files(numbers), diff=diff, seal=tree[:_SEAL])

    async def merge(self, checkout: Checkout, *, seal: str = "") -> str:
        """Bring the changes into the owner's repository, as a branch, and merge it there. What became of it.

        Args:
            checkout: whose changes.
            seal: of the changes that were read; empty: whatever there is.

        Raises:
            CheckoutError: there is nothing, it has changed since, or it does not merge; then the branch stands in the
                repository, and its files are as they were.
        """
        git = self._git(checkout)
        tree = await git.tree()
        if seal and not tree.startswith(seal):
            raise CheckoutError(worded("The changes are not those that were shown any more: look at them again."))
        if tree == await git.name("rev-parse", f"{checkout.base}^{{tree}}"):
            raise CheckoutError(worded("There are no changes to merge."))
        await self._bundle(git, tree, checkout)
        content = await asyncio.to_thread(self._read_bundle, git.workspace)
        await asyncio.to_thread(_merged, checkout, content)
        self._records.keep(msgspec.structs.replace(checkout, state="merged"))
        return worded(
            "Merged into {repository}, by the branch {branch}.", repository=checkout.repository, branch=checkout.branch
        )

    async def discard(self, checkout: Checkout) -> str:
        """Take the copy's files back to where they began. The owner's repository is not touched.

        Raises:
            CheckoutError: git cannot do it.
        """
        git = self._git(checkout)
        for words in (("reset", "--quiet", "--hard", checkout.base), ("clean", "-q", "-fd", "-e", f"/{OWN_FOLDER}/")):
            await in_sandbox(self._launcher, git.workspace, words)  # the agent's own index this time
        self._records.keep(msgspec.structs.replace(checkout, state="discarded"))
        return worded(
            "Discarded: the working copy is as it began. {repository} was not touched.", repository=checkout.repository
        )

    def _git(self, checkout: Checkout) -> _CopysGit:
        workspace = Workspace.find(self._workspaces, checkout.execution_id)
        if workspace is None or not (workspace.path / ".git").is_dir():
            raise CheckoutError(
                worded(
                    "The working copy of execution {id} is gone: workspaces are removed some time after their "
                    "execution has ended (`workspace_kept`).",
                    id=checkout.execution_id,
                )
            )
        return _CopysGit(self._launcher, workspace.path)

    async def _bundle(self, git: _CopysGit, tree: str, checkout: Checkout) -> None:
        head = await git.name("rev-parse", "--verify", "HEAD^{commit}")
        if tree != await git.name("rev-parse", "HEAD^{tree}"):
            said = f"Changes of execution {checkout.execution_id}"
            head = await git.name("commit-tree", tree, "-p", head, "-m", said, environment=_AGENT)
        await git.run("update-ref", _REF, head)
        await git.run("bundle", "create", "--quiet", _BUNDLE, _REF, f"^{checkout.base}")

    def _read_bundle(self, workspace: Path) -> bytes:
        try:
            content = anchored.read_bounded(workspace, _BUNDLE, limit_bytes=_BUNDLE_BYTES + 1)
        except (OSError, OutsideWorkspace) as error:
            raise CheckoutError(worded("The changes cannot be read: {why}.", why=str(error))) from error
        if not content or len(content) > _BUNDLE_BYTES:
            raise CheckoutError(worded("The changes are too large to be merged, or there are none."))
        return content


@asynccontextmanager
async def opened(settings: Settings, paths: Paths) -> AsyncIterator[CheckoutChanges]:
    """Those of this machine, in the sandbox that tools have: a copy's own git configuration is its agent's.

    Raises:
        CheckoutError: tools are not started without a sandbox, and there is none.
    """
    choice = await asyncio.to_thread(choose, settings, paths)
    if choice.launcher is None:
        raise CheckoutError(joined(worded("The copy is not looked at: {why}", why=choice.reason), str(choice.remedy)))
    records = CheckoutRecords(paths.checkouts)
    try:
        yield CheckoutChanges(records, workspaces=paths.workspaces, launcher=choice.launcher)
    finally:
        await asyncio.to_thread(choice.close)


@dataclass(frozen=True, slots=True)
class _CopysGit:
    """Git in a copy, with an index of its own: that of the agent's git is left alone."""

    launcher: Launcher
    workspace: Path

    async def run(self, *words: str, environment: Mapping[str, str] | None = None) -> str:
        variables = {"GIT_INDEX_FILE": str(self.workspace / _INDEX), **(environment or {})}
        return await in_sandbox(self.launcher, self.workspace, words, environment=variables)

    async def name(self, *words: str, environment: Mapping[str, str] | None = None) -> str:
        """Of an object: what git prints last, behind its warnings."""
        return (await self.run(*words, environment=environment)).rpartition("\n")[2]

    async def tree(self) -> str:
        """The name of all files as they are now."""
        Workspace(path=self.workspace).make_folder(OWN_FOLDER)
        await self.run("read-tree", "HEAD")
        await self.run("add", "--all")
        await self.run("rm", "-r", "--quiet", "--cached", "--force", "--ignore-unmatch", "--", OWN_FOLDER)
        return await self.name("write-tree")


def _merged(checkout: Checkout, bundle: bytes) -> None:
    """In the owner's repository. A bundle is data: no configuration comes with it."""
    repository = Path(checkout.repository)
    handle, name = tempfile.mkstemp(suffix=".bundle")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(bundle)
        at_owners(
            repository, "-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", "--no-recurse-submodules",
            "--no-write-fetch-head", name, f"+{_REF}:refs/heads/{checkout.branch}",
        )  # fmt: skip
    finally:
        Path(name).unlink(missing_ok=True)
    try:
        at_owners(repository, "merge", "--no-edit", "--quiet", checkout.branch, hooks=True)
    except CheckoutError as error:
        if _is_merging(repository):
            at_owners(repository, "merge", "--abort", hooks=True)
        raise CheckoutError(
            worded(
                "The changes stand in {repository} as the branch {branch}, and were not merged: {why} Your files are "
                "as they were. Merge it by hand: git merge {branch}.",
                repository=str(repository),
                branch=checkout.branch,
                why=error.said,
            )
        ) from error


def _is_merging(repository: Path) -> bool:
    try:
        at_owners(repository, "rev-parse", "--verify", "--quiet", "MERGE_HEAD")
    except CheckoutError:
        return False
    return True


def _files(numbers: str) -> tuple[ChangedFile, ...]:
    found = []
    for line in numbers.split("\0"):
        added, _, rest = line.rpartition("\n")[2].partition("\t")
        removed, _, path = rest.partition("\t")
        if not path:
            continue
        found.append(
            ChangedFile(
                path=path,
                added=int(added) if added.isdecimal() else None,
                removed=int(removed) if removed.isdecimal() else None,
            )
        )
    return tuple(found)
