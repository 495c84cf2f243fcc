"""Output as a person sees it: what a program drew over is gone, colours are no text.

A progress bar is thousands of redraws of one line. A model that reads them all has no room left for the result.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

WINDOW_ROWS: Final = 60
"""So far up a program may go back to draw anew."""

LONGEST_ROW: Final = 20_000
"""Characters of a line that can still be drawn over; what is longer stays as it came."""

_LONGEST_ESCAPE: Final = 4096
_CONTROLS: Final = "\r\b\x1b"
_MOVES: Final = re.compile(f"[{_CONTROLS}]")
_TOKEN: Final = re.compile(
    r"\x1b\[([0-?]*)[ -/]*([@-~])"  # CSI: colours, and movements of the cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b]*\x1b\\"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
    r"|[\x1b\r\n\b]|[^\x1b\r\n\b]+"
)


def is_plain(piece: bytes) -> bool:
    """Whether a terminal would show it as it is, wherever it stands among others that are."""
    return not any(control in piece for control in _CONTROLS.encode())


class TerminalText:
    """Feed it what a process printed, in pieces; it gives the text that a terminal would show, line by line.

    Attributes:
        drawn_over: whether anything is left out that was to be read at some time; colours do not count.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._rows: list[list[str]] = [[]]
        self._row = 0
        self._column = 0
        self._out: list[str] = []
        self.drawn_over = False

    def feed(self, piece: bytes, *, final: bool = False) -> bytes:
        """What of it can no longer change."""
        self._take(self._held + self._decoder.decode(piece, final=final), final=final)
        if final:
            self._leave(len(self._rows))
        text, self._out = "".join(self._out), []
        return text.encode("utf-8", "surrogateescape")

    def _take(self, text: str, *, final: bool) -> None:
        self._held = ""
        if self._at_the_end and not _MOVES.search(text):
            self._append(text)
            return
        for token in _TOKEN.finditer(text):
            said = token.group()
            if said == "\x1b":
                if not final and len(text) - token.start() < _LONGEST_ESCAPE:
                    self._held = text[token.start() :]  # the rest of it may follow
                    return
            elif token.group(2):
                self._move(token.group(2), token.group(1))
            elif said == "\n":
                self._row, self._column = self._row + 1, 0
                self._scroll()
            elif said == "\r":
                self._column = 0
            elif said == "\b":
                self._column = max(0, self._column - 1)
            elif said[0] != "\x1b":
                self._write(said)

    @property
    def _at_the_end(self) -> bool:
        return self._row == len(self._rows) - 1 and self._column == len(self._rows[-1])

    def _append(self, text: str) -> None:
        """Plain text, in one go."""
        *before, last = text.rsplit("\n", WINDOW_ROWS) if "\n" in text else [text]
        if before:
            self._rows[-1].extend(before[0])
            self._rows += [list(line) for line in before[1:]]
            self._rows.append([])
            self._row = len(self._rows) - 1
        self._rows[-1].extend(last)
        self._column = len(self._rows[-1])
        self._scroll()

    def _write(self, text: str) -> None:
        row, start = self._rows[self._row], self._column
        if start > len(row):
            row.extend(" " * (start - len(row)))
        old = row[start : start + len(text)]
        self.drawn_over = self.drawn_over or any(one != new for one, new in zip(old, text, strict=False) if one != " ")
        row[start : start + len(text)] = text
        self._column = start + len(text)
        if len(row) > LONGEST_ROW:
            self._scroll()

    def _move(self, command: str, given: str) -> None:
        number = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else 0
        steps = max(1, number)
        match command:
            case "A":
                self._row = max(0, self._row - steps)
            case "B":
                self._row = min(len(self._rows) - 1, self._row + steps)
            case "C":
                self._column = min(self._column + steps, LONGEST_ROW)
            case "D":
                self._column = max(0, self._column - steps)
            case "E" | "F":
                self._move("B" if command == "E" else "A", given)
                self._column = 0
            case "G":
                self._column = min(steps - 1, LONGEST_ROW)
            case "K":
                self._erase(number)
            case "J" if number == 0:
                self._erase(0)
                for row in self._rows[self._row + 1 :]:
                    self.drawn_over = self.drawn_over or bool(row)
                del self._rows[self._row + 1 :]
            case _:
                pass  # colours, modes; a cleared screen keeps what was on it

    def _erase(self, what: int) -> None:
        row = self._rows[self._row]
        gone = row[self._column :] if what == 0 else row[: self._column] if what == 1 else row
        self.drawn_over = self.drawn_over or any(one != " " for one in gone)
        if what == 0:
            del row[self._column :]
        else:
            row[: len(gone)] = " " * len(gone)
            if what == 2:
                row.clear()

    def _scroll(self) -> None:
        while self._row >= len(self._rows):
            self._rows.append([])
        if len(self._rows) > WINDOW_ROWS:
            self._leave(len(self._rows) - WINDOW_ROWS)
        long = next((number for number, row in enumerate(self._rows) if len(row) > LONGEST_ROW), -1)
        if long >= 0:
            self._leave(long)
            self._out.append("".join(self._rows[0]))
            self._rows[0].clear()
            self._column = 0 if self._row == 0 else self._column

    def _leave(self, number: int) -> None:
        """The first rows, which nothing reaches any more."""
        if number == 0:
            return
        leaving, self._rows = self._rows[:number], self._rows[number:]
        self._out.append("\n".join("".join(row) for row in leaving) + ("\n" if self._rows else ""))
        self._row -= number
