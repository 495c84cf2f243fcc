"""Soft line breaks for a text that arrives in pieces, so that words stay whole."""

from __future__ import annotations

import re
from typing import Final

from worker_core.basics.plain import width

_PIECES: Final = re.compile(r"\n|[^\S\n]+|\S+")


class Wrapper:
    """Holds back an unfinished word until it is known on which line it fits."""

    def __init__(self, columns: int | None) -> None:
        """`columns` None: lines are left as they are."""
        self._columns = columns
        self._at = 0
        self._space = ""
        self._word = ""

    @property
    def in_line(self) -> bool:
        """Whether the line holds something already."""
        return self._at > 0 or bool(self._word)

    def feed(self, text: str) -> str:
        """What can be written now."""
        if self._columns is None:
            self._at = 0 if text.endswith("\n") else self._at + len(text)
            return text
        out: list[str] = []
        for piece in _PIECES.findall(text):
            if piece == "\n":
                out += (self._take_word(), "\n")
                self._at, self._space = 0, ""
            elif piece.isspace():
                out.append(self._take_word())
                self._space += piece.expandtabs(4)
            else:
                self._word += piece
        return "".join(out)

    def flush(self) -> str:
        """The rest of the line."""
        return self._take_word()

    def line_ended(self) -> None:
        """Somebody wrote a line break."""
        self._at, self._space, self._word = 0, "", ""

    def _take_word(self) -> str:
        if not self._word:
            return ""
        assert self._columns is not None
        word, space = self._word, self._space
        self._word = self._space = ""
        columns = width(word)
        if self._at and self._at + len(space) + columns > self._columns:
            self._at = columns
            return f"\n{word}"
        self._at += len(space) + columns
        return space + word
