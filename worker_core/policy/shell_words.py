"""The words of a command line, with their quotation marks, substitutions and here-documents."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Final, Literal, Self

from worker_core.policy.shell_events import Close, Event, Open, Redirection
from worker_core.policy.words import Piece

MOST_EVENTS: Final = 1_000
"""Commands, and brackets around them."""

MOST_WORDS: Final = 3_000
MOST_STEPS: Final = 15_000
"""Characters that mean something, and the texts between them."""

DEEPEST: Final = 50

_BLANKS = re.compile(r"(?:[ \t\r]|\\\n)++")
_PLAIN = re.compile(r"[^\s;|&()<>'\"`\\$*?\[]++|[^\S \t\r\n]++")
_IN_QUOTES = re.compile(r'[^"\\$`]++')
_IN_BRACES = re.compile(r"[^}\"'\\$`]++")
_IN_BRACKETS = re.compile(r"[^\[\](){}'\"\\$`]++")
_IN_TEXT = re.compile(r"[^\\$`]++")
_IN_ARITHMETIC = re.compile(r"[^()\\$`]++")
_DEFAULT = re.compile(r"!?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!_-]):?[-=?+]", re.ASCII)
_VARIABLE = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!_-])", re.ASCII)
ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]]*\])?\+?=", re.ASCII)
_SUBSCRIPT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[([^\]]{0,1000})\]{1,5}\+?=", re.ASCII)
_BRACKET = re.compile(r"\[[!^]?+\]?(?>(?:\[:[a-z]{1,10}:\]|[^\[\]\s'\"\\$`/]++)*)\]")
_ANSI_QUOTED = re.compile(r"(?:[^'\\]++|\\.)*+", re.DOTALL)
_BACKTICKS = re.compile(r"(?:[^`\\]++|\\.)*+", re.DOTALL)
_ANSI = re.compile(r"\\(?:x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_ANSI_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}


class WordReader(ABC):
    """Reads words at a place in a text, and what is nested in them. How commands are read is for who inherits."""

    def __init__(self, text: str, *, depth: int = 0) -> None:
        self.text = text
        self.at = 0
        self.depth = depth
        self.events: list[Event] = []
        self.whole = True
        self.gave_up = False
        self.defines = False
        self.heredocs: list[tuple[Redirection, str, bool, bool]] = []
        self.words_read = 0
        self.steps = 0
        self._not_arithmetic = 0

    # --- commands -----------------------------------------------------------------------------------------

    @abstractmethod
    def commands(self, closing: str) -> None:
        """Up to `closing`, or to the end."""

    def nested(self, closing: str, *, fed: bool = False) -> None:
        """A substitution: commands in a shell of their own. `fed`: they read what is written to it."""
        if self.is_too_deep():
            return
        self.depth += 1
        self.events.append(Open(apart=True, sure=True, fed=fed))
        self.commands(closing)
        self.events.append(Close())
        self.depth -= 1

    def is_too_deep(self) -> bool:
        if self.depth >= DEEPEST:
            self.give_up()
        return self.depth >= DEEPEST

    def give_up(self) -> None:
        self.gave_up = True
        self.at = len(self.text)

    def goes_on(self) -> bool:
        """Before each step: whether there is something to read, and not too much has been read."""
        self.steps += 1
        if self.steps > MOST_STEPS or self.words_read > MOST_WORDS or len(self.events) > MOST_EVENTS:
            self.give_up()
        return self.at < len(self.text)

    def peek(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def blanks(self) -> None:
        if (found := _BLANKS.match(self.text, self.at)) is not None:
            self.at = found.end()

    # --- words --------------------------------------------------------------------------------------------

    def word(self) -> tuple[list[Piece], str]:
        """The pieces of the word that begins here, and how it is written."""
        begin = self.at
        pieces: list[Piece] = []
        text = self.text
        self.words_read += 1
        while self.goes_on():
            if (found := _PLAIN.match(text, self.at)) is not None:
                pieces.append(("bare", found[0]))
                self.at = found.end()
                continue
            character = text[self.at]
            if character in " \t\r\n;|&)":
                break
            if character in "<>" and not text.startswith("(", self.at + 1):
                break
            if character == "(":
                kind, before = pieces[-1] if pieces else ("quoted", "")
                if before and before[-1] in "@!?*+" and kind in {"bare", "glob"}:
                    where = self.at - 1
                    self.at += 1
                    self._balanced(_IN_BRACKETS, "(", ")")
                    pieces[-1:] = [(kind, before[:-1]), ("glob", text[where : self.at])]
                elif pieces and ASSIGNMENT.fullmatch(text, begin, self.at):
                    self.at += 1
                    self._array()
                    pieces.append(("computed", text[begin : self.at]))
                else:
                    break
            else:
                self._special(character, pieces)
        return pieces, text[begin : self.at]

    def _special(self, character: str, pieces: list[Piece]) -> None:
        text, begin = self.text, self.at
        if character == "'":
            end = text.find("'", begin + 1)
            if end < 0:
                self.whole = False
                end = len(text)
            pieces.append(("quoted", text[begin + 1 : end]))
            self.at = end + 1
        elif character == '"':
            self.at += 1
            self._double(pieces)
        elif character == "\\":
            if begin + 1 >= len(text):
                pieces.append(("quoted", "\\"))
            elif text[begin + 1] != "\n":
                pieces.append(("quoted", text[begin + 1]))
            self.at += 2
        elif character in "<>":
            self.at += 2
            self.nested(")", fed=character == ">")
            pieces.append(("computed", text[begin : self.at]))
        elif character == "$" and self.peek("$'"):
            self._ansi(pieces)
        elif character == "$" and self.peek('$"'):
            self.at += 2
            self._double(pieces)
        elif character in "$`":
            self._substitution(pieces, "bare")
        elif character == "[" and (found := _BRACKET.match(text, begin)) is not None:
            pieces.append(("glob", found[0]))
            self.at = found.end()
        else:
            pieces.append(("glob" if character in "*?" else "bare", character))
            self.at += 1

    def _double(self, pieces: list[Piece]) -> None:
        """Up to the closing double quotation mark."""
        pieces.append(("quoted", ""))
        while self.goes_on():
            if (found := _IN_QUOTES.match(self.text, self.at)) is not None:
                pieces.append(("quoted", found[0]))
                self.at = found.end()
            elif self.peek('"'):
                self.at += 1
                return
            elif self.peek("\\"):
                following = self.text[self.at + 1 : self.at + 2]
                kept = "" if following == "\n" else following if following in '"\\$`' else f"\\{following}"
                pieces.append(("quoted", kept))
                self.at += 2
            else:
                self._substitution(pieces, "quoted")
        self.whole = False

    def _ansi(self, pieces: list[Piece]) -> None:
        found = _ANSI_QUOTED.match(self.text, self.at + 2)
        assert found is not None
        self.whole = self.whole and found.end() < len(self.text)
        pieces.append(("quoted", ansi(found[0])))
        self.at = found.end() + 1

    def _substitution(self, pieces: list[Piece], otherwise: Literal["bare", "quoted"]) -> None:
        """What begins with `$` or a backtick."""
        text, begin = self.text, self.at
        following = text[begin + 1 : begin + 2]
        if text[begin] == "$" and following not in {"(", "{", "["}:
            if (found := _VARIABLE.match(text, begin)) is None:
                pieces.append((otherwise, "$"))
                self.at += 1
                return
            self.at = found.end()
        elif self.peek("$("):
            if not (self.peek("$((") and self.arithmetic(begin + 3)):
                self.at = begin + 2
                self.nested(")")
        elif self.peek("${"):
            self.at += 2
            self._braces(in_quotes=otherwise == "quoted")
        elif self.peek("$["):
            self.at += 2
            self._balanced(_IN_BRACKETS, "[", "]")
        else:
            self._backticks()
        pieces.append(("computed", text[begin : self.at]))

    def _backticks(self) -> None:
        found = _BACKTICKS.match(self.text, self.at + 1)
        assert found is not None
        self.at = found.end()
        if self.at >= len(self.text):
            self.whole = False
        self.at += 1
        if self.depth >= DEEPEST:
            self.give_up()
            return
        inner = self._inside(re.sub(r"\\([\\`$])", r"\1", found[0]))
        inner.commands("")
        self._take(inner)

    def _inside(self, text: str) -> Self:
        inner = type(self)(text, depth=self.depth + 1)
        inner.words_read, inner.steps = self.words_read, self.steps
        return inner

    def _take(self, inner: WordReader) -> None:
        self.events += [Open(apart=True, sure=True), *inner.events, Close()]
        self.whole = self.whole and inner.whole and not inner.heredocs
        self.words_read, self.steps = inner.words_read, inner.steps
        if inner.gave_up:
            self.give_up()
        self.defines = self.defines or inner.defines

    def _braces(self, *, in_quotes: bool) -> None:
        """`${...}`, behind its brace. Between double quotation marks, single ones mean nothing in a default."""
        if self.is_too_deep():
            return
        self.depth += 1
        ignored: list[Piece] = []
        mean_nothing = in_quotes and _DEFAULT.match(self.text, self.at) is not None
        while self.goes_on():
            if (found := _IN_BRACES.match(self.text, self.at)) is not None:
                self.at = found.end()
            elif self.peek("}"):
                self.at += 1
                break
            elif self.peek('"'):
                self.at += 1
                self._double(ignored)
            elif self.peek("'") and not mean_nothing and (end := self.text.find("'", self.at + 1)) > 0:
                self._evaluated(self.text[self.at + 1 : end])
                self.at = end + 1
            elif self.peek("\\"):
                self.at += 2
            elif self.peek("'"):
                self.at += 1
            else:
                self._substitution(ignored, "quoted" if in_quotes else "bare")
        else:
            self.whole = False
        self.depth -= 1

    def _evaluated(self, text: str) -> None:
        """A quoted text that is arithmetic where it is an index or an offset; else it need not be whole."""
        whole = self.whole
        self.inner(text)
        self.whole = whole

    def _balanced(self, plain: re.Pattern[str], opening: str, closing: str) -> None:
        """Up to the bracket that closes the one just read."""
        if self.is_too_deep():
            return
        self.depth += 1
        ignored: list[Piece] = []
        level = 1
        while self.goes_on():
            if (found := plain.match(self.text, self.at)) is not None:
                self.at = found.end()
            elif self.peek(closing):
                self.at += 1
                level -= 1
                if level == 0:
                    break
            elif self.peek(opening):
                self.at += 1
                level += 1
            elif self.peek("\\"):
                self.at += 2
            elif plain is _IN_BRACKETS and self.text[self.at] in "'\"":
                self._special(self.text[self.at], ignored)
            elif self.text[self.at] in "$`":
                self._substitution(ignored, "bare")
            else:
                self.at += 1
        else:
            self.whole = False
        self.depth -= 1

    def arithmetic(self, begin: int) -> bool:
        """Read `...))` from `begin`, behind `((`. False where it is no arithmetic but two brackets; then nothing is."""
        if begin <= self._not_arithmetic:
            return False
        before, known, whole, depth = self.at, len(self.events), self.whole, self.depth
        self.at = begin
        self._balanced(_IN_ARITHMETIC, "(", ")")
        if self.gave_up or (self.whole and self.peek(")")):
            self.at += 1
            return True
        self._not_arithmetic = max(self._not_arithmetic, self.at)
        del self.events[known:]
        self.at, self.whole, self.depth = before, whole, depth
        return False

    def _array(self) -> None:
        """The values of `name=(...)`, behind the bracket."""
        if self.is_too_deep():
            return
        self.depth += 1
        while self.goes_on():
            character = self.text[self.at]
            if character == ")":
                self.at += 1
                break
            if character == "#":
                self.at = self.find("\n")
            elif character in " \t\r\n;|&<>(" and not self.peek("<(") and not self.peek(">("):
                self.at += 1
            else:
                _, raw = self.word()
                if raw.startswith("["):
                    self._evaluated(raw.partition("=")[0])
        else:
            self.whole = False
        self.depth -= 1

    def subscript(self) -> str:
        """`name[...]=` where the word that begins here is one, as it is written; else nothing is read."""
        found = _SUBSCRIPT.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        self.inner(found[1])
        return found[0]

    # --- here-documents -----------------------------------------------------------------------------------

    def here_documents(self) -> None:
        """Their texts, which begin in this line."""
        for redirection, delimiter, is_quoted, tabs in self.heredocs:
            begin = self.at
            before = r"\t*" if tabs else ""
            found = re.compile(rf"^{before}{re.escape(delimiter)}$", re.MULTILINE).search(self.text, begin)
            stop = len(self.text) if found is None else found.start()
            self.at = len(self.text) if found is None else found.end()
            self.whole = self.whole and found is not None
            redirection.body = self.text[begin:stop]
            if not is_quoted:
                redirection.is_computed = self.inner(redirection.body)
        self.heredocs.clear()

    def inner(self, text: str) -> bool:
        """The substitutions of a text that is no word. Says whether there is one."""
        if not any(character in text for character in "$`"):
            return False
        if self.is_too_deep():
            return True
        inner = self._inside(text)
        pieces: list[Piece] = []
        while inner.goes_on():
            if (found := _IN_TEXT.match(text, inner.at)) is not None:
                inner.at = found.end()
            elif inner.peek("\\"):
                inner.at += 2
            else:
                inner._substitution(pieces, "quoted")
        self._take(inner)
        return any(kind == "computed" for kind, _ in pieces)

    def find(self, what: str) -> int:
        found = self.text.find(what, self.at)
        return len(self.text) if found < 0 else found


def ansi(text: str) -> str:
    """What `$'...'` holds."""

    def meant(found: re.Match[str]) -> str:
        said = found[0][1:]
        if said[0] in "xuU" and len(said) > 1:
            number = int(said[1:], 16)
        elif said[0] in "01234567":
            number = int(said, 8) & 0xFF
        elif said[0] == "c" and len(said) > 1:
            number = ord(said[1]) & 0x1F
        else:
            return _ANSI_LETTERS.get(said, said)
        return chr(number) if number <= 0x10FFFF else "\ufffd"

    return _ANSI.sub(meant, text)
