"""A working copy is made: where an execution asks for a folder, and its owner has granted that."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from worker_core.basics.plain import one_line
from worker_core.basics.quick_dataclass import dataclass
from worker_core.checkouts.git import at_owners
from worker_core.checkouts.record import Checkout, CheckoutError, CheckoutRecords
from worker_core.settings.folders import FolderGrant
from worker_core.workspaces.workspace import OWN_FOLDER, Workspace, safe_name

_SHORT_HASH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingFolder:
    """What an execution is told of the folder that it asked for."""

    sentence: str
    """For whoever looks on."""

    note: str = ""
    """For the model; empty: there is nothing to say."""

    is_honoured: bool = False
    """It got what it asked for."""


def prepare(
    wanted: str,
    *,
    execution_id: str,
    ids: Iterable[str],
    grants: Iterable[FolderGrant],
    records: CheckoutRecords,
    workspaces: Path,
) -> WorkingFolder:
    """The execution's copy of the repository that it asks for. Where it has none, its workspace stays as it is. Blocks.

    Args:
        wanted: the folder, as it came with the execution.
        execution_id: whose copy.
        ids: of its queue and its agent.
        grants: of the settings.
        records: of this machine.
        workspaces: the folder of all executions' workspaces.
    """
    said = one_line(wanted, limit=200)
    folder = os.path.expanduser(wanted)  # noqa: PTH111 - it came from elsewhere, and may be no path at all
    own = list(ids)
    if not Path(folder).is_absolute() or "\0" in wanted or not any(one.holds(folder, ids=own) for one in grants):
        return WorkingFolder(
            sentence=f"This execution asks to work in {said}, which the owner of this machine has not granted "
            "(`folders` in the settings). It works in a workspace of its own; nothing there was touched."
        )
    try:
        made = _made(Path(os.path.realpath(folder)), execution_id, own, grants, records, workspaces)
    except (CheckoutError, OSError) as error:
        why = error.sentence if isinstance(error, CheckoutError) else f"{error}."
        return WorkingFolder(
            sentence=f"This execution asks to work in {said}, and has no copy of it: {why} It works in a workspace of "
            "its own; nothing there was touched."
        )
    where = f" You were asked to work in its folder {made.within}." if made.within else ""
    return WorkingFolder(
        sentence=f"It works in a copy of {made.repository}, made from commit {made.base[:_SHORT_HASH]} as the branch "
        f"{made.branch}; what is not committed there is not in it. `kubiya-worker changes` shows what it changed, and "
        "merges it.",
        is_honoured=True,
        note=f"Your workspace is a git working copy of {made.repository}, on the branch {made.branch}, made from its "
        f"commit {made.base[:_SHORT_HASH]}.{where} Work in it with relative paths. The owner of the machine looks at "
        "your changes, whether you commit them or not, and merges them; the original folder is not yours to change.",
    )


def _made(
    folder: Path,
    execution_id: str,
    ids: list[str],
    grants: Iterable[FolderGrant],
    records: CheckoutRecords,
    workspaces: Path,
) -> Checkout:
    if not folder.is_dir():
        raise CheckoutError("There is no such folder.")
    repository = Path(os.path.realpath(at_owners(folder, "rev-parse", "--show-toplevel")))
    if not any(one.holds(str(repository), ids=ids) for one in grants):
        raise CheckoutError("It lies in a git repository that is not granted as a whole.")
    known = records.find(execution_id)
    workspace = Workspace.open(workspaces, execution_id)
    if known is not None and known.repository == str(repository) and known.state != "making":
        return known  # an earlier try of this step made it
    if known is None and os.path.lexists(workspace.path / ".git"):
        raise CheckoutError("Its workspace is in use already.")  # git would read what a tool may have written there
    base = at_owners(repository, "rev-parse", "--verify", "HEAD^{commit}")
    within = folder.relative_to(repository).as_posix()
    made = Checkout(
        execution_id=execution_id,
        repository=str(repository),
        base=base,
        branch=f"kubiya/{safe_name(execution_id)}",
        within="" if within == "." else within,
        state="making",
    )
    records.keep(made)
    # No links to the owner's objects: what an agent can write, it could change there as well.
    at_owners(workspace.path, "init", "--quiet", "--template=")
    at_owners(workspace.path, "fetch", "--quiet", "--no-tags", "--update-head-ok", str(repository), base)
    at_owners(workspace.path, "checkout", "--quiet", "--force", "-B", made.branch, base)
    exclude = workspace.path / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text(f"/{OWN_FOLDER}/\n", encoding="utf-8")
    made = msgspec.structs.replace(made, state="open")
    records.keep(made)
    return made
