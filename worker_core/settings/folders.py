"""Folders of the owner's that agents may work with: `PATH=MODE`, or a line below `[folders]`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, cast, get_args

from worker_core.basics.home import expanded
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded

FolderMode = Literal["worktree", "read-only", "read-write"]
_MODES: Final = get_args(FolderMode)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderGrant:
    """One folder; its text is what `read_grant` takes."""

    path: Path
    """Absolute."""

    mode: FolderMode = "worktree"
    """`worktree`: a copy of a git repository there. Else the folder itself, in its own place."""

    only_for: tuple[str, ...] = ()
    """Ids of queues, agents and teams; empty: whoever this worker works for."""

    def __str__(self) -> str:
        return f"{self.path}={' '.join((self.mode, *self.only_for))}"

    def is_for(self, ids: Iterable[str]) -> bool:
        """Whether it is for an execution of these ids."""
        return not self.only_for or bool(set(self.only_for) & set(ids))

    def holds(self, folder: str, *, ids: Iterable[str]) -> bool:
        """Whether an execution of these ids may work in a folder: this one, or one in it, links followed."""
        return self.is_for(ids) and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(self.path))


def read_grant(text: str) -> FolderGrant:
    """`PATH=MODE`, and behind it the ids of queues, agents or teams that it is for.

    Raises:
        ValueError: it is not that; the message goes on from "X is Y; ".
    """
    path, equals, how = text.rpartition("=")
    mode, *only_for = how.split() or [""]
    if not equals or not path.strip() or mode not in _MODES:
        raise ValueError(
            worded(
                "each folder is PATH=worktree (an execution works in a copy of the git repository there, and you merge "
                "what it changed), PATH=read-only or PATH=read-write (agents use the folder itself). Ids behind it say "
                'for which queues or agents ("worktree ID ID")'
            )
        )
    found = expanded(path.strip())
    if not found.is_absolute():
        raise ValueError(worded("each folder is an absolute path, or one that begins with ~"))
    return FolderGrant(path=found, mode=cast(FolderMode, mode), only_for=tuple(only_for))
