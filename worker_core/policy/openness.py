"""Whether a pattern could fit a text of which parts are not known: what the shell puts in, names of files that fit."""

from __future__ import annotations

import functools
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.policy.patterns import FOLDED, Star, elements
from worker_core.policy.words import Pieces

LONGEST: Final = 1_000
"""Characters of a text that are looked at; what comes behind them counts as any text."""


@dataclass(frozen=True, slots=True)
class _Automaton:
    """Places in a pattern as bits of a number: all that could be reached are followed at once."""

    size: int
    stars: int
    fitting: dict[str, int]
    """By character, the places that take it; by "" those that take any other."""

    classes: tuple[tuple[int, object], ...]

    def start(self) -> int:
        return self._past_stars(1)

    def step(self, places: int, character: str) -> int:
        takes = self.fitting.get(character, self.fitting[""])
        for bit, inside in self.classes:
            if inside.fullmatch(character):  # type: ignore[attr-defined]
                takes |= bit
        return self._past_stars(((places & takes) << 1) | (places & self.stars))

    def anything(self, places: int) -> int:
        """After any text: every place from the first on."""
        lowest = places & -places
        return ((1 << (self.size + 1)) - 1) & ~(lowest - 1) if places else 0

    def fits(self, places: int) -> bool:
        return bool(places >> self.size & 1)

    def _past_stars(self, places: int) -> int:
        return places | ((places & self.stars) << 1)


@functools.lru_cache(maxsize=4096)
def _automaton(pattern: str) -> _Automaton:
    parts = elements(pattern)
    stars, any_one = 0, 0
    classes: list[tuple[int, object]] = []
    fitting: dict[str, int] = {}
    for at, part in enumerate(parts):
        bit = 1 << at
        if part is Star.ANY:
            stars |= bit
        elif part is Star.ONE:
            any_one |= bit
        elif isinstance(part, str):
            fitting[part] = fitting.get(part, 0) | bit
        else:
            classes.append((bit, part))
    fitting = {character: bits | any_one for character, bits in fitting.items()}
    return _Automaton(len(parts), stars, fitting | {"": any_one}, tuple(classes))


def may_fit(pattern: str, parts: Pieces) -> bool:
    """For commands: whether some text in the place of each None makes the pattern fit."""
    forms = (pattern[:-2], pattern) if pattern.endswith(" *") else (pattern,)
    return any(_may_fit(form, parts) for form in forms)


def _may_fit(pattern: str, parts: Pieces) -> bool:
    automaton = _automaton(pattern)
    places = automaton.start()
    left = LONGEST
    for part in parts:
        if part is None:
            places = automaton.anything(places)
            continue
        for character in part[:left]:
            places = automaton.step(places, character)
            if not places:
                return False
        left -= len(part)
        if left < 0:
            return automaton.fits(automaton.anything(places))
    return automaton.fits(places)


def may_fit_path(pattern: str, parts: Pieces) -> bool:
    """For paths with names of files that are not known: None is any text without a slash, and at the beginning of a
    name it is none that begins with a dot, as the shell has it.
    """
    if FOLDED:
        pattern, parts = pattern.lower(), tuple(None if one is None else one.lower() for one in parts)
    return _folders_fit(tuple(pattern.split("/")), _names(parts))


def _names(parts: Pieces) -> tuple[Pieces, ...]:
    names: list[list[str | None]] = [[]]
    for part in parts:
        if part is None:
            names[-1].append(None)
            continue
        first, *others = part.split("/")
        names[-1].append(first)
        names += [[one] for one in others]
    return tuple(tuple(one for one in name if one != "") for name in names)


def _folders_fit(wanted: tuple[str, ...], names: tuple[Pieces, ...]) -> bool:
    places = {0}
    for name in names:
        following: set[int] = set()
        for at in _with_none(wanted, places):
            if at < len(wanted):
                if wanted[at] == "**":
                    following.add(at)
                elif _name_fits(wanted[at], name):
                    following.add(at + 1)
        places = following
        if not places:
            return False
    return len(wanted) in _with_none(wanted, places)


def _with_none(wanted: tuple[str, ...], places: set[int]) -> set[int]:
    """With the places behind a `**`, which may be no folder at all."""
    found = set(places)
    for at in sorted(places):
        while at < len(wanted) and wanted[at] == "**":
            at += 1
            found.add(at)
    return found


def _name_fits(wanted: str, name: Pieces) -> bool:
    if name[:1] == (None,) and wanted.startswith("."):
        return False
    return _may_fit(wanted, name)
