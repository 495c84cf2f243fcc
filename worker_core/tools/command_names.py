"""Which programs a command line names: enough of the shell's grammar for a guard rail, no more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_REDIRECTION = re.compile(r"&?[<>]+[&|]?-?")
_KEYWORDS = frozenset({"if", "then", "else", "elif", "fi", "while", "until", "do", "done", "esac", "!", "{", "}"})
_NOT_COMMANDS = frozenset({"for", "case", "select", "function"})
"""What follows these on the line is no command."""

_RUNNERS = frozenset({"env", "command", "exec", "nohup", "time", "builtin"})
"""They run what follows them; only where nothing does are they a command themselves."""

_SINGLE_QUOTED = re.compile("'[^']*'")
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Word:
    """A word as its command gets it. `computed`: the shell puts something into it that is not known here."""

    text: str
    computed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedLine:
    """A command line, taken apart."""

    commands: tuple[tuple[Word, ...], ...]
    """Each simple command, also those in substitutions, without assignments, redirections and `env`-like prefixes."""

    others: tuple[Word, ...]
    """Targets of redirections, and the lists of `for` and `case`."""

    whole: bool
    """False where a quote or bracket is not closed, or commands are nested too deep."""


class _Scanner:
    """Reads a command line from left to right and notes the word in each command's place."""

    def __init__(self, text: str, *, depth: int = 0) -> None:
        self.text = text
        self.at = 0
        self.names: list[str] = []
        self.commands_found: list[list[Word]] = []
        self.others: list[Word] = []
        self.whole = True
        self.depth = depth
        self.heredocs: list[tuple[str, bool]] = []

    def peek(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def commands(self, closing: str = "", *, named: bool = True) -> None:
        """Up to `closing`, or to the end. Without `named`, only what is nested in the words counts (arrays)."""
        expecting, in_pattern, redirected, runner = named, False, "", ""
        current, closed = self.others, not closing
        while self.at < len(self.text):
            if closing and not (in_pattern and closing == ")") and self.peek(closing):
                self.at += len(closing)
                closed = True
                break
            character = self.text[self.at]
            if character in " \t\r":
                self.at += 1
            elif self.peek("\\\n"):
                self.at += 2
            elif character == "#":
                self.at = self._find("\n")
            elif (character in "<>" and self.text[self.at + 1 : self.at + 2] != "(") or self.peek("&>"):
                operator = _REDIRECTION.match(self.text, self.at)
                assert operator is not None
                redirected, self.at = operator[0], operator.end()
            elif character in ";|&\n()":
                self.at += 1
                in_pattern = (in_pattern or self.text.startswith(";;", self.at - 1)) and character != ")"
                if runner and expecting:
                    self._found(Word(runner))
                expecting, redirected, runner = named and not in_pattern, "", ""
                current = self.others
                if character == "\n":
                    self._skip_heredocs()
            else:
                begin = self.at
                word = self.word(closing)
                raw = self.text[begin : self.at]
                if raw.isdigit() and self.text[self.at : self.at + 1] in ("<", ">"):
                    continue
                if redirected:
                    if redirected.startswith("<<") and redirected != "<<<":
                        self.heredocs.append((word, raw != word))
                    elif redirected != "<<<":
                        self.others.append(_word(word, raw))
                    redirected = ""
                elif raw == "esac":
                    in_pattern = False
                elif not expecting:
                    current.append(_word(word, raw))
                elif raw in _KEYWORDS or (_ASSIGNMENT.match(raw)):
                    continue
                elif raw in _NOT_COMMANDS:
                    expecting, in_pattern = False, raw == "case"
                elif raw in _RUNNERS:
                    runner = raw
                elif not (runner and raw.startswith("-")):
                    current = self._found(_word(word, raw))
                    expecting = False
        if runner and expecting:
            self._found(Word(runner))
        self.whole = self.whole and closed

    def _found(self, first: Word) -> list[Word]:
        self.names.append(PurePath(first.text).name or first.text)
        self.commands_found.append([first])
        return self.commands_found[-1]

    def word(self, closing: str) -> str:
        said: list[str] = []
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in " \t\r\n;|&)" or (character == closing == "`"):
                break
            if character in "<>(":
                if character == "(" and said and said[-1] == "=":
                    self.at += 1
                    self._nested(")", named=False)
                elif character != "(" and self.text[self.at + 1 : self.at + 2] == "(":
                    self.at += 2
                    self._nested(")")
                    said.append("_")
                else:
                    break
            elif character == "'":
                end = self._find("'", self.at + 1)
                self.whole = self.whole and end < len(self.text)
                said.append(self.text[self.at + 1 : end])
                self.at = end + 1
            elif character == '"':
                self.at += 1
                said.append(self._quoted('"'))
            elif not self._substitution(said):
                if character == "\\":
                    self.at += 1
                    character = self.text[self.at : self.at + 1].replace("\n", "")
                said.append(character)
                self.at += 1
        return "".join(said)

    def _substitution(self, said: list[str]) -> bool:
        """`$((...))`, `$(...)`, `${...}` and backticks, in a word or within double quotes."""
        if self.peek("$(("):
            self.at += 3
            self._quoted("))")
        elif self.peek("$("):
            self.at += 2
            self._nested(")")
        elif self.peek("${"):
            self.at += 2
            self._quoted("}")
        elif self.peek("`"):
            self.at += 1
            self._nested("`")
        else:
            return False
        said.append("_")
        return True

    def _quoted(self, closing: str) -> str:
        said: list[str] = []
        if self._is_too_deep():
            return ""
        self.depth += 1
        closed = closing == "\0"
        while self.at < len(self.text):
            if self.peek(closing):
                self.at += len(closing)
                closed = True
                break
            if self.peek("\\"):
                said.append(self.text[self.at + 1 : self.at + 2])
                self.at += 2
            elif not self._substitution(said):
                said.append(self.text[self.at])
                self.at += 1
        self.depth -= 1
        self.whole = self.whole and closed
        return "".join(said)

    def _is_too_deep(self) -> bool:
        if self.depth >= _DEEPEST:
            self.names.append("(too many nested commands)")
            self.whole = False
            self.at = len(self.text)
        return self.depth >= _DEEPEST

    def _nested(self, closing: str, *, named: bool = True) -> None:
        if self._is_too_deep():
            return
        self.depth += 1
        self.commands(closing, named=named)
        self.depth -= 1

    def _skip_heredocs(self) -> None:
        for delimiter, quoted in self.heredocs:
            begin = self.at
            end = re.compile(rf"^\t*{re.escape(delimiter)}$", re.MULTILINE).search(self.text, begin)
            self.at = len(self.text) if end is None else end.end()
            self.whole = self.whole and end is not None
            if not quoted:
                body = _Scanner(self.text[begin : self.at], depth=self.depth + 1)
                body._quoted("\0")
                self.names += body.names
                self.commands_found += body.commands_found
                self.others += body.others
                self.whole = self.whole and body.whole
        self.heredocs.clear()

    def _find(self, what: str, begin: int | None = None) -> int:
        found = self.text.find(what, self.at if begin is None else begin)
        return len(self.text) if found < 0 else found


def command_names(command: str) -> list[str]:
    """The programs that a command line names, as well as this can be told without being the shell."""
    scanner = _Scanner(command)
    scanner.commands()
    return scanner.names


def parse_line(command: str) -> ParsedLine:
    """The simple commands of a line with their words, as well as this can be told without being the shell."""
    scanner = _Scanner(command)
    scanner.commands()
    return ParsedLine(
        commands=tuple(tuple(words) for words in scanner.commands_found),
        others=tuple(scanner.others),
        whole=scanner.whole and not scanner.heredocs,
    )


def _word(text: str, raw: str) -> Word:
    unquoted = raw if '"' in raw else _SINGLE_QUOTED.sub("", raw)
    return Word(text, computed="$" in unquoted or "`" in unquoted or "<(" in unquoted or ">(" in unquoted)
