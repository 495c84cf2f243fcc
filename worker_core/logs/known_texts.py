"""Finds any of many known texts in another: in one pass, at a cost that hardly grows with their number.

Each known text is at least six characters long. Wherever one of seven or more stands, it covers one whole block of
four whose position is a multiple of four; so a text is taken in blocks of four characters (one byte each, by the
buffer protocol), and these are looked up among the first four blocks, at any offset, of all known texts. That happens
in C and takes some 10 ns a character. The few blocks that are known are looked at more closely.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, TypeVar

HEAD: Final = 6
"""Characters by which known texts are sorted into groups; the least that one has."""

_BLOCK: Final = 4
_Key = TypeVar("_Key")


class KnownTexts:
    """A set of texts. What is found by one thread is right for the set before or after what another changes."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._blocks: dict[int, int] = {}
        self._beginnings: dict[str, int] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        """First six characters -> the texts that begin with them, sorted. Replaced, never changed."""

        self._sixes = 0
        self.longest = 0

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, texts: Iterable[str]) -> None:
        """Each may be added several times, and is then to be removed as often.

        Raises:
            ValueError: one is shorter than six characters.
        """
        grown: dict[str, list[str]] = {}
        for text in texts:
            if len(text) < HEAD:
                raise ValueError(f"A known text has at least {HEAD} characters.")
            self._counts[text] = count = self._counts.get(text, 0) + 1
            if count == 1:
                grown.setdefault(text[:HEAD], []).append(text)
                self._sixes += len(text) == HEAD
                self.longest = max(self.longest, len(text))
                for block in _blocks_of(text):
                    self._blocks[block] = self._blocks.get(block, 0) + 1
                for length in range(1, HEAD):
                    self._beginnings[text[:length]] = self._beginnings.get(text[:length], 0) + 1
        for head, new in grown.items():
            self._groups[head] = tuple(sorted((*self._groups.get(head, ()), *new)))

    def remove(self, texts: Iterable[str]) -> None:
        """Take back what was added."""
        shrunk: dict[str, set[str]] = {}
        for text in texts:
            self._counts[text] -= 1
            if not self._counts[text]:
                del self._counts[text]
                shrunk.setdefault(text[:HEAD], set()).add(text)
                self._sixes -= len(text) == HEAD
                for block in _blocks_of(text):
                    _decrease(self._blocks, block)
                for length in range(1, HEAD):
                    _decrease(self._beginnings, text[:length])
        for head, gone in shrunk.items():
            if left := tuple(text for text in self._groups[head] if text not in gone):
                self._groups[head] = left
            else:
                del self._groups[head]

    def find(self, text: str) -> list[tuple[int, int]]:
        """Start and end of the longest known text at every place where one begins; they may overlap."""
        return [
            (start, start + length)
            for start in self._candidates(text)
            if start >= 0 and (length := self._length_at(text, start))
        ]

    def begun_at(self, text: str) -> int:
        """Where the first ending begins that a known text may continue; the length of `text` where there is none."""
        first, groups = max(0, len(text) - self.longest + 1), self._groups
        for start in range(first, len(text) - HEAD + 1):
            group = groups.get(text[start : start + HEAD])
            if group is not None:
                ending = text[start:]
                at = bisect_right(group, ending)
                if at < len(group) and group[at].startswith(ending):
                    return start
        for start in range(max(first, len(text) - HEAD + 1), len(text)):
            if text[start:] in self._beginnings:
                return start
        return len(text)

    # --- below --------------------------------------------------------------------------------------------

    def _candidates(self, text: str) -> list[int]:
        known, size = self._blocks, len(text)
        # Other characters than those of Latin-1 all become `?`, here and in `_blocks_of`.
        data = memoryview(text.encode("latin-1", "replace"))
        found: list[int] = []
        # One of six characters covers a whole block only where blocks begin at every second place.
        for first in (0, 2) if self._sixes else (0,):
            blocks = data[first : size - (size - first) % _BLOCK].cast("I")
            if not known.keys().isdisjoint(blocks):
                for number, block in enumerate(blocks):
                    if block in known:
                        place = first + number * _BLOCK
                        found += range(place - _BLOCK + 1, place + 1)
        return found

    def _length_at(self, text: str, start: int) -> int:
        """Of the longest known text that begins at `start`; 0: none does."""
        group = self._groups.get(text[start : start + HEAD])
        if group is None:
            return 0
        here = text[start : start + self.longest]
        at = bisect_right(group, here)
        while at:
            nearest = group[at - 1]
            if here.startswith(nearest):
                return len(nearest)
            # Whatever is a prefix of `here` is one of what `here` and its nearest neighbour have in common.
            here = here[: _in_common(here, nearest)]
            at = bisect_right(group, here, 0, at - 1)
        return 0


def _blocks_of(text: str) -> list[int]:
    data = text[: 2 * _BLOCK - 1].encode("latin-1", "replace")
    return [
        int.from_bytes(data[place : place + _BLOCK], sys.byteorder)
        for place in range(min(_BLOCK, len(data) - _BLOCK + 1))
    ]


def _in_common(one: str, other: str) -> int:
    """Length of what both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _decrease(counts: dict[_Key, int], key: _Key) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
