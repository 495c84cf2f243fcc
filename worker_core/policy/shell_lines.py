"""A command line, read as the shell reads it: every simple command, wherever it stands, in the order of the line.

It reads Bash, and with it what dash and zsh share. Nothing is run, and nothing is expanded that does not stand on the
line. Linear in its length.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

from worker_core.basics.quick_dataclass import dataclass
from worker_core.policy.shell_events import INPUT, Close, Data, Follows, Line, Open, Redirection, Simple
from worker_core.policy.shell_words import ASSIGNMENT, WordReader
from worker_core.policy.words import Piece, Word, word_of, words_of

_OPERATOR = re.compile(r";;&|;;|;&|;|&&|&(?!>)|\|\||\|&|\|")
_REDIRECTION = re.compile(r"&>>|&>|<<<|<<-|<<|<>|<&|<|>>|>\||>&|>")
_DESCRIPTOR = re.compile(r"(?:[0-9]+|\{[A-Za-z_][A-Za-z0-9_]*\})(?=[<>])", re.ASCII)
_FUNCTION = re.compile(r"[ \t]*\([ \t]*\)")
_OPENS = frozenset({"if", "while", "until", "for", "select", "case", "{"})
_GOES_ON = frozenset({"then", "else", "elif", "do"})
_CLOSES = {"fi": "if", "done": "do", "esac": "case", "}": "{"}
_COMPOUND = frozenset({"if", "while", "until", "for", "select", "case", "{", "[["})


def read_line(text: str) -> Line:
    """Never fails."""
    reader = _Line(text)
    reader.commands("")
    return _line(reader)


def read_substitutions(text: str) -> Line:
    """The commands that Bash runs where it evaluates a text: as a prompt, or as arithmetic. Never fails."""
    reader = _Line("")
    reader.inner(text)
    return _line(reader)


def _line(reader: WordReader) -> Line:
    return Line(
        events=tuple(reader.events),
        whole=reader.whole and not reader.heredocs,
        too_much=reader.gave_up,
        defines=reader.defines,
    )


class _Line(WordReader):
    def commands(self, closing: str) -> None:
        _Commands(self, closing).read()


Mode = Literal["command", "arguments", "data", "pattern", "after"]


@dataclass(slots=True)
class _Frame:
    """A bracket or a word that waits for its end."""

    kind: str
    opened: Open


class _Commands:
    """One list of commands: the line, or what stands in a substitution."""

    def __init__(self, reader: WordReader, closing: str) -> None:
        self.reader = reader
        self.closing = closing
        self.frames: list[_Frame] = []
        self.waiting: Counter[str] = Counter()
        """How many frames of a kind there are."""

        self.mode: Mode = "command"
        self.now = Simple()
        self.words: list[Word] = []
        self.data: list[Word] = []
        self.last: Simple | _Frame | None = None
        """What ended last: what a pipe that comes now is fed by."""

        self.descriptor = ""
        """In front of the redirection that comes."""

        self.names = 0
        """Words behind `function`, `coproc` and `for` that are names."""

    def read(self) -> None:
        reader, text = self.reader, self.reader.text
        closed = not self.closing
        while reader.goes_on():
            reader.blanks()
            if reader.at >= len(text):
                break
            character = text[reader.at]
            if character == "\n":
                reader.at += 1
                self.new_line()
                reader.here_documents()
            elif character == "#":
                reader.at = reader.find("\n")
            elif character == ")" and self.closing == ")" and not self._in_brackets():
                closed = True
                break
            elif character in ";|&" and (operator := _OPERATOR.match(text, reader.at)) is not None:
                reader.at = operator.end()
                self.operator(operator[0])
            elif character == "(":
                self.bracket()
            elif character == ")":
                reader.at += 1
                self.close_bracket()
            elif (operator := _REDIRECTION.match(text, reader.at)) is not None and not self._substitutes():
                reader.at = operator.end()
                self.redirection(operator[0])
            elif self.mode == "command" and reader.peek("[[") and text[reader.at + 2 : reader.at + 3] in " \t\n":
                self.test()
            else:
                self.word()
        self.end()
        reader.events += [Close()] * len(self.frames)
        if closed and self.closing:
            reader.at += 1
        reader.whole = reader.whole and closed

    def _substitutes(self) -> bool:
        return self.reader.peek("<(") or self.reader.peek(">(")

    def _in_brackets(self) -> bool:
        return self.mode == "pattern" or self.waiting["("] > 0

    # --- what ends and begins -----------------------------------------------------------------------------

    def end(self) -> None:
        """The simple command, or the words of a list, are complete."""
        if self.words or self.now.assignments or self.now.redirections:
            self.now.words = tuple(self.words)
            self.reader.events.append(self.now)
            self.last = self.now
        if self.data:
            self.reader.events.append(Data(tuple(self.data)))
        if self.words and self._innermost == "function":
            self._pop()  # a body without brackets
        self.words, self.data, self.names = [], [], 0

    def new_line(self) -> None:
        if self.mode == "command" and not (self.now.assignments or self.now.redirections):
            return  # behind `|` and `&&` the command may begin in the next line
        self.end()
        if self.mode != "pattern" and not (self.mode == "data" and self._innermost == "case"):
            self.begin("")

    def begin(self, follows: Follows, *, mode: Mode = "command") -> None:
        self.now = Simple(follows=follows)
        self.mode = mode

    @property
    def _innermost(self) -> str:
        return self.frames[-1].kind if self.frames else ""

    def _pop(self) -> _Frame:
        frame = self.frames.pop()
        self.waiting[frame.kind] -= 1
        self.reader.events.append(Close())
        return frame

    def operator(self, operator: str) -> None:
        if self.mode == "pattern":
            return
        self.end()
        source, self.last = self.last, None
        if operator in {";;", ";&", ";;&"}:
            self.begin("", mode="pattern" if self._innermost == "case" else "command")
            return
        self.begin("&&" if operator == "&&" else "||" if operator == "||" else "")
        if operator in {"|", "|&", "&"} and source is not None:
            if isinstance(source, Simple):
                source.apart = True
            else:
                source.opened.apart = True
        if operator in {"|", "|&"}:
            self.now.apart = self.now.fed = True
            self.now.source = source if isinstance(source, Simple) and source.words else None

    def open(self, kind: str, *, apart: bool = False, sure: bool = False) -> None:
        fed = kind == "function" or self.now.fed
        opened = Open(apart=apart or self.now.apart, sure=sure, follows=self.now.follows, fed=fed)
        self.reader.events.append(opened)
        self.frames.append(_Frame(kind, opened))
        self.waiting[kind] += 1
        self.begin("")

    def close(self, kind: str) -> None:
        """Where it is not the innermost, the line is none that a shell takes."""
        self.end()
        while self.waiting[kind]:
            self.last = self._pop()
            if self.last.kind == kind:
                break
        if self._innermost == "function":
            self.last = self._pop()
        self.begin("", mode="after")

    # --- brackets -----------------------------------------------------------------------------------------

    def bracket(self) -> None:
        reader = self.reader
        if self.mode == "pattern":
            reader.at += 1
        elif len(self.words) == 1 and (named := _FUNCTION.match(reader.text, reader.at)) is not None:
            reader.at = named.end()
            self.words.clear()
            self.function()
        elif reader.peek("((") and self.mode in {"command", "data"} and reader.arithmetic(reader.at + 2):
            self.mode, self.names = ("after", 0) if self.mode == "command" else (self.mode, 1)
        else:
            self.end()
            reader.at += 1
            self.open("(", apart=True, sure=True)

    def close_bracket(self) -> None:
        if self.mode == "pattern":
            self.data.clear()
            self.begin("")
        elif self.waiting["("]:
            self.close("(")
        else:
            self.end()
            self.begin("")

    def function(self) -> None:
        """Its body follows. It runs when it is called, if it is."""
        self.reader.defines = True
        self.open("function")

    def test(self) -> None:
        """`[[ ... ]]`, which has operators of its own."""
        reader, text = self.reader, self.reader.text
        reader.at += 2
        while reader.goes_on():
            if text[reader.at] in " \t\r\n;|&<>()!" and not self._substitutes():
                reader.at += 1
                continue
            before = reader.at
            pieces, raw = reader.word()
            if raw == "]]":
                break
            reader.at = max(reader.at, before + 1)
            self.data += words_of(pieces, raw)
        else:
            reader.whole = False
        self.mode = "after"

    # --- redirections -------------------------------------------------------------------------------------

    def redirection(self, operator: str) -> None:
        reader = self.reader
        reader.blanks()
        pieces, raw = reader.word()
        word = word_of(pieces, raw)
        redirection = Redirection(operator, word, self.descriptor)
        self.descriptor = ""
        if self.mode == "after" and operator in INPUT and isinstance(self.last, _Frame):
            self.last.opened.fed = True
        if operator in {"<<", "<<-"}:
            is_quoted = any(kind == "quoted" for kind, _ in pieces)
            reader.heredocs.append((redirection, "".join(part for _, part in pieces), is_quoted, operator == "<<-"))
        self.now.redirections.append(redirection)

    # --- words --------------------------------------------------------------------------------------------

    def word(self) -> None:
        reader = self.reader
        if (descriptor := _DESCRIPTOR.match(reader.text, reader.at)) is not None:
            reader.at = descriptor.end()
            self.descriptor = descriptor[0]
            return
        begin = reader.at
        subscript = reader.subscript() if self.mode == "command" else ""
        pieces, raw = reader.word()
        if not subscript and reader.at == begin:  # a character that begins nothing
            reader.at += 1
            return
        if subscript:
            self.now.assignments.append(word_of([("bare", subscript), *pieces], subscript + raw))
            reader.defines = True
        elif self.mode == "command":
            self.first(pieces, raw)
        elif self.mode == "arguments":
            self.words += words_of(pieces, raw)
        elif self.mode == "pattern":
            if raw == "esac":
                self.close("case")
        elif self.mode == "after":
            self.after(pieces, raw)
        else:
            self.listed(pieces, raw)

    def after(self, pieces: list[Piece], raw: str) -> None:
        """Behind a compound command only another one can end."""
        if raw in _CLOSES or raw in _GOES_ON:
            self.begin("")
            self.first(pieces, raw)
        else:
            self.data += words_of(pieces, raw)

    def listed(self, pieces: list[Piece], raw: str) -> None:
        """Behind `for`, `select`, `case`."""
        kind = self._innermost
        if kind == "case" and raw == "in" and self.names:
            self.end()
            self.begin("", mode="pattern")
        elif kind == "do" and raw in {"do", "{"} and self.names == 1:
            self.end()
            self.begin("")
            if raw == "{":
                self.frames[-1].kind = "{"
                self.waiting.update(("{",))
                self.waiting["do"] -= 1
        else:
            self.names += 1
            if kind == "case" or self.names > 2:
                self.data += words_of(pieces, raw)

    def first(self, pieces: list[Piece], raw: str) -> None:
        """In the place of a command."""
        plain = not (self.now.assignments or self.now.redirections)
        if plain and raw in _OPENS:
            frame = {"while": "do", "until": "do", "for": "do", "select": "do"}.get(raw, raw)
            self.open(frame, sure=raw == "{")
            if raw in {"for", "select", "case"}:
                self.mode = "data"
        elif plain and raw in _GOES_ON:
            self.begin("")
        elif plain and raw in _CLOSES:
            self.close(_CLOSES[raw])
        elif plain and (raw == "!" or (raw == "time" and self._is_the_word())):
            pass
        elif plain and raw == "function":
            self.reader.blanks()
            self.reader.word()
            if (brackets := _FUNCTION.match(self.reader.text, self.reader.at)) is not None:
                self.reader.at = brackets.end()
            self.function()
        elif plain and raw == "coproc":
            self.coprocess()
        elif ASSIGNMENT.match(raw):
            self.now.assignments.append(word_of(pieces, raw))
            self.reader.defines = True
        else:
            self.words += words_of(pieces, raw)
            self.mode = "arguments"

    def _is_the_word(self) -> bool:
        """`time`, which takes any command; with options of its own it is a program."""
        self.reader.blanks()
        if self.reader.peek("-p") and self.reader.text[self.reader.at + 2 : self.reader.at + 3].isspace():
            self.reader.at += 2
        return not self.reader.peek("-")

    def coprocess(self) -> None:
        """`coproc NAME { ...; }`: the name stands only in front of a compound command."""
        reader = self.reader
        self.now.apart = True
        reader.blanks()
        before, known = reader.at, len(reader.events)
        _, raw = reader.word()
        reader.blanks()
        compound = re.compile(r"\(|(?:if|while|until|for|select|case|\{|\[\[)(?=[ \t\n])").match(reader.text, reader.at)
        if raw in _COMPOUND or compound is None:
            del reader.events[known:]
            reader.at = before
