"""Where the commands of a line stand: what `cd` and its like have changed before them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.policy.patterns import slashed
from worker_core.policy.shell_events import Follows, Open

Folder = str | None
"""A path from the root, or from `~`; None where it is not known."""

DEEPEST: Final = 100
MOST: Final = 6
"""Folders that a command may stand in; where there are more, it is not known."""


def below(folder: Folder, named: str) -> Folder:
    """What a path means in a folder: from the root or from `~`; None where the folder is not known."""
    named = slashed(named)
    if named.startswith(("/", "~")) or named[1:3] == ":/":
        return named
    if folder is None:
        return None
    path = f"{folder}/{named}"
    if not path.startswith("~"):
        return path
    depth = 0
    for part in path.split("/")[1:]:
        depth += -1 if part == ".." else 0 if part in {"", "."} else 1
        if depth < 0:  # out of the home
            return os.path.expanduser(path)  # noqa: PTH111
    return path


def plain(folder: str) -> str:
    """Without `.` and `..`, as the shell's own `cd` reads them."""
    return os.path.normpath(folder)


@dataclass(slots=True)
class _State:
    succeeded: tuple[Folder, ...]
    """Where the next command stands if the last one succeeded."""

    failed: tuple[Folder, ...]
    sure: bool = False
    """It succeeded, as far as can be seen."""


class Folders:
    """Follows a line, command by command."""

    def __init__(self, start: Sequence[Folder], *, is_folder: Callable[[str], bool]) -> None:
        """`is_folder` says whether a path is a folder now."""
        self._state = _State(tuple(start), tuple(start))
        self._waiting: list[tuple[_State, Open]] = []
        self._is_folder = is_folder
        self._made: set[str] = set()
        self._removed = False
        self._before: tuple[Folder, ...] = (None,)
        self._pushed: list[tuple[Folder, ...]] = []

    def here(self, follows: Follows) -> tuple[Folder, ...]:
        """Where a command may stand. Never empty."""
        if follows == "&&":
            return self._state.succeeded or self._state.failed
        if follows == "||":
            return self._state.failed or self._state.succeeded
        return self._either_way(self._state)

    def _either_way(self, state: _State) -> tuple[Folder, ...]:
        return state.succeeded if state.sure and state.succeeded else _either(state.succeeded, state.failed)

    def open(self, opened: Open) -> None:
        self._waiting.append((self._state, opened))
        here = self.here(opened.follows)
        self._state = _State(here, here)

    def close(self) -> None:
        before, opened = self._waiting.pop()
        if opened.apart:
            self._state = before
        elif not opened.sure:
            here = _either(self.here(""), self._either_way(before))
            self._state = _State(here, here)

    def ran(self, follows: Follows, *, leaves: bool = False) -> None:
        """Another command ran. `leaves`: what comes behind it does not, as with `exit`."""
        here: tuple[Folder, ...] = () if leaves else self.here(follows)
        self._went(follows, here, here)

    def changed(self, follows: Follows, target: str | None, *, pushes: bool = False) -> None:
        """`cd`. None: it is not known where to."""
        here = self.here(follows)
        if pushes:
            self._pushed.append(here)
        self._go(follows, here, tuple(None if target is None else _normal(below(one, target)) for one in here))

    def back(self, follows: Follows) -> None:
        """`cd -`."""
        self._go(follows, self.here(follows), self._before)

    def popped(self, follows: Follows) -> None:
        """`popd`."""
        self._go(follows, self.here(follows), self._pushed.pop() if self._pushed else (None,))

    def made(self, follows: Follows, named: str) -> None:
        """`mkdir`."""
        for one in self.here(follows):
            if (path := _normal(below(one, named))) is not None:
                self._made.add(path)

    def removed(self) -> None:
        """Something may be gone that is there now."""
        self._removed = True

    def _go(self, follows: Follows, here: tuple[Folder, ...], there: tuple[Folder, ...]) -> None:
        self._before = here
        there = tuple(dict.fromkeys(there))
        known = [one for one in there if one is not None]
        sure = len(known) == len(there) and all(one in self._made or self._is_folder(one) for one in known)
        self._went(follows, there, here, sure=sure and not self._removed)

    def _went(
        self, follows: Follows, succeeded: tuple[Folder, ...], failed: tuple[Folder, ...], *, sure: bool = False
    ) -> None:
        before = self._state
        if follows == "&&" and not before.sure:
            failed, sure = _either(before.failed, failed), False
        elif follows == "||":
            succeeded, sure = _either(before.succeeded, succeeded), sure or before.sure
        self._state = _State(_few(succeeded), _few(failed), sure)


def _normal(folder: Folder) -> Folder:
    if folder is None:
        return None
    path = plain(folder)
    return path if path.count("/") < DEEPEST else None


def _either(one: tuple[Folder, ...], other: tuple[Folder, ...]) -> tuple[Folder, ...]:
    return tuple(dict.fromkeys((*one, *other))) or (None,)


def _few(folders: tuple[Folder, ...]) -> tuple[Folder, ...]:
    return folders if len(folders) <= MOST else (None,)
