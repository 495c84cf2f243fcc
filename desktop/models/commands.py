"""Everything that can be asked for by name, and how what is typed is found in it. No Qt."""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from desktop.notices.action import Action
from worker_core.basics.quick_dataclass import dataclass

SHOWN: Final = 50
"""Rows found at most; who wants others types more."""

TYPED: Final = 100
"""Characters of what was typed that count, in at most WORDS words."""

WORDS: Final = 8
GAP: Final = 4
"""Letters that may be left out in one place."""

TITLE: Final = 200
"""Characters of a title, and ABOUT of what else a command is found by, that are looked at."""

ABOUT: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCommand:
    """One row of the palette. `kind` is what sort of thing it is, `about` is said beside the title."""

    title: str
    action: Action
    target: str = ""
    kind: str = ""
    icon: str = ""
    about: str = ""
    words: str = ""
    """Found by these too; they are not shown."""

    keys: tuple[str, ...] = ()
    """As this system writes them."""

    ends: bool = False
    """It ends work or the program: never on top unless it was typed."""

    @property
    def key(self) -> tuple[Action, str]:
        return self.action, self.target


class CommandIndex:
    """Commands in the order in which they stand where nothing is typed."""

    def __init__(self, commands: Iterable[NamedCommand], *, recent: Sequence[tuple[Action, str]] = ()) -> None:
        """`recent` are those that were used last, the latest first: of equals they come first."""
        self._commands = tuple(commands)
        self._places = {key: place for place, key in reversed(list(enumerate(recent)))}
        self._texts: list[tuple[str, str]] | None = None

    def __len__(self) -> int:
        return len(self._commands)

    def find(self, typed: str) -> list[NamedCommand]:
        """The SHOWN best. Each word must be there: a beginning is better than a middle, the title than what is about
        it, and letters in their order are better than nothing. One look at each command, whatever is typed.
        """
        words = folded(typed[:TYPED]).split()[:WORDS]
        never = len(self._places)
        if not words:
            order = ((one.ends, self._places.get(one.key, never), at) for at, one in enumerate(self._commands))
            return [self._commands[at] for *_, at in heapq.nsmallest(SHOWN, order)]
        if self._texts is None:
            self._texts = [
                (folded(one.title[:TITLE]), folded(f"{one.about} {one.words}"[:ABOUT])) for one in self._commands
            ]
        asked = [(word, _letters(word)) for word in words]
        ranked = (
            (cost, one.ends, self._places.get(one.key, never), at)
            for at, (one, text) in enumerate(zip(self._commands, self._texts, strict=True))
            if (cost := _cost(text, asked)) is not None
        )
        return [self._commands[at] for *_, at in heapq.nsmallest(SHOWN, ranked)]


def folded(text: str) -> str:
    """For comparing: without case and accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _letters(word: str) -> re.Pattern[str] | None:
    """Its letters in their order within one word of a title, from that word's beginning: `stngs` finds Settings. Each
    gap is short and has one way to be filled, so that no title takes long.
    """
    if len(word) < 2:
        return None
    others = "".join(f"[^\\s{re.escape(one)}]{{0,{GAP}}}{re.escape(one)}" for one in word[1:])
    return re.compile(rf"\b{re.escape(word[0])}{others}")


def _cost(text: tuple[str, str], asked: list[tuple[str, re.Pattern[str] | None]]) -> int | None:
    """How far this is from what was asked; None: it is something else."""
    title, about = text
    cost = 0
    for word, letters in asked:
        at = title.find(word)
        if at == 0:
            continue
        if at > 0:
            cost += 1 if f" {word}" in title else 2
        elif word in about:
            cost += 4
        elif letters is not None and letters.search(title):
            cost += 16
        else:
            return None
    return cost
