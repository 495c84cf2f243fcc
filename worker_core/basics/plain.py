"""Text from outside, made safe for a terminal: a log line or a model's answer cannot move the cursor."""

from __future__ import annotations

import json
import re

# C0 but tab and newline, DEL, C1; the marks that turn the direction of writing around (CVE-2021-42574), the separators
# that some take for line breaks, and what is never seen: joiners of words and tags. Those that scripts need stay.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\))")


def plain(text: str) -> str:
    """`text` without terminal escapes and control characters; tabs and line breaks stay."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def marked(text: str) -> str:
    """`text` with a mark in the place of each character that `plain` leaves out: as long as it was."""
    return text if text.isascii() and text.isprintable() else _CONTROL.sub("\ufffd", text)


def json_line(value: object) -> str:
    """JSON on one line, in which such characters are escaped."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text)


def one_line(text: str, limit: int) -> str:
    """`text` on one line of at most `limit` characters, plain."""
    joined = " ".join(plain(text[: 4 * limit + 200]).split())
    return joined if len(joined) <= limit else joined[: max(0, limit - 1)] + "…"


def width(text: str) -> int:
    """Columns that `text` takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    import unicodedata  # half a megabyte, for what is not ASCII

    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
