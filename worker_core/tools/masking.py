"""Masking of what is too long to be masked at once: no secret is missed because a cut fell into it."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator

REACH = 16384
"""Characters on both sides of a cut that are looked at. A secret of half as many on one line is surely masked; longer
ones have lines of their own (keys, certificates), which are masked each.
"""

_MOST_HELD = 64 * REACH


def masked(pieces: Iterable[bytes], mask: Callable[[str], str]) -> Iterator[bytes]:
    """The stream with its secrets masked. Bytes that are no UTF-8 come through as they are."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    held = ""
    for piece in pieces:
        held += decoder.decode(piece)
        if len(held) < 8 * REACH:
            continue
        cut = safe_cut(held, len(held) - REACH, mask)
        if cut == 0 and len(held) > _MOST_HELD:
            cut = len(held) - REACH
        if cut:
            yield _encoded(mask(held[:cut]))
            held = held[cut:]
    yield _encoded(mask(held + decoder.decode(b"", final=True)))


def safe_cut(text: str, near: int, mask: Callable[[str], str]) -> int:
    """The last place up to `near` where a cut changes nothing of what is masked; 0 where there is none in reach.

    It is looked for within half the reach: nearer to where our own view begins, a secret might have begun before it.
    """
    low, high = max(0, near - REACH), min(len(text), near + REACH)
    whole = mask(text[low:high])
    back = 0
    while (cut := near - back) > max(0, near - REACH // 2):
        if mask(text[low:cut]) + mask(text[cut:high]) == whole:
            return cut
        back = back * 2 or 1
    return 0


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
