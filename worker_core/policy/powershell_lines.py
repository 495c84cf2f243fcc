"""A line of PowerShell, read as PowerShell reads it: every command in it, wherever it stands, in the order of the line.

Of Microsoft's documentation of `about_Parsing`, `about_Quoting_Rules`, `about_Operators` and `about_Redirection`.
Nothing is run. What .NET is asked for is not read: it is a command whose name is not known. Linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from worker_core.policy.programs import listed
from worker_core.policy.shell_events import Data, Event, Line, Redirection, Simple
from worker_core.policy.words import Piece, Word, word_of

MOST_EVENTS: Final = 1_000
MOST_STEPS: Final = 30_000
DEEPEST: Final = 50

_SINGLE, _DOUBLE = "'\u2018\u2019\u201a\u201b", '"\u201c\u201d\u201e'
"""PowerShell takes the quotation marks of word processors for its own."""

_DASHES: Final = str.maketrans("\u2013\u2014\u2015", "---")
_BLANKS = re.compile(r"(?>(?:[^\S\n]++|`\r?\n)+)")
_COMMENT = re.compile(r"#[^\n]*+")
_IN_SINGLE = re.compile(f"[^{_SINGLE}]++")
_IN_DOUBLE = re.compile(f"[^{_DOUBLE}`$]++")
_VARIABLE = re.compile(r"\$(?:\{[^}\n]{0,200}\}|[A-Za-z_0-9]{1,100}(?::[A-Za-z_0-9]{1,100})?|[$?^])", re.ASCII)
_BARE = re.compile(rf"[^\s;|&(){{}}<>`$,*?\[@#{_SINGLE}{_DOUBLE}]++|[@#<]")
_OTHER = re.compile(rf"[^\n;|&(){{}}\[@$=#<>`.{_SINGLE}{_DOUBLE}]++|.", re.DOTALL)
_REDIRECTION = re.compile(r"[1-6*]?(>>|>)(&[12])?")
_ENVIRONMENT = re.compile(r"\$env:(\w{1,100})[^\S\n]*=[^\S\n]*", re.IGNORECASE)
_KEY = re.compile(r"[\w'\"-]{1,200}[^\S\n]*=")
_KEYWORD = re.compile(
    r"(?:begin|catch|clean|do|dynamicparam|else|elseif|end|finally|for|foreach|if|in|param|process|return|switch|throw|"
    r"trap|try|until|while|function|filter|workflow|class|enum|configuration)(?![\w.:/-])",
    re.IGNORECASE,
)
_NAMED = re.compile(r"function|filter|workflow|class|enum|configuration", re.IGNORECASE)
_NAME = re.compile(r"[^\S\n]*[\w:-]{1,200}")
_NUMBER = re.compile(
    r"[+-]?(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)[dlum]?(?:[kmgtp]b)?(?=[\s;|)},\]*/%+-]|\.\.|$)", re.IGNORECASE
)
_VERBATIM = re.compile(r"[^\n|]*+")
_SPLATTED = re.compile(r"@[A-Za-z_]\w{0,100}")
_HERE_STRING = re.compile(rf"@([{_SINGLE}{_DOUBLE}])[^\S\n]*\n")
_IN = re.compile(r"in(?=[\s(])", re.IGNORECASE)
_STATIC = re.compile(r"\[([\w.]{1,200})(?:\[\])?\]::([A-Za-z_]\w{0,100})")
_METHOD = re.compile(r"\.(?:invoke\w{0,40}|start|run|exec|execute|shellexecute|create|load\w{0,40})\(", re.IGNORECASE)
_HARMLESS_TYPES: Final = listed(
    """bool byte char console convert datetime datetimeoffset decimal double guid int int32 int64 io.path
    long math regex single string stringcomparison text.encoding text.utf8encoding timespan uri version"""
)
_HOMES: Final = frozenset({"$home", "${home}", "$env:userprofile", "${env:userprofile}", "$env:home", "${env:home}"})
_ESCAPED: Final = str.maketrans("ntr0abfve", "\n\t\r\0\a\b\f\v\x1b")


def read_powershell(text: str) -> Line:
    """Never fails."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\\", "/")
    reader = _Reader(plain.translate(_DASHES))
    reader.statements("")
    return Line(events=tuple(reader.events), whole=reader.whole, too_much=reader.gave_up, defines=reader.defines)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.events: list[Event] = []
        self.whole = True
        self.gave_up = False
        self.defines = False
        self._steps = 0
        self._depth = 0

    def _goes_on(self) -> bool:
        self._steps += 1
        if self._steps > MOST_STEPS or len(self.events) > MOST_EVENTS:
            self.gave_up = True
        return self.at < len(self.text) and not self.gave_up

    def _peek(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def _blanks(self) -> None:
        """With comments."""
        while True:
            if (found := _BLANKS.match(self.text, self.at)) is not None:
                self.at = found.end()
            elif self._peek("<#"):
                end = self.text.find("#>", self.at + 2)
                self.whole = self.whole and end >= 0
                self.at = end + 2 if end >= 0 else len(self.text)
            elif (found := _COMMENT.match(self.text, self.at)) is not None:
                self.at = found.end()
            else:
                return

    # --- statements -----------------------------------------------------------------------------------------------

    def statements(self, closing: str, *, is_hash: bool = False) -> None:
        """Up to `closing`, or to the end."""
        self._depth += 1
        self.gave_up = self.gave_up or self._depth > DEEPEST
        fed, closed = False, not closing
        while self._goes_on():
            self._blanks()
            character = self.text[self.at : self.at + 1]
            if not character:
                break
            if character == closing:
                self.at += 1
                closed = True
                break
            fed = self._statement(character, fed=fed, is_hash=is_hash)
        self.whole = self.whole and closed
        self._depth -= 1

    def _statement(self, character: str, *, fed: bool, is_hash: bool) -> bool:
        """One of a pipeline, or what stands between. Whether what follows is given something to read."""
        if character in ")}":  # it closes nothing
            self.at += 1
            self.whole = False
        elif character in "\n;,":
            self.at += 1
        elif self._peek("||") or self._peek("&&"):
            self.at += 2
        elif character == "|":
            self.at += 1
            return True
        elif character == "&" or (
            character == "." and self.text[self.at + 1 : self.at + 2] in f" \t\"'$({{{_SINGLE}{_DOUBLE}"
        ):
            self.at += 1
            self._command(fed=fed)
        elif is_hash and (found := _KEY.match(self.text, self.at)) is not None:
            self.at = found.end()
        elif (found := _ENVIRONMENT.match(self.text, self.at)) is not None:
            self.at = found.end()
            self._environment(found[1])
        elif (found := _KEYWORD.match(self.text, self.at)) is not None:
            self.at = found.end()
            if _NAMED.fullmatch(found[0]) is not None:
                self.defines = True
                name = _NAME.match(self.text, self.at)
                self.at = name.end() if name is not None else self.at
        elif character in f"$([{{@!{_SINGLE}{_DOUBLE}" or _NUMBER.match(self.text, self.at) or self._peek("++"):
            self._expression()
        else:
            self._command(fed=fed)
        return False

    def _environment(self, name: str) -> None:
        """`$env:NAME = "value"`; other values are statements."""
        self.defines = True
        if self.text[self.at : self.at + 1] in (*_SINGLE, *_DOUBLE):
            pieces, raw = self._word()
            self.events.append(Simple(assignments=[word_of([("quoted", f"{name}="), *pieces], f"{name}={raw}")]))

    def _nested(self) -> bool:
        """What stands in brackets; whether there are any."""
        for opening, closing, is_hash in (
            ("$(", ")", False),
            ("@(", ")", False),
            ("@{", "}", True),
            ("(", ")", False),
            ("{", "}", False),
        ):
            if self._peek(opening):
                self.at += len(opening)
                self.statements(closing, is_hash=is_hash)
                return True
        return False

    def _expression(self) -> None:
        """A value: what stands in its brackets is read, its strings are words. Behind `=` comes another statement."""
        words: list[Word] = []
        while self._goes_on():
            self._blanks()
            character = self.text[self.at : self.at + 1]
            if not character or character in "\n;|)}" or (character == "&"):
                break
            if character == "=":
                self.at += 1
                self.defines = True
                break
            if (found := _REDIRECTION.match(self.text, self.at)) is not None:
                self.at = found.end()
                self._redirect(found, into := Simple())
                self.events.append(into)
            elif character == "{":  # a statement may end with it: what comes behind needs nothing between
                self._nested()
                break
            elif self._nested():
                pass
            elif (found := _IN.match(self.text, self.at)) is not None:  # `foreach ($x in COMMAND)`
                self.at = found.end()
                break
            elif character in _SINGLE or character in _DOUBLE or _HERE_STRING.match(self.text, self.at):
                pieces, raw = self._word()
                words.append(word_of(pieces, raw))
            elif (found := _STATIC.match(self.text, self.at)) is not None:
                self.at = found.end()
                if found[1].lower().removeprefix("system.") not in _HARMLESS_TYPES:
                    self._unknown(found[0])
            elif (found := _METHOD.match(self.text, self.at)) is not None:
                self.at = found.end() - 1
                self._unknown(found[0])
            elif (found := _VARIABLE.match(self.text, self.at)) is not None:
                self.at = found.end()
            else:
                found = _OTHER.match(self.text, self.at)
                assert found is not None
                self.at = found.end()
        if words:
            self.events.append(Data(tuple(words)))

    def _unknown(self, raw: str) -> None:
        """.NET may do anything."""
        self.events.append(Simple(words=(Word(raw, raw, (None,), computed=True),)))

    def _command(self, *, fed: bool) -> None:
        simple, words = Simple(fed=fed), list[Word]()
        while self._goes_on():
            self._blanks()
            character = self.text[self.at : self.at + 1]
            if not character or character in "\n;|&)}":
                break
            if self._peek("--%") and words:
                words += self._verbatim()
            elif (found := _REDIRECTION.match(self.text, self.at)) is not None:
                self.at = found.end()
                self._redirect(found, simple)
            elif character == "<":
                self.at += 1
                self.whole = False  # PowerShell keeps it for later
            elif character == "{":
                self._nested()
            elif self._nested():
                words.append(Word("(...)", "(...)", (None,), computed=True))
            elif character == ",":
                self.at += 1
            else:
                pieces, raw = self._word()
                if not raw:
                    self.at += 1
                    continue
                if not words:  # in the name of a command they are no patterns
                    pieces = [("bare", part) if kind == "glob" else (kind, part) for kind, part in pieces]
                words.append(word_of(pieces, raw))
        simple.words = tuple(words)
        if words or simple.redirections:
            self.events.append(simple)

    def _verbatim(self) -> list[Word]:
        """Behind `--%`, up to the end of the line or a pipe."""
        found = _VERBATIM.match(self.text, self.at + 3)
        assert found is not None
        said = found[0].replace('"', " ").split()
        self.at = found.end()
        return [Word(one, one) for one in said]

    def _redirect(self, found: re.Match[str], simple: Simple) -> None:
        if found[2]:
            return
        self._blanks()
        pieces, raw = self._word()
        if raw:
            simple.redirections.append(Redirection(found[1], word_of(pieces, raw)))

    # --- words ----------------------------------------------------------------------------------------------------

    def _word(self) -> tuple[list[Piece], str]:
        """One word, however its parts are quoted, and as it was written."""
        begin, pieces = self.at, list[Piece]()
        while self._goes_on():
            character = self.text[self.at]
            if (found := _HERE_STRING.match(self.text, self.at)) is not None:
                pieces.append(self._here_string(found))
            elif not pieces and (found := _SPLATTED.match(self.text, self.at)) is not None:
                pieces.append(("computed", found[0]))
                self.at = found.end()
            elif character in _SINGLE:
                self._quoted(pieces, _SINGLE, _IN_SINGLE, self._nothing)
            elif character in _DOUBLE:
                self._quoted(pieces, _DOUBLE, _IN_DOUBLE, self._substituted)
            elif character in "`$":
                if self.text[self.at + 1 : self.at + 2] in {"", "\n", "\r"} and character == "`":
                    break
                self._substituted(pieces)
            elif character in "*?[":
                pieces.append(("glob", character))
                self.at += 1
            elif (found := _BARE.match(self.text, self.at)) is not None and not (
                found[0] == "<" or (found[0] == "#" and not pieces)
            ):
                pieces.append(("bare", found[0]))
                self.at = found.end()
            else:
                break
        return pieces, self.text[begin : self.at]

    def _quoted(
        self, pieces: list[Piece], marks: str, inner: re.Pattern[str], other: Callable[[list[Piece]], None]
    ) -> None:
        """A mark that stands twice is one."""
        self.at += 1
        pieces.append(("quoted", ""))
        while self._goes_on():
            if (found := inner.match(self.text, self.at)) is not None:
                pieces += _with_patterns(found[0])
                self.at = found.end()
            elif self.text[self.at] not in marks:
                other(pieces)
            elif self.text[self.at + 1 : self.at + 2] and self.text[self.at + 1] in marks:
                pieces.append(("quoted", self.text[self.at]))
                self.at += 2
            else:
                self.at += 1
                return
        self.whole = False

    def _nothing(self, pieces: list[Piece]) -> None:
        """In single quotation marks everything is itself."""
        pieces.append(("quoted", self.text[self.at]))
        self.at += 1

    def _substituted(self, pieces: list[Piece]) -> None:
        """A character that is escaped, a variable, or what a command says."""
        if self.text[self.at] == "`":
            pieces.append(("quoted", self.text[self.at + 1 : self.at + 2].translate(_ESCAPED)))
            self.at += 2
        elif self._peek("$("):
            self.at += 2
            self.statements(")")
            pieces.append(("computed", "$(...)"))
        elif (found := _VARIABLE.match(self.text, self.at)) is not None:
            self.at = found.end()
            name = found[0].lower()
            pieces.append(
                ("computed", "$HOME" if name in _HOMES else "$PWD" if name in {"$pwd", "${pwd}"} else found[0])
            )
        else:
            pieces.append(("quoted", "$"))
            self.at += 1

    def _here_string(self, opening: re.Match[str]) -> Piece:
        marks = _SINGLE if opening[1] in _SINGLE else _DOUBLE
        closing = re.compile(f"\n[{marks}]@").search(self.text, opening.end() - 1)
        self.whole = self.whole and closing is not None
        text = self.text[opening.end() : closing.start() if closing is not None else None]
        self.at = closing.end() if closing is not None else len(self.text)
        if marks is _DOUBLE and ("$" in text or "`" in text):
            self.whole = self.whole and "$(" not in text
            return ("computed", text)
        return ("quoted", text)


def _with_patterns(text: str) -> list[Piece]:
    """PowerShell's own commands take `*`, `?` and `[` in quotation marks for patterns as well."""
    return [("glob" if part[:1] in {"*", "?", "["} else "quoted", part) for part in re.split(r"([*?\[])", text) if part]
