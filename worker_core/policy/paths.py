"""Paths that a call names: where they lead, and whether that is inside of the execution's workspace."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from worker_core.basics.sentences import worded
from worker_core.policy import patterns
from worker_core.policy.folders import Folder, below
from worker_core.policy.patterns import FOLDED, slashed
from worker_core.policy.rules import Subject
from worker_core.policy.windows_programs import is_switch
from worker_core.policy.words import Pieces, Word

LONGEST: Final = 4_096
MOST_MENTIONS: Final = 500
"""Different paths that one text may name where a rule's words are in them."""

MOST_FILES: Final = 300
MOST_LEVELS: Final = 2
"""Of a pattern for names of files; what is more is not looked up."""

_PATTERN = re.compile(r"[*?\[]")
_EXTENDED = re.compile(r"[@!?*+]\(")
_MENTIONED = re.compile(
    r"(?<![\w.@%+~-])(?:~|\$HOME|\$\{HOME\}|[A-Za-z]:)?+[\w.@%+~-]*+"
    r"/[\w.@%+~-](?:[\w.@%+~-]++|/[\w.@%+~-]| ++[\w.@%+~-])*+"
)
_SWITCH_WITH_VALUE = re.compile(r"/[A-Za-z][\w-]{0,30}:")
_BACKSLASHES = re.compile(r"\\+")
"""Between the parts of a path; two where a string of a program has them."""

_DRIVE = re.compile(r"[A-Za-z]:/")
_OWN_FILE = re.compile(r"/dev/(stdin|stdout|stderr|tty)|(?:/dev|/proc/self)/(fd/[0-9]+)")
"""What a process has open itself."""

_HOME = ("$HOME", "${HOME}")
_HERE = ("$PWD", "${PWD}")


class PathReader:
    """Reads paths against one workspace.

    Args:
        workspace: existing, absolute.
        denied: words of which one is in every path that some rule denies.
        own_home: `~` is private to the call.
        own_tmp: /tmp is private to the call.
        granted: folders of the owner's that count as inside, real paths.

    """

    def __init__(
        self,
        workspace: Path,
        *,
        denied: Sequence[str] = ("",),
        own_home: bool = False,
        own_tmp: bool = False,
        granted: Sequence[Path] = (),
    ) -> None:
        self.workspace = os.path.realpath(workspace)
        self._below = self.workspace.rstrip(os.sep) + os.sep
        self._denied = tuple(denied)
        self._own_home = own_home
        self._own_tmp = own_tmp
        self._granted = tuple(str(one).rstrip(os.sep) + os.sep for one in granted)

    def is_granted(self, path: str) -> bool:
        return f"{path}{os.sep}".startswith(self._granted)

    def holds(self, path: str) -> bool:
        return path == self.workspace or path.startswith(self._below)

    def is_folder(self, path: str) -> bool:
        try:
            return os.path.isdir(os.path.expanduser(path))  # noqa: PTH111, PTH112 -- Path's raise where a name is too long
        except ValueError:
            return False

    # --- paths that are used ------------------------------------------------------------------------------

    def used(self, text: str, folders: Sequence[Folder], *, parts: Pieces = ()) -> Iterator[Subject]:
        """A path that the call reads or writes.

        Args:
            text: as it was written.
            folders: where it may be seen from.
            parts: of the text, where it has patterns for names of files.

        """
        text = known(slashed(text))
        for folder in folders:
            named = below(folder, text)
            if named is None:
                yield from self._somewhere(text)
            else:
                yield self._subject(named, patterns=_whole(named.removesuffix(text), parts))

    def _somewhere(self, text: str) -> Iterator[Subject]:
        """Seen from a folder that is not known."""
        if ".." in text.split("/"):
            yield Subject(kind="path", text=text[:LONGEST], unclear=worded("It is not known in which folder that is."))
        else:
            yield Subject(kind="path", text=f"?/{text[:LONGEST]}", only_deny=True)

    def _subject(self, named: str, *, patterns: Pieces) -> Subject:
        """`patterns`: the parts of a path that names several files, as the shell will find them."""
        try:
            if len(named) > LONGEST:  # no system opens it as it is
                named = os.path.normpath(named)[:LONGEST]
            expanded = os.path.join(self.workspace, os.path.expanduser(named))  # noqa: PTH111, PTH118
            plain = os.path.normpath(expanded)
            if (own := _OWN_FILE.fullmatch(plain)) is not None:  # where it leads here, it does not lead there
                return Subject(kind="path", text=f"/dev/{own[1] or own[2]}")
            # `a/../b` is not `b` where `a` is a link: both readings count.
            readings = [plain, os.path.realpath(plain), os.path.realpath(expanded)]
            there = _files(expanded) if patterns else []
            readings += [form for one in there or () for form in (os.path.normpath(one), os.path.realpath(one))]
        except (OSError, ValueError):
            return Subject(kind="path", text=named[:LONGEST])
        _, real, literal, *files = readings
        outside = [one for one in (literal, real, *files) if not self.holds(one)]
        is_inside = not outside
        named_outside = next((one for one in outside if not self.is_granted(one)), outside[0] if outside else real)
        return Subject(
            kind="path",
            text=slashed(named_outside),
            alternatives=() if is_inside and not files else tuple(dict.fromkeys(map(slashed, readings))),
            inside=is_inside,
            granted=bool(outside) and all(map(self.is_granted, outside)),
            expected=not is_inside and self._is_private(named, plain),
            open=(patterns,) if there is None else (),
        )

    def _is_private(self, named: str, plain: str) -> bool:
        if self._own_home and (named == "~" or named.startswith("~/")) and (below(named, ".") or "").startswith("~"):
            return True
        return self._own_tmp and f"{plain}/".startswith("/tmp/")  # noqa: S108 -- the call's own

    def looks_like_one(self, text: str, folders: Sequence[Folder]) -> bool:
        """Whether a word is a path: by its form, or since there is such a file."""
        text = known(slashed(text))
        if patterns.WINDOWS and is_switch(text):
            return os.path.lexists(text)
        if text.startswith(("~", "/", "../", "./")) or text in {"..", "."} or "/../" in text or _DRIVE.match(text):
            return True
        if not text or len(text) > LONGEST or "\0" in text:
            return False
        try:  # a link in the workspace may lead out of it
            return any(
                os.path.lexists(os.path.expanduser(path))  # noqa: PTH111
                for folder in folders
                if (path := below(folder, text)) is not None
            )
        except (OSError, ValueError):
            return False

    # --- paths that are mentioned -------------------------------------------------------------------------

    def mentioned(self, text: str, folders: Sequence[Folder] | None) -> Iterator[Subject]:
        """Paths that a text names. Only a `deny` looks at them: most are no access at all.

        Args:
            text: code, or what else a call is given.
            folders: where it is read from; None: nowhere, so that only paths from the root or the home count.

        """
        if patterns.WINDOWS and "\\" in text:  # as they stand they may be something else: both readings count
            yield from self._mentioned(_BACKSLASHES.sub("/", text), folders)
        yield from self._mentioned(text, folders)

    def _mentioned(self, text: str, folders: Sequence[Folder] | None) -> Iterator[Subject]:
        if "/" not in text:
            return
        watched = text.lower() if FOLDED else text
        active = tuple(word for word in self._denied if word in watched)
        first_names = _Names(self.workspace)
        looked_at: set[str] = set()
        found_out: set[str] = set()
        for found in _MENTIONED.finditer(text):
            said = slashed(found[0])
            for variable in _HOME:
                said = said.replace(variable, "~", 1)
            if said in looked_at or (not active and said[0] in "/~"):
                continue
            for path in self._meant(said, folders, active, first_names):
                looked_at.add(said)
                if path not in found_out:
                    found_out.add(path)
                    yield Subject(kind="path", text=path, only_deny=True)
            if len(looked_at) > MOST_MENTIONS:
                yield Subject(
                    kind="path", text=said[:LONGEST], too_much=worded("It names more paths than are looked at.")
                )
                return

    def _meant(
        self, said: str, folders: Sequence[Folder] | None, active: Sequence[str], first_names: _Names
    ) -> Iterator[str]:
        if said.startswith(("/", "~")) or _DRIVE.match(said) is not None:
            if any(word in (said.lower() if FOLDED else said) for word in active):
                yield from self._outside(said)
            return
        for folder in folders or ():
            whole = below(folder, said)
            if whole is not None and (".." in said or not self.holds(whole) or first_names.are_there(whole)):
                yield from self._outside(whole)

    def _outside(self, path: str) -> Iterator[str]:
        """Where it leads, as it is written and as the links are, as far as that is out of the workspace."""
        try:
            plain = os.path.normpath(os.path.expanduser(path))  # noqa: PTH111
            if len(plain) > LONGEST:  # no system opens it
                plain = plain[:LONGEST]
            for one in dict.fromkeys((plain, os.path.realpath(plain))):
                if not self.holds(one):
                    yield slashed(one)
        except (OSError, ValueError):
            return


class _Names:
    """Which of the workspace's first names there are: only below those there can be links."""

    def __init__(self, workspace: str) -> None:
        self._workspace = workspace
        self._known: dict[str, bool] = {}

    def are_there(self, path: str) -> bool:
        first = path[len(self._workspace) :].removeprefix("/").removeprefix("./").partition("/")[0]
        if first not in self._known:
            try:
                self._known[first] = os.path.lexists(f"{self._workspace}/{first}")
            except ValueError:
                self._known[first] = False
        return self._known[first]


def known(text: str) -> str:
    """With the variables put in whose values are known."""
    for variable in _HOME:
        if text == variable or text.startswith(f"{variable}/"):
            return "~" + text[len(variable) :]
    for variable in _HERE:
        if text == variable or text.startswith(f"{variable}/"):
            return "." + text[len(variable) :]
    return text


def _files(pattern: str) -> list[str] | None:
    """The files that a pattern fits now; None where that is too much to look at, or not known here."""
    if _EXTENDED.search(pattern) or sum(_PATTERN.search(part) is not None for part in pattern.split("/")) > MOST_LEVELS:
        return None
    found = list(islice(glob.iglob(pattern), MOST_FILES + 1))  # noqa: PTH207 -- as the shell has it, with `..`
    return found if len(found) <= MOST_FILES else None


def _whole(folder: str, parts: Pieces) -> Pieces:
    """The parts of a path with names that are not known, from the root on."""
    if None not in parts:
        return ()
    first = folder + (parts[0] or "") if parts[0] is not None else folder
    rest = parts[1:] if parts[0] is not None else parts
    return (slashed(os.path.expanduser(first)), *rest)  # noqa: PTH111


def in_word(word: Word) -> Iterator[tuple[str, Pieces]]:
    """What of a word may be a path, in parts where it has patterns: itself, and what is behind `=`, `@` or a letter."""
    text = word.text
    if not text.startswith("-"):
        yield text, word.parts if word.globbed and not word.computed else ()
    elif not text.startswith("--"):
        yield text[2:], ()
    behind = [text.partition("=")[2]] if "=" in text else []
    if patterns.WINDOWS and (found := _SWITCH_WITH_VALUE.match(text)) is not None:
        behind.append(text[found.end() :])
    if "@" in text:
        behind.append(text.partition("@")[2])
    if "/" in text or "~" in text:
        behind += [part for part in re.split(r"[,:=@]", text)[1:] if part.startswith(("/", "~", ".."))]
    for part in dict.fromkeys(behind):
        yield part.lstrip("@<"), ()
