"""Where in a TOML text each top-level name stands: the library that reads the values does not say."""

from __future__ import annotations

import re
import tomllib
from typing import Final

from worker_core.basics.quick_dataclass import dataclass

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)+")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?"""(?:"{0,2})'
    r"|'''[\s\S]*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
)
_REST: Final = re.compile(r"""[^"'#\[\]{}\n]+""")
_AT: Final = re.compile(r"\(at (?:line (\d+), column (\d+)|end of document)\)")


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Of a name and of its value, lines and columns from 1."""

    line: int
    column: int
    value_line: int
    value_column: int


def places(text: str) -> dict[str, KeyPlace]:
    """The first place of each name at the top level, the names of tables among them.

    Args:
        text: valid TOML. Of any other text some names may be missing or stand elsewhere; it never raises, and takes
            time in proportion to the text.
    """
    found: dict[str, KeyPlace] = {}
    lines = _Lines(text)
    at, in_table = 0, False
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        is_header = text[at] == "["
        begin = at
        if is_header:
            begin = _behind_blanks(text, begin + (2 if text.startswith("[[", at) else 1))
        name, behind = _name(text, begin)
        value = behind if is_header else _value_at(text, behind)
        if name and (is_header or not in_table):
            found.setdefault(name, KeyPlace(*lines.at(begin), *lines.at(value)))
        in_table = in_table or is_header
        at = max(_end_of_line(text, value if not is_header else at), at + 1)
    return found


def place_of_error(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, int, str]:
    """Line and column where reading gave up, and what the library says besides."""
    said = str(error)
    where = _AT.search(said)
    plain = (said if where is None else said[: where.start()] + said[where.end() :]).strip(". ")
    if where is None or where[1] is None:
        return text.rstrip("\n").count("\n") + 1, 1, plain
    return int(where[1]), int(where[2]), plain


class _Lines:
    """Positions as lines and columns; asked in rising order, each character is counted once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line, self._begin, self._seen = 1, 0, 0

    def at(self, position: int) -> tuple[int, int]:
        crossed = self._text.count("\n", self._seen, position)
        if crossed:
            self._line += crossed
            self._begin = self._text.rfind("\n", self._seen, position) + 1
        self._seen = max(self._seen, position)
        return self._line, position - self._begin + 1


def _name(text: str, at: int) -> tuple[str, int]:
    """The first part of a name such as `a`, `"a"` or `a.b`, and the position behind it."""
    at = _behind_blanks(text, at)
    if found := _BARE.match(text, at):
        return found[0], found.end()
    if (found := _STRING.match(text, at)) is not None:
        try:
            return str(tomllib.loads(f"x = {found[0]}")["x"]), found.end()
        except tomllib.TOMLDecodeError:
            return "", found.end()
    return "", at


def _value_at(text: str, at: int) -> int:
    """Behind the `=`."""
    while at < len(text) and text[at] not in "=\n":
        found = _STRING.match(text, at)
        at = found.end() if found else at + 1
    return min(_behind_blanks(text, at + 1), len(text))


def _behind_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at


def _end_of_line(text: str, at: int) -> int:
    """Of the value that begins here: lines go on inside of brackets and of long strings."""
    depth = 0
    while at < len(text):
        if found := _STRING.match(text, at) or _REST.match(text, at):
            at = found.end()
            continue
        match text[at]:
            case "#":
                end = text.find("\n", at)
                at = len(text) if end < 0 else end
                continue
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
            case "\n" if depth <= 0:
                return at + 1
        at += 1
    return len(text)
