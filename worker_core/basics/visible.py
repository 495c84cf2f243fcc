"""Text that somebody is asked about, written so that what it holds is what is seen.

A terminal's escapes, marks that turn the direction of writing around (CVE-2021-42574), letters without a picture and
blanks that push something out of sight are no part of what a person reads; here they are written out, as `less` does.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt, 16.0), the blanks of braille and of hieroglyphs, a
# note without a head, and what stands for an object: letters and marks without a picture, among them the tags in which
# whole sentences can be hidden.
_IGNORED: Final = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xFFFC, 0xFFFC), (0x13441, 0x13442), (0x1BCA0, 0x1BCA3),
    (0x1D159, 0x1D159), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
_STARTS: Final = [first for first, _ in _IGNORED]

_UNUSUAL: Final = re.compile(r"[^\t\n -~]")
_BLANKS: Final = re.compile(r"[ \t]{40,}+")
_EMPTY_LINES: Final = re.compile(r"\n(?:[ \t]{0,39}+\n){4,}+")
_FROM_THE_RIGHT: Final = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]+"
)
"""Letters that are written from right to left, with their marks: they turn what stands between two of them around."""

_ISOLATED: Final = "\u2068{}\u2069"
"""Unicode's isolates (UAX #9): each such word has its own direction, and all stand in the order of the text."""

_MARKS_AT_ONCE: Final = 3
"""Marks on one letter; with more, they grow over the lines above and below."""


def visible(text: str) -> str:
    """Printable characters, tabs and line breaks as they are; every other one as `<U+202E>`; long blanks counted.

    Words that are written from right to left stand in isolates of ours, so that each stays where it is in the text.
    """
    if _UNUSUAL.search(text) is not None:
        text = _UNUSUAL.sub(_written, text)
        text = _FROM_THE_RIGHT.sub(lambda found: _ISOLATED.format(found[0]), text)
    text = _BLANKS.sub(lambda found: f"<{len(found[0])} blanks>", text)
    return _EMPTY_LINES.sub(lambda found: f"\n<{found[0].count(chr(10)) - 1} empty lines>\n", text)


def visible_line(text: str) -> str:
    """As `visible`, on one line: line breaks and tabs are written out, too."""
    return visible(text).replace("\n", "<U+000A>").replace("\t", "<U+0009>")


def unseen(text: str) -> str:
    """The first character that `visible` writes out, as it writes it; empty where there is none."""
    return next((said for found in _UNUSUAL.finditer(text) if (said := _written(found)) != found[0]), "")


def _written(found: re.Match[str]) -> str:
    character, at = found[0], found.start()
    if character.isprintable() and not _is_ignored(ord(character)):
        import unicodedata  # half a megabyte, which most programs' texts do without

        before = found.string[max(0, at - _MARKS_AT_ONCE) : at]
        stacked = len(before) == _MARKS_AT_ONCE and all(map(unicodedata.combining, before + character))
        if not stacked:
            return character
    return f"<U+{ord(character):04X}>"


def _is_ignored(code: int) -> bool:
    at = bisect_right(_STARTS, code) - 1
    return at >= 0 and code <= _IGNORED[at][1]
