"""What a command line touches: each command in it, the paths and hosts of each, and what each runs in its turn.

A guard rail, not a wall: what a permitted program does by itself is for the sandbox to limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from worker_core.basics.sentences import worded
from worker_core.policy import patterns
from worker_core.policy.behind import Behind, behind, name_of
from worker_core.policy.carried import MOVES, PROMPTS, UNKNOWN_TEXT, Text, in_variable
from worker_core.policy.folders import Folder, Folders, below
from worker_core.policy.network_programs import hosts_of, in_any_word
from worker_core.policy.paths import PathReader, in_word, known
from worker_core.policy.patterns import slashed
from worker_core.policy.powershell_aliases import command_of
from worker_core.policy.powershell_lines import read_powershell
from worker_core.policy.programs import FINDS, FOLDER_OPTIONS, PLAIN, RUNNERS, SHELLS, UNREAD, listed
from worker_core.policy.rules import Subject
from worker_core.policy.shell_events import Close, Data, Language, Line, Open, Redirection, Simple
from worker_core.policy.shell_lines import read_line, read_substitutions
from worker_core.policy.shell_words import ASSIGNMENT, ansi
from worker_core.policy.spelling import SYSTEM_PROGRAMS
from worker_core.policy.urls import host_subject, urls_of
from worker_core.policy.windows_programs import is_plain
from worker_core.policy.words import ANY_WORDS, Word, joined, shown

DEEPEST: Final = 5
"""Lines within lines that are read."""

MOST_RUNNERS: Final = 8
"""Programs in a row that each run the next."""

MOST_PLACES: Final = 100
"""Words of one command that are looked at as the beginning of another."""

_LONGEST_BEHIND = 50
"""Words of such a command."""

_TEXTS = {"<<", "<<-", "<<<"}
_PUSHES, _POPS = "push-location", "pop-location"
_GOES = frozenset({"set-location", _PUSHES})
"""As PowerShell calls them: a POSIX shell's names of them are aliases there."""

_REMOVES = listed("unlink find rename ln remove-item move-item rename-item")
_DEFINES = listed(
    """. alias declare enable eval export getopts hash let local mapfile read readarray readonly set shopt source trap
    typeset unalias unset set-alias new-alias"""
)
"""They change what the names and variables behind them mean."""

_ASSIGNS = listed("declare export local readonly typeset")


def read(text: str, language: Language) -> Line:
    """A line, in the language of its shell. Never fails."""
    if language == "powershell":
        return read_powershell(text)
    return read_line(slashed(text) if language == "native" else text)


class LineReader:
    """Reads one line, as a call gives it.

    Args:
        paths: of the call.
        whole: the line, which a grant for something in it is bound to.
        own_loopback: the call has a loopback of its own.

    """

    def __init__(self, paths: PathReader, *, whole: str, own_loopback: bool = False) -> None:
        self._paths = paths
        self._whole = whole
        self._own_loopback = own_loopback

    def start(self, folders: Sequence[Folder]) -> Folders:
        return Folders(folders, is_folder=self._paths.is_folder)

    def line(
        self,
        text: str,
        where: Folders,
        *,
        depth: int = 0,
        grows: bool = False,
        fed: bool = False,
        language: Language = "posix",
    ) -> Iterator[Subject]:
        """All of a line.

        Args:
            text: as it stands there.
            where: it begins.
            depth: of lines within lines.
            grows: more words are added to its last command when it runs.
            fed: it is given something to read.
            language: of the shell that reads it.

        """
        parsed = read(text, language)
        if parsed.too_much:
            yield Subject(
                kind="command", text=self._whole, too_much=worded("It holds more commands than are looked at.")
            )
            return
        if not parsed.whole or depth >= DEEPEST:
            yield self._unclear(worded("A quote or a bracket in it is not closed."), alternatives=(text,))
            yield from self._paths.mentioned(text, where.here(""))
        if depth >= DEEPEST:
            return
        commands = parsed.commands
        last = commands[-1] if commands else None
        if grows and last is not None:
            last.words = (*last.words, ANY_WORDS)
        exact = parsed.defines or any(command_of(name_of(one.words[0])) in _DEFINES for one in commands)
        yield from self._events(parsed, where, exact=exact, depth=depth, fed=fed)
        if "@P}" in text:  # Bash evaluates a text as a prompt: any on the line may be meant
            simple = [one for one in parsed.events if isinstance(one, Simple)]
            for word in (word for one in simple for word in (*one.words, *one.assignments)):
                yield from self._evaluated(word.text, where, depth=depth)

    def _events(self, parsed: Line, where: Folders, *, exact: bool, depth: int, fed: bool) -> Iterator[Subject]:
        around = [fed]
        for event in parsed.events:
            match event:
                case Simple():
                    event.around = around[-1]
                    yield from self._simple(event, where, exact=exact, depth=depth)
                    if _gives_input(event):
                        around = [True] * len(around)
                case Open():
                    around.append(around[-1] or event.fed)
                    where.open(event)
                case Close():
                    around.pop()
                    where.close()
                case Data():
                    for word in event.words:
                        yield from self._word(word, where.here(""))
                        yield from self._index(word.text, where, depth=depth)

    # --- simple commands ----------------------------------------------------------------------------------

    def _simple(self, simple: Simple, where: Folders, *, exact: bool, depth: int) -> Iterator[Subject]:
        here = where.here(simple.follows)
        for assignment in simple.assignments:
            yield from self._paths.mentioned(assignment.text.partition("=")[2], here)
            yield from self._assigned(assignment, where, depth=depth)
        for word in (*simple.assignments, *simple.words, *(one.target for one in simple.redirections)):
            yield from self._index(word.text, where, depth=depth)
        for redirection in simple.redirections:
            yield from self._redirection(redirection, here)
        if simple.words:
            exact = exact or simple.fed or any(one.operator in _TEXTS for one in simple.redirections)
            yield from self.command(simple.words, here, simple=simple, where=where, exact=exact, depth=depth)
            self._moves(simple, where)

    def _assigned(self, word: Word, where: Folders, *, depth: int) -> Iterator[Subject]:
        """What a value that is given to a variable runs."""
        name, _, value = word.text.partition("=")
        if name in MOVES and MOVES[name].search(self._whole):
            yield self._unclear(worded("It changes where paths are seen from."))
        if name in PROMPTS:
            yield from self._evaluated(value, where, depth=depth)
        text = in_variable(name, value)
        if not text or depth >= DEEPEST:
            return
        commands = read_line(text).commands
        if name.startswith(("BASH_ALIASES", "BASH_CMDS")) and "(" in text:
            yield self._unclear(worded("It gives names another meaning."), alternatives=(text,))
        if commands and (not commands[0].words[0].open or name in {"BASH_ENV", "ENV"}):
            yield from self.line(text, self.start(where.here("")), depth=depth + 1, grows=True)

    def _index(self, text: str, where: Folders, *, depth: int) -> Iterator[Subject]:
        """Bash runs the substitutions in an index, in quotation marks, too, where it reads a word as arithmetic or as
        the name of a variable.
        """
        _, bracket, behind_it = text.partition("[")
        if bracket and ("$(" in behind_it or "`" in behind_it):
            yield from self._evaluated(behind_it, where, depth=depth)

    def _evaluated(self, text: str, where: Folders, *, depth: int) -> Iterator[Subject]:
        """The substitutions in a text that Bash may evaluate; only a denial looks at them."""
        if depth >= DEEPEST or not ("$(" in text or "`" in text):
            return
        start = self.start(where.here(""))
        for one in self._events(read_substitutions(text), start, exact=True, depth=depth + 1, fed=True):
            if not (one.unclear or one.too_much):
                yield replace(one, only_deny=True)

    def _redirection(self, redirection: Redirection, here: Sequence[Folder]) -> Iterator[Subject]:
        if redirection.operator in {"<<", "<<-"}:
            yield from self._paths.mentioned(redirection.body or "", here)
        elif redirection.operator == "<<<":
            yield from self._paths.mentioned(redirection.target.text, here)
        elif redirection.target.raw and not redirection.target.text.isdigit():
            for host in in_any_word(redirection.target.text):
                yield host_subject(host, own_loopback=self._own_loopback)
            yield from self._word(redirection.target, here, is_path=True)

    def _moves(self, simple: Simple, where: Folders) -> None:
        """`cd` and its like, and what else tells where the next command stands."""
        words, follows = simple.words, simple.follows
        while (found := behind(words)).same_shell and found.commands:
            words = found.commands[0]
        name = name_of(words[0])
        meant = command_of(name)
        operands = [word for word in words[1:] if not word.text.startswith("-") or word.text == "-"]
        if simple.apart:
            where.ran(follows)
        elif meant in _GOES:
            pushes = meant == _PUSHES
            target = operands[0] if operands else Word("~")
            if target.text == "-" and not pushes:
                where.back(follows)
            elif target.open or target.text.startswith("+") or (pushes and not operands):
                where.changed(follows, None, pushes=pushes)
            else:
                where.changed(follows, known(target.text), pushes=pushes)
        elif meant == _POPS:
            where.popped(follows)
        else:
            if name == "mkdir":
                for word in operands:
                    where.made(follows, known(word.text))
            elif meant in _REMOVES:
                where.removed()
            where.ran(follows, leaves=name in {"exit", "return"})

    def command(
        self,
        words: Sequence[Word],
        here: Sequence[Folder],
        *,
        simple: Simple | None = None,
        where: Folders | None = None,
        exact: bool = False,
        depth: int = 0,
        is_read: bool = False,
    ) -> Iterator[Subject]:
        """A command with its words, and what it runs. `where` is given where it could change the folder.

        `is_read`: what its words name is known.
        """
        first = words[0]
        exact = exact or any(word.computed for word in words) or bool(simple and simple.assignments)
        if first.open:
            yield self._unclear(
                worded("Its name is computed when it runs."), alternatives=(shown(words),), open_=joined(words)
            )
            for word in words:
                yield from self._word(word, here)
            return
        found = behind(words)
        unclear = found.unclear
        if found.reads == "input" and simple is not None:
            text, unclear = _fed(simple)
            if text:
                language: Language = "posix" if name_of(first) in SHELLS else "native"
                yield from self.line(text, self.start(here), depth=depth + 1, language=language)
        yield self._subject(words, found, simple=simple, exact=exact)
        if found.assigns or name_of(first) in _ASSIGNS:
            for word in words[1:]:
                if ASSIGNMENT.match(word.text) or word.text.startswith("BASH_FUNC_"):
                    yield from self._assigned(word, self.start(here), depth=depth)
        if unclear:
            yield self._unclear(unclear, alternatives=(shown(words),))
        name = name_of(first)
        goes = command_of(name) in _GOES
        if "/" in first.text and not first.text.startswith(SYSTEM_PROGRAMS):
            yield from self._word(first, here)
        seen_from = self._seen_from(name, words, here)
        if found.folder is not None:  # the rest is seen from there
            yield from self._word(found.folder, here, is_path=True)
        elif not is_read or seen_from is not here:
            for word in words[1:]:
                yield from self._word(word, seen_from, is_path=goes and not word.text.startswith(("-", "+")))
        for host in dict.fromkeys(hosts_of(name, words[1:])):
            yield host_subject(host, own_loopback=self._own_loopback)
        if goes and len(words) == 1:
            yield from self._paths.used("~", here)
        yield from self._behind(words, found, here, simple=simple, where=where, exact=exact, depth=depth)

    def _behind(
        self,
        words: Sequence[Word],
        found: Behind,
        here: Sequence[Folder],
        *,
        simple: Simple | None,
        where: Folders | None,
        exact: bool,
        depth: int,
    ) -> Iterator[Subject]:
        if found.folder is not None:
            named = found.folder
            here = (None,) if named.open else tuple(below(one, known(named.text)) for one in here)
        for command in found.commands:
            if depth + 1 >= MOST_RUNNERS:
                yield self._unclear(worded("It runs another command, and that another, and so on."))
                return
            yield from self.command(
                command,
                here,
                simple=simple,
                where=where if found.same_shell else None,
                exact=exact or found.assigns,
                depth=depth + 1,
                is_read=found.folder is None and command[-1] is words[-1],
            )
        for text in found.texts:
            yield from self._text(text, here, where, simple=simple, depth=depth)

    def _text(
        self, text: Text, here: Sequence[Folder], where: Folders | None, *, simple: Simple | None, depth: int
    ) -> Iterator[Subject]:
        if text.word.computed and text.tolerates:
            first = read(text.word.text, text.language).commands
            if not first or first[0].words[0].open:
                yield self._unclear(worded("What it runs is computed when it runs."), alternatives=(text.word.text,))
        inner = where if text.same_shell and where is not None else self.start(here)
        fed = simple is not None and (simple.around or simple.fed or any(one.is_input for one in simple.redirections))
        yield from self.line(text.word.text, inner, depth=depth + 1, grows=text.grows, fed=fed, language=text.language)

    # --- subjects -----------------------------------------------------------------------------------------

    def _subject(self, words: Sequence[Word], found: Behind, *, simple: Simple | None, exact: bool) -> Subject:
        first = words[0]
        name = name_of(first)
        is_name = "/" not in first.text or first.text.startswith(SYSTEM_PROGRAMS)
        rest = words[1:]
        told, typed = [word.shown for word in rest], [word.text for word in rest]
        places = [0, *_past_leading_options(rest)]
        names = _called(name)
        texts = dict.fromkeys(
            " ".join((one, *said[at:]))
            for one in names for at in places for said in ((told, typed) if told != typed else (told,))
        )  # fmt: skip
        suspected: dict[str, None] = {}
        is_runner = found.runs or name in UNREAD
        is_known = name in PLAIN | SHELLS | FINDS.keys() | RUNNERS.keys() or (patterns.WINDOWS and is_plain(name))
        if is_runner or not is_known or (name in FINDS and any(word.computed for word in rest)):
            for at, word in enumerate(rest[:MOST_PLACES]):
                for said in (told, typed):
                    for one in _called(name_of(word)):
                        suspected[" ".join((one, *said[at + 1 : at + _LONGEST_BEHIND]))] = None
                if not is_runner and " " in word.text:
                    suspected[word.text] = None
        if is_runner:
            texts |= suspected
            suspected = {}
        assigned = [shown(simple.assignments)] if simple is not None and simple.assignments else []
        return Subject(
            kind="command",
            text=" ".join((*assigned, name if is_name else first.shown, *told)),
            alternatives=tuple(texts),
            suspected=tuple(suspected),
            open=tuple(joined((Word(one), *rest[at:])) for one in names for at in places)
            if any(word.open for word in rest)
            else (),
            exact=self._whole if exact else "",
        )

    def _unclear(self, why: str, *, alternatives: tuple[str, ...] = (), open_: tuple[str | None, ...] = ()) -> Subject:
        """Only the line as a whole says what it is."""
        return Subject(
            kind="command",
            text=self._whole,
            alternatives=alternatives,
            unclear=why,
            exact=self._whole,
            open=(open_,) if open_ else (),
        )

    def _seen_from(self, name: str, words: Sequence[Word], here: Sequence[Folder]) -> Sequence[Folder]:
        """Where a program sees its words from: `git -C sub`."""
        options = FOLDER_OPTIONS.get(name, ())
        for at, word in enumerate(words[1:-1], 1):
            if word.text in options:
                named = words[at + 1]
                there = None if named.open else known(named.text)
                here = (None,) if there is None else tuple(below(one, there) for one in here)
        return here

    def _word(self, word: Word, here: Sequence[Folder], *, is_path: bool = False) -> Iterator[Subject]:
        """What a word names: hosts, paths, and paths in the texts of other languages."""
        if word is ANY_WORDS:
            return
        if "://" in word.text:
            yield from urls_of(word.text, self._paths, here, own_loopback=self._own_loopback)
            return
        if is_path and not word.open:
            yield from self._paths.used(word.text, here)
            return
        for text, parts in in_word(word):
            if not text:
                continue
            if word.computed and ("$" in text or "`" in text or text.startswith(("<(", ">("))):
                meant = known(text)
                if meant == text or "$" in meant:
                    if "/" in text:
                        yield Subject(kind="path", text=text, only_deny=True)
                    continue
            if parts or self._paths.looks_like_one(text, here):
                yield from self._paths.used(text, here, parts=parts)
        yield from self._paths.mentioned(word.text, here)


def _called(name: str) -> tuple[str, ...]:
    """What rules may call a command of this name: on Windows the command that an alias stands for as well."""
    return tuple(dict.fromkeys((name, command_of(name)))) if patterns.WINDOWS else (name,)


def _past_leading_options(rest: Sequence[Word]) -> Iterator[int]:
    """`git -C sub push` is a `push`: where the words behind the first options may begin, with and without a value."""
    at = 0
    while at < min(len(rest), 32) and rest[at].text.startswith("-"):
        at += 1
        yield at
        if at < len(rest) and not rest[at].text.startswith("-"):
            at += 1
            yield at


def _fed(simple: Simple) -> tuple[str, str]:
    """The text that a shell reads as its input, and why it is not known."""
    for redirection in reversed(simple.redirections):
        if not redirection.is_input:
            continue
        if redirection.operator in {"<<", "<<-"}:
            return redirection.body or "", UNKNOWN_TEXT if redirection.is_computed else ""
        if redirection.operator == "<<<":
            return redirection.target.text, UNKNOWN_TEXT if redirection.target.open else ""
        if redirection.operator == "<&" or redirection.target.text.startswith("/dev/fd/"):
            return "", UNKNOWN_TEXT
        return "", UNKNOWN_TEXT if redirection.target.open else ""  # as with `sh FILE`
    if not simple.fed:
        return "", UNKNOWN_TEXT if simple.around else ""
    source = simple.source
    if source is None or any(word.open for word in source.words) or source.redirections:
        return "", UNKNOWN_TEXT
    name, *words = [name_of(source.words[0]), *(word.text for word in source.words[1:])]
    if name == "echo":
        while words and words[0].startswith("-") and set(words[0][1:]) <= set("neE"):
            del words[0]
        return ansi(" ".join(words)), ""
    if name == "printf":
        if words and words[0] == "--":
            del words[0]
        pieces = words[0].split("%s") if words else []
        if pieces and not words[0].startswith("-") and len(pieces) <= 2 and "%" not in "".join(pieces):
            said = words[1:] or [""] if len(pieces) == 2 else [""]
            return "".join(one.join(map(ansi, pieces)) if len(pieces) == 2 else ansi(pieces[0]) for one in said), ""
    return "", UNKNOWN_TEXT


def _gives_input(simple: Simple) -> bool:
    """`exec < FILE`: what comes behind it reads that."""
    names = [word.text for word in simple.words[:3]]
    return "exec" in names and any(one.is_input for one in simple.redirections)
