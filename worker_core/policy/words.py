"""Words of a command line: what is known of them, and what the shell will only know when it runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, Literal

from worker_core.basics.quick_dataclass import dataclass

Kind = Literal["quoted", "bare", "computed", "glob"]
"""Of a piece: quoted; as it stands; put in by the shell; a pattern for names of files."""

Piece = tuple[Kind, str]
Pieces = tuple[str | None, ...]
"""A text in parts; None is any text."""

MOST_BRACES: Final = 64
"""Words that one word with braces may become; more are any text."""

_LONGEST_WITH_BRACES: Final = 4096
_KNOWN: Final = frozenset({"$HOME", "${HOME}", "$PWD", "${PWD}"})
"""What these are is known; the reader of paths puts them in."""

_SIMPLE = re.compile(r"[^\s'\"\\;&|()<>$`*?\[\]{}!#~]+", re.ASCII)
_RANGE = re.compile(r"[A-Za-z0-9-]+\.\.[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Word:
    """One word as its command gets it."""

    text: str
    """What the shell puts in stands here as it was written."""

    raw: str = ""
    """As it was written."""

    pieces: Pieces = ()
    """Of the text, with None for what cannot be known; empty where all is known."""

    computed: bool = False
    """The shell puts something into it that does not stand on the line."""

    globbed: bool = False
    """It is a pattern for names of files, and becomes those that fit."""

    @property
    def open(self) -> bool:
        """Whether it cannot be known what it will be."""
        return self.computed or self.globbed

    @property
    def shown(self) -> str:
        """So that two different words never look the same."""
        return self.raw if self.open or self.raw == self.text else quoted(self.text)

    @property
    def parts(self) -> Pieces:
        """The text in parts."""
        return self.pieces if self.open else (self.text,)


ANY_WORDS: Final = Word(text="...", raw="...", pieces=(None,), computed=True)
"""Words that are added when it runs, such as those of `xargs`."""


def quoted(text: str) -> str:
    """In quotation marks where it would be something else without them."""
    return text if _SIMPLE.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def shown(words: Iterable[Word]) -> str:
    """A command as it is told, and as rules see it."""
    return " ".join(word.shown for word in words)


def unquoted(words: Iterable[Word]) -> str:
    """The same without quotation marks: also what people write into a rule."""
    return " ".join(word.text for word in words)


def joined(words: Sequence[Word]) -> Pieces:
    """A command in parts. A word that is computed as a whole may be none, or several."""
    said: list[str | None] = []
    for at, word in enumerate(words):
        parts = word.parts
        if at and not (parts and parts[0] is None):
            parts = (" ", *parts)
        for part in parts:
            if part is None:
                if not said or said[-1] is not None:
                    said.append(None)
            elif said and isinstance(said[-1], str):
                said[-1] += part
            else:
                said.append(part)
    return tuple(said)


def word_of(pieces: Sequence[Piece], raw: str) -> Word:
    """A word of its pieces; braces in it stay as they are."""
    text = "".join(part for _, part in pieces)
    computed = any(kind == "computed" and part not in _KNOWN for kind, part in pieces)
    globbed = any(kind == "glob" for kind, _ in pieces)
    if not (computed or globbed):
        return Word(text, raw)
    parts: list[str | None] = []
    for kind, part in pieces:
        if kind == "glob" or (kind == "computed" and part not in _KNOWN):
            if not parts or parts[-1] is not None:
                parts.append(None)
        elif parts and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    return Word(text, raw, tuple(parts), computed=computed, globbed=globbed)


def words_of(pieces: Sequence[Piece], raw: str) -> tuple[Word, ...]:
    """The words that a word becomes: several where it has braces, as `{a,b}` is `a b`."""
    braces = sum(part.count("{") for kind, part in pieces if kind == "bare")
    if not braces:
        return (word_of(pieces, raw),)
    many = braces > MOST_BRACES or len(raw) > _LONGEST_WITH_BRACES
    forms = [] if many else _forms(_characters(pieces))
    if not forms or len(forms) > MOST_BRACES:
        return (Word(raw, raw, (None,), computed=True),)
    if len(forms) == 1:
        return (word_of(forms[0], raw),)
    return tuple(word_of(form, "".join(part for _, part in form)) for form in forms)


def _characters(pieces: Sequence[Piece]) -> list[Piece]:
    """Bare pieces taken apart at braces and commas."""
    found: list[Piece] = []
    for kind, part in pieces:
        if kind == "bare":
            found += [("bare", one) for one in re.split(r"([{},])", part) if one]
        else:
            found.append((kind, part))
    return found


def _forms(pieces: list[Piece]) -> list[list[Piece]]:
    """With the first braces replaced by each of their parts, and then all others. A range is any text."""
    found = _first_braces(pieces)
    if found is None:
        return [pieces]
    begin, end, parts = found
    forms: list[list[Piece]] = []
    for part in parts:
        forms += _forms([*pieces[:begin], *part, *pieces[end + 1 :]])
        if len(forms) > MOST_BRACES:
            break
    return forms


def _first_braces(pieces: list[Piece]) -> tuple[int, int, list[list[Piece]]] | None:
    """Where the first braces that are some begin and end, and their parts."""
    for begin, piece in enumerate(pieces):
        if piece != ("bare", "{"):
            continue
        level, commas = 0, [begin]
        for at in range(begin, len(pieces)):
            if pieces[at] == ("bare", "{"):
                level += 1
            elif pieces[at] == ("bare", ",") and level == 1:
                commas.append(at)
            elif pieces[at] == ("bare", "}"):
                level -= 1
                if level == 0:
                    inner = "".join(part for _, part in pieces[begin + 1 : at])
                    if len(commas) > 1:
                        borders = [*commas, at]
                        return begin, at, [pieces[a + 1 : b] for a, b in pairwise(borders)]
                    if _RANGE.fullmatch(inner):
                        return begin, at, [[("computed", f"{{{inner}}}")]]
                    break
    return None
