"""Which of the granted folders an execution gets, as they are at this moment, and where in them it begins.

A tool that may write a folder can put links and configuration of git into it. So nothing that is granted may be reached
through a folder that any execution may write, and none is given whose walls could not be made as they are granted: what
is not sure is not given, with a sentence.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from worker_core.basics.home import home_folder
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.checkouts.record import CheckoutError
from worker_core.sandbox.launcher import GrantedFolder, WorkPlace
from worker_core.sandbox.mount_table import mounted
from worker_core.sandbox.walls import HOME
from worker_core.settings.folders import FolderGrant

_MOST_LINKS: Final = 40
_WHOLE_SYSTEM: Final = tuple(
    Path("/", name)
    for name in (
        "usr", "opt", "bin", "sbin", "lib", "lib64", "var", "run", "tmp", "root", "home", "System", "Library", "Users",
        "private",
    )
)  # fmt: skip
"""None of them may be in a folder that is granted."""

_SYSTEM: Final = (*(Path("/", name) for name in ("etc", "dev", "proc", "sys", "boot")), HOME)
"""Nothing in them is granted, nor what they are in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What is not granted, whatever the settings say."""

    own: tuple[Path, ...] = ()
    """Folders and files of the worker: to nobody."""

    program: tuple[Path, ...] = ()
    """What the worker consists of: for writing to nobody."""

    named: tuple[Path, ...] = ()
    """What it starts, or shows to every tool, by its path: what holds one is for writing to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What an execution gets of the folders that were granted."""

    folders: tuple[GrantedFolder, ...] = ()
    """Themselves, in their own place."""

    copies: tuple[FolderGrant, ...] = ()
    """Of which it may have copies."""

    refused: tuple[str, ...] = ()
    """Why it does not get the others, or not as they are granted, as sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFinding:
    """What one grant gives, as its folder is at this moment."""

    grant: FolderGrant
    leads_to: Path | None
    """The folder, without links; None: it cannot be looked at."""

    writable: bool = False
    """Agents may write it in its own place."""

    refused: str = ""
    """Why it is not given, to go on after a colon; empty: it is."""

    narrowed: str = ""
    """Why it may only be read, though it was granted for writing, likewise; empty: it is given as it was granted."""

    @property
    def sentence(self) -> str:
        """Why it is not given as it was granted; empty: it is."""
        if self.refused:
            return worded(
                "The folder {folder} of `folders` is not given: {why}", folder=str(self.grant.path), why=self.refused
            )
        if not self.narrowed:
            return ""
        return worded("The folder {folder} may only be read: {why}", folder=str(self.grant.path), why=self.narrowed)


def findings(grants: Sequence[FolderGrant], *, among: Sequence[FolderGrant], reserved: Reserved) -> list[FolderFinding]:
    """What these grants give, whoever asks. Blocks, shortly.

    Args:
        grants: that are looked at.
        among: all of the settings: what is written by one decides what another may be.
        reserved: of this worker.
    """
    ways = {one: _way(one.path) for one in among}
    written = {one: way.leads_to for one, way in ways.items() if one.mode == "read-write" and way is not None}
    places = [Path(os.path.realpath(one)) for one in reserved.own]
    mounts = tuple(place for place, _ in mounted()) if any(one.mode != "worktree" for one in grants) else ()
    found = []
    for one in grants:
        way, writable = ways[one], one.mode == "read-write"
        why = worded("it cannot be looked at.") if way is None else _crossed(one, way, written)
        if way is not None and one.mode != "worktree":
            why = why or _unfit(way.leads_to, places, mounts)
            why = why or (_started_from(way.leads_to, reserved) if writable else "")
        leads_to = None if way is None else way.leads_to
        if leads_to is None or why:
            found.append(FolderFinding(grant=one, leads_to=leads_to, refused=why))
            continue
        narrowed = ""
        if writable and _is_of_git(leads_to):
            writable = False
            narrowed = worded(
                "it is a git repository, and your git would run what somebody writes into its .git. Grant a copy of it "
                "(`worktree`) for changes."
            )
        found.append(FolderFinding(grant=one, leads_to=leads_to, writable=writable, narrowed=narrowed))
    return found


def given(grants: Sequence[FolderGrant], *, ids: Iterable[str], reserved: Reserved) -> Given:
    """Blocks, shortly.

    Args:
        grants: of the settings, all of them.
        ids: of the execution's queue, its agent and its team.
        reserved: of this worker.
    """
    asking = frozenset(ids)
    wanted = [one for one in grants if one.is_for(asking)]
    if not wanted:
        return Given()
    folders: dict[Path, GrantedFolder] = {}
    copies, refused = [], []
    for one in findings(wanted, among=grants, reserved=reserved):
        if one.sentence:
            refused.append(str(one.sentence))  # it travels
        if one.refused or one.leads_to is None:
            continue
        if one.grant.mode == "worktree":
            copies.append(one.grant)
            continue
        known = folders.get(one.leads_to)
        writable = one.writable or (known is not None and known.writable)
        folders[one.leads_to] = GrantedFolder(path=one.leads_to, writable=writable)
    return Given(folders=tuple(folders.values()), copies=tuple(copies), refused=tuple(refused))


def start_in(wanted: str, found: Given) -> Path | None:
    """The folder itself that an execution asks to work in; None: it is in none that it gets, or a copy of it is meant.

    Raises:
        CheckoutError: it is no folder.
    """
    folder = os.path.expanduser(wanted)  # noqa: PTH111 - it came from elsewhere, and may be no path at all
    if "\0" in folder or not Path(folder).is_absolute():
        return None
    real = Path(os.path.realpath(folder))

    def deepest(paths: Iterable[Path]) -> int:
        return max((len(one.parts) for one in paths if real.is_relative_to(one)), default=0)

    itself = deepest(one.path for one in found.folders)
    if not itself or itself < deepest(Path(os.path.realpath(one.path)) for one in found.copies):
        return None
    if not real.is_dir():
        raise CheckoutError("There is no such folder.")
    return real


def placed(grants: Sequence[FolderGrant], *, ids: Iterable[str], reserved: Reserved, start: str) -> WorkPlace:
    """Where a call works.

    Args:
        grants: as for `given`.
        ids: as for `given`.
        reserved: as for `given`.
        start: where its execution began to work (`start_in`); empty: in its workspace.

    Raises:
        CheckoutError: that folder is not given any more.
    """
    found = given(grants, ids=ids, reserved=reserved)
    if not start:
        return WorkPlace(folders=found.folders)
    real = Path(os.path.realpath(start))
    place = WorkPlace(folders=found.folders, start=real)
    if not place.holds(real) or not real.is_dir():
        raise CheckoutError(
            f"This execution works in {start}, which is gone, or which it may not use any more (`folders` in the "
            "settings of this machine's worker); the call was not made."
        )
    return place


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Where a path leads."""

    leads_to: Path
    """Without links."""

    passed: tuple[Path, ...]
    """Every place on the way, those before links were followed among them."""


def _way(path: Path) -> _Way | None:
    """None: links in a circle, or what cannot be looked at."""
    if sys.platform == "win32":
        real = Path(os.path.realpath(path))
        return _Way(leads_to=real, passed=(path, real))
    here, left = Path(path.anchor), list(reversed(path.parts[1:]))
    passed, links = [], 0
    while left:
        part = left.pop()
        if part == "..":
            here = here.parent
            continue
        here /= part
        passed.append(here)
        try:
            target = here.readlink() if here.is_symlink() else None
        except OSError:
            return None
        if target is None:
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        here = Path(target.anchor) if target.is_absolute() else here.parent
        left += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return _Way(leads_to=here, passed=tuple(passed))


def _crossed(one: FolderGrant, way: _Way, written: dict[FolderGrant, Path]) -> str:
    """Why its path cannot be trusted; empty: it can."""
    for other, place in written.items():
        if other == one:
            continue
        if any(step != place and step.is_relative_to(place) for step in way.passed):
            return worded(
                "its path leads through {folder}, which agents may write: a link there could lead it anywhere.",
                folder=str(other.path),
            )
        if one.mode == "worktree" and place.is_relative_to(way.leads_to):
            return worded(
                "{folder} in it may be written by agents, and git would read here what they write there.",
                folder=str(other.path),
            )
        if one.mode == "worktree" and way.leads_to.is_relative_to(place):
            return worded(
                "agents may write {folder}, and git would read here what they write there.", folder=str(other.path)
            )
    return ""


def _unfit(real: Path, own: Sequence[Path], mounts: Sequence[Path]) -> str:
    """Why a folder is shown to no tool; empty: it may be."""
    home = home_folder()
    if not os.path.isdir(real):  # noqa: PTH112 -- Path's raises where it may not look
        return worded("there is no such folder.")
    if any(real.is_relative_to(one) or one.is_relative_to(real) for one in own):
        return worded("the worker keeps something of its own there.")
    if home is not None and Path(os.path.realpath(home)).is_relative_to(real):
        return worded("your whole home folder is in it, with your keys. Name the folder in it that is meant.")
    if any(one.is_relative_to(real) for one in (*_WHOLE_SYSTEM, *_SYSTEM)) or any(map(real.is_relative_to, _SYSTEM)):
        return worded("it is a folder of the system.")
    if inner := next((one for one in mounts if one != real and one.is_relative_to(real)), None):
        return worded(
            "another file system is mounted in it, at {folder}. Name a folder without one.", folder=str(inner)
        )
    return ""


def _started_from(real: Path, reserved: Reserved) -> str:
    """Why nobody may write there; empty: that harms nothing else."""
    for one in (*reserved.program, *reserved.named):
        way = _way(one)
        if way is None or any(step != real and step.is_relative_to(real) for step in way.passed):
            return worded("{path} is in it, which the worker starts or shows to other tools.", path=str(one))
    if any(real.is_relative_to(os.path.realpath(one)) for one in reserved.program):
        return worded("it is a part of the worker.")
    return ""


def _is_of_git(real: Path) -> bool:
    if os.path.lexists(real / ".git") or any(part.lower() == ".git" for part in real.parts):
        return True
    return all(os.path.lexists(real / one) for one in ("HEAD", "objects", "refs"))
