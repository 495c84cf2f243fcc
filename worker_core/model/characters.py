"""Texts that come in pieces: thoughts that stand in the text itself, and how much is taken."""

from __future__ import annotations

from typing import Final


class LeadingThoughts:
    """Takes `<think>…</think>` off the beginning of a text, where servers leave it that read no reasoning."""

    _OPEN: Final = "<think>"
    _CLOSE: Final = "</think>"
    _BLANKS: Final = 40
    """Characters of white space that may stand before it."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._over = False
        self.found = False

    def feed(self, piece: str) -> str:
        """What of it is said."""
        if self._over:
            return piece
        self._held += piece
        while True:
            if self._inside:
                end = self._held.find(self._CLOSE)
                if end < 0:
                    self._held = self._held[-len(self._CLOSE) + 1 :]
                    return ""
                self._inside, self._held = False, self._held[end + len(self._CLOSE) :]
            start = self._held.lstrip()
            if self.found:
                self._held = start  # white space behind thoughts says nothing
            elif len(self._held) - len(start) > self._BLANKS:
                return self._rest()
            if start.startswith(self._OPEN):
                self._inside = self.found = True
                self._held = start[len(self._OPEN) :]
            elif self._OPEN.startswith(start):
                return ""  # it may become one
            else:
                return self._rest()

    def flush(self) -> str:
        """The rest, at the end of the text."""
        return "" if self._inside else self._rest()

    def _rest(self) -> str:
        self._over = True
        rest, self._held = self._held, ""
        return rest


class Room:
    """So many bytes of UTF-8 are taken, and not one more."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.used = 0
        self.full = False
        """Something did not fit."""

    def take(self, text: str) -> str:
        """`text`, or as much of its beginning as fits."""
        size = len(text.encode())
        if size > self._left:
            self.full = True
            text = text.encode()[: self._left].decode("utf-8", "ignore")
            self._left = 0
        else:
            self._left -= size
        self.used += len(text)
        return text
