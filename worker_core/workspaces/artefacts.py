"""The files that executions left in their workspaces: found, and copied out of them.

An agent wrote the names and what is in the files. So both sides are used through open folders alone: no link is
followed in the workspace, none in the folder that they are copied to, and nothing that is there is replaced unasked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.basics.sizes import size
from worker_core.errors import KubiyaError
from worker_core.workspaces import anchored
from worker_core.workspaces.anchored import OutsideWorkspace
from worker_core.workspaces.workspace import Artefact, Workspace, safe_name


class ArtefactError(KubiyaError):
    """There are no such files, or they were not copied; the sentence says why, and what was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftFiles:
    """Of one execution."""

    execution_id: str
    """As its folder is called: where the id is no plain one, a hash of it."""

    workspace: Workspace
    files: tuple[Artefact, ...]

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.files)

    @property
    def modified_at(self) -> datetime:
        """Of the newest file."""
        return max((one.modified_at for one in self.files), default=datetime.fromtimestamp(0, tz=UTC))


def all_left(workspaces: Path) -> Iterator[LeftFiles]:
    """Of each execution of this machine that left any. What cannot be read is passed over."""
    try:
        folders = sorted(one.name for one in workspaces.iterdir())
    except OSError:
        return
    for name in folders:
        if (found := Workspace.find(workspaces, name)) is not None and found.path.name == name:
            left = LeftFiles(execution_id=name, workspace=found, files=found.artefacts())
            if left.files:
                yield left


def left_by(workspaces: Path, beginning: str) -> LeftFiles:
    """Of the only execution whose id begins so.

    Raises:
        ArtefactError: there is none here, or there are several.
    """
    found = Workspace.find(workspaces, beginning) if beginning else None
    names = [] if found is None else [found.path.name]
    if not names and beginning and safe_name(beginning) == beginning:
        names = [
            one.name for one in workspaces.glob(f"{beginning}*") if Workspace.find(workspaces, one.name) is not None
        ]
    if len(names) != 1:
        which = "Several executions begin" if names else "No execution has a workspace here whose id begins"
        raise ArtefactError(f"{which} with {beginning[:40]!r}. `kubiya-worker artefacts` lists those that left files.")
    workspace = Workspace(path=(workspaces / names[0]).resolve())
    return LeftFiles(execution_id=names[0], workspace=workspace, files=workspace.artefacts())


def left_in(workspaces: Path, execution_id: str) -> LeftFiles:
    """Of one execution whose whole id is known.

    Raises:
        ArtefactError: it has no workspace here.
    """
    found = Workspace.find(workspaces, execution_id)
    if found is None:
        raise ArtefactError(worded("Its workspace is not on this machine any more."))
    return LeftFiles(execution_id=found.path.name, workspace=found, files=found.artefacts())


def save(left: LeftFiles, file: Artefact, *, to: Path) -> None:
    """Copy one file, as long as it was when it was listed, to a place whose owner knows that it is replaced.

    Raises:
        ArtefactError: it cannot be read or written, or is none any more.
    """
    try:
        pieces = anchored.pieces(left.workspace.path, file.path, limit_bytes=file.size_bytes)
        anchored.write(to.parent.resolve(strict=True), to.name, pieces)
    except OutsideWorkspace as error:
        raise ArtefactError(error.said) from error
    except OSError as error:
        raise ArtefactError(worded("It was not saved: {why}.", why=str(error.strerror or error))) from error


def chosen(files: Sequence[Artefact], patterns: Sequence[str]) -> tuple[Artefact, ...]:
    """Those whose path, or a folder on the way to it, fits one of the patterns; all where there is none.

    Raises:
        ArtefactError: a pattern fits none.
    """
    picked: set[str] = set()
    for pattern in patterns:
        wanted = pattern.removeprefix("./").rstrip("/")
        fitting = [one.path for one in files if any(fnmatchcase(form, wanted) for form in _forms(one.path))]
        if not fitting:
            raise ArtefactError(f"It left no file {pattern[:200]!r}; nothing was copied.")
        picked.update(fitting)
    return tuple(files) if not patterns else tuple(one for one in files if one.path in picked)


def export(left: LeftFiles, files: Sequence[Artefact], *, to: Path, limit_bytes: int, replace: bool = False) -> int:
    """Copy files, as they are, below a folder that is made where it is missing; how many bytes were copied.

    Args:
        left: whose files.
        files: of it.
        to: the folder.
        limit_bytes: all of them together.
        replace: also what stands there already.

    Raises:
        ArtefactError: it is too much, something stands there, or it cannot be written; the sentence says what was
            copied.
    """
    if (total := sum(one.size_bytes for one in files)) > limit_bytes:
        raise ArtefactError(
            f"These are {size(total)}, and at most {size(limit_bytes)} are copied; nothing was. Name the files, or "
            "allow more with --at-most."
        )
    there = [one.path for one in files if os.path.lexists(to / one.path)]
    if there and not replace:
        raise ArtefactError(f"{to / there[0]} is there already; nothing was copied. Allow it with --replace.")
    copied = 0
    for number, one in enumerate(files):
        try:
            to.mkdir(parents=True, exist_ok=True)
            pieces = anchored.pieces(left.workspace.path, one.path, limit_bytes=limit_bytes - copied + 1)
            counted = _Counted(pieces, most=limit_bytes - copied)
            anchored.write(to, one.path, counted)
        except (OSError, OutsideWorkspace, _Grew) as error:
            why = (
                error.sentence if isinstance(error, OutsideWorkspace) else f"{getattr(error, 'strerror', 0) or error}."
            )
            raise ArtefactError(
                f"{number} of {len(files)} files were copied; then {one.path[:200]!r} was not: {why}"
            ) from error
        copied += counted.bytes
    return copied


def _forms(path: str) -> Iterator[str]:
    """The path, and each folder on the way to it."""
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(len(parts), 0, -1))


class _Grew(Exception):
    """A file is longer than it was when it was listed."""


class _Counted:
    """Pieces, how many bytes went by, and no more than may.

    Raises:
        _Grew: there are more.
    """

    def __init__(self, pieces: Iterator[bytes], *, most: int) -> None:
        self._pieces = pieces
        self._most = most
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.bytes += len(piece)
            if self.bytes > self._most:
                raise _Grew("it grew meanwhile, beyond what --at-most allows")
            yield piece
