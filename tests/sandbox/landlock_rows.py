"""Where Landlock holds less than bubblewrap: each attempt of `escapes.py` that succeeds in it, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tests.sandbox.escapes import ESCAPES, Escape
from worker_core.sandbox.landlock import SCOPES_SINCE

NEWEST, OLDEST = 7, 2
OLDER = (5, 4, 3, OLDEST)
"""Versions of the interface, whose rules any newer kernel still takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    why: str
    below: int | None = None
    """Version of the interface; None: in all."""

    of: Literal["anybody", "bounded"] = "anybody"
    """`bounded`: who is not root and has something left in the bounding set of capabilities, as on no pod."""


_SEEN = "what there is, and the arguments of processes, only a namespace hides"
_SIGNALS = "Linux 6.12 keeps it from sending signals"

DIFFERENCES: Mapping[str, Difference] = {
    "learn which files there are elsewhere": Difference(why=_SEEN),
    "see other processes": Difference(why=_SEEN),
    "change the rights of a file elsewhere": Difference(why="Landlock does not look at chmod, which tools need"),
    "kill the worker": Difference(why=_SIGNALS, below=SCOPES_SINCE),
    "stop the worker": Difference(why=_SIGNALS, below=SCOPES_SINCE),
    "keep capabilities": Difference(
        why="an ordinary user's bounding set stays; nothing can be gained from it", of="bounded"
    ),
}

_AT_EVERY_VERSION = {
    *DIFFERENCES, "cut a file by its path", "read through a hard link", "write the shell's start file",
    "make a device", "connect to a service on loopback", "connect with the first packet (TCP Fast Open)",
    "survive with an empty environment", "use an abstract socket of the machine",
}  # fmt: skip
"""What a version bears on. The other attempts are made with the newest; by an ordinary user, with the oldest, too."""

_NOT_TRIED_BELOW: Mapping[str, int] = {"kill everything": SCOPES_SINCE}
"""It would end everything of this user on this machine."""


def rows(*, all_of_the_oldest: bool) -> Iterator[tuple[Escape, int]]:
    """Attempts, and the versions with which they are made."""
    for escape in ESCAPES:
        yield escape, NEWEST
        for version in OLDER:
            wanted = escape.attempt in _AT_EVERY_VERSION or (version == OLDEST and all_of_the_oldest)
            if wanted and version >= _NOT_TRIED_BELOW.get(escape.attempt, 0):
                yield escape, version


def succeeds(escape: Escape, version: int, *, is_bounded: bool) -> bool:
    found = DIFFERENCES.get(escape.attempt)
    if found is None or (found.below is not None and version >= found.below):
        return False
    return found.of == "anybody" or is_bounded


def said(escape: Escape) -> str:
    """A cell of the table in SECURITY.md."""
    found = DIFFERENCES.get(escape.attempt)
    if found is None:
        return "no"
    when = "" if found.below is None else f" before version {found.below}"
    return f"yes{when}: {found.why}"
