"""What a tool call touches: its commands, paths and hosts. Tools say what their arguments are; this reads them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.network.hosts import read_url
from worker_core.policy.behind import behind, name_of
from worker_core.policy.folders import Folder, below
from worker_core.policy.lines import LineReader
from worker_core.policy.paths import LONGEST, PathReader
from worker_core.policy.programs import SHELLS
from worker_core.policy.rules import Subject
from worker_core.policy.shell_events import Language
from worker_core.policy.urls import host_subject, urls_of
from worker_core.policy.windows_programs import POWERSHELLS
from worker_core.policy.words import Word, quoted
from worker_core.sandbox.launcher import WORKSPACE_ALONE, Holds, WorkPlace

_PATH_ARGUMENTS: Final = frozenset(
    {"path", "paths", "file", "files", "file_path", "filepath", "filename", "directory", "folder", "dir", "cwd",
     "working_directory", "source", "destination", "target", "root"}
)  # fmt: skip
_PATH_ENDINGS: Final = ("_path", "_paths", "_file", "_files", "_dir", "_directory", "_folder", "_filename")
_COMMAND_ARGUMENTS: Final = frozenset({"command", "cmd", "shell_command", "commands", "argv", "script"})
_MORE_WORDS: Final = ("args", "arguments", "argv")
_URL_ARGUMENTS: Final = frozenset({"url", "urls", "uri", "uris", "href", "endpoint", "base_url"})
_DEEPEST: Final = 8
MOST_TEXTS: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPlaces:
    """What a process has for itself, so that nothing in it is the machine's: private to the sandbox."""

    home: bool = False
    tmp: bool = False
    loopback: bool = False
    files: bool = False
    """They write where they may, and nowhere else."""

    @classmethod
    def held(cls, enforces: Collection[str]) -> OwnPlaces:
        """Told by what a launcher enforces (`Holds`): nothing where there is no sandbox, or none is known yet."""
        return cls(
            home=Holds.OWN_HOME in enforces,
            tmp=Holds.OWN_TMP in enforces,
            loopback=Holds.OWN_LOOPBACK in enforces,
            files=Holds.FILES in enforces,
        )


_NONE_OF_ITS_OWN: Final = OwnPlaces()


class Reader:
    """Reads the arguments of one call.

    Args:
        workspace: existing, absolute.
        denied: words of which one is in every path that some rule denies; with "" all paths in texts are looked at.
        own: what the processes that the call starts have for themselves.
        place: where its execution works.

    """

    def __init__(
        self,
        workspace: Path,
        *,
        denied: Sequence[str] = ("",),
        own: OwnPlaces = _NONE_OF_ITS_OWN,
        place: WorkPlace = WORKSPACE_ALONE,
    ) -> None:
        self._own = own
        self.workspace = Path(workspace)
        self._in_worker = PathReader(workspace, denied=denied, granted=[one.path for one in place.folders])
        self._in_process = PathReader(
            workspace,
            denied=denied,
            own_home=own.home,
            own_tmp=own.tmp,
            # What may only be read is the owner's to answer for where nothing keeps a process from writing it.
            granted=[one.path for one in place.folders if one.writable or own.files],
        )
        self._in_workspace: tuple[Folder, ...] = (self._in_worker.workspace,)
        self._here = self._in_workspace if place.start is None else (str(place.start),)

    # --- what tools say their arguments are ---------------------------------------------------------------

    def started(self, argv: Sequence[str], *, folder: str = "", configured: str = "") -> Iterator[Subject]:
        """A process that the tool starts. A shell's text is read as a line.

        Args:
            argv: what is started.
            folder: where the call wants it, seen from where the execution works.
            configured: a folder of the workspace where it is started by default; empty: where the execution works.
        """
        lines = LineReader(self._in_process, whole=_whole(argv), own_loopback=self._own.loopback)
        start, folder = (self._here, folder) if folder or not configured else (self._in_workspace, configured)
        here = tuple(below(one, folder) for one in start) if folder else start
        if folder:
            yield from self._in_process.used(folder, start)
        if _is_a_line(argv):
            language: Language = "powershell" if is_powershell(argv) else "posix"
            yield from lines.line(argv[-1], lines.start(here), language=language)
        else:
            yield from lines.command([Word(word, word) for word in argv], here)

    def elsewhere(self, argv: Sequence[str]) -> Iterator[Subject]:
        """A process in a container or on another machine: its paths are not this machine's, and running it is what the
        tool is for.
        """
        lines = LineReader(self._in_process, whole=_whole(argv))
        for one in lines.command([Word(word, word) for word in argv], self._here):
            if one.kind == "command":
                yield replace(one, expected=True)

    def path(self, text: str, *, folder: str = "") -> Iterator[Subject]:
        """A file or folder, seen from a folder of the workspace. Nothing for none."""
        if text:
            here = tuple(below(one, folder) for one in self._in_workspace) if folder else self._in_workspace
            yield from self._in_worker.used(text, here)

    def file(self, text: str) -> Iterator[Subject]:
        """The same, seen from where the execution works."""
        if text:
            yield from self._in_worker.used(text, self._here)

    def url(self, text: str) -> Iterator[Subject]:
        """An address that is fetched."""
        found = read_url(text)
        if found is not None and found.scheme == "file":
            yield from self._in_worker.used(found.target, self._here)
        elif found is not None and found.host:
            yield host_subject(found.host)

    def code(self, text: str) -> Iterator[Subject]:
        """A program in another language, run in the workspace."""
        yield from urls_of(text, self._in_process, self._here, own_loopback=self._own.loopback)
        yield from self._in_process.mentioned(text, self._here)

    def sent(self, value: object) -> Iterator[Subject]:
        """What is only written or sent: a rule that denies a path that it names still counts."""
        for text in _texts(value):
            yield from self._in_worker.mentioned(text, None)

    def arguments(self, arguments: Mapping[str, Any], *, is_started: bool = True) -> Iterator[Subject]:
        """Arguments that nobody here knows: each by its name and its form, however deep it stands.

        Args:
            arguments: of the call.
            is_started: a process that the worker starts gets them; else something that has nothing for itself here.

        """
        paths, own = (self._in_process, self._own) if is_started else (self._in_worker, _NONE_OF_ITS_OWN)
        yield from _Unknown(self, paths, self._here, own).read(arguments)


def subjects_of(tool: str, found: Iterable[Subject]) -> tuple[Subject, ...]:
    """The tool itself, and everything else, each once. Of two that look the same the less clear one counts."""
    known: dict[tuple[str, str, bool], Subject] = {}
    for one in (Subject(kind="tool", text=tool), *found):
        key = (one.kind, one.text, one.only_deny)
        known[key] = one if key not in known else _both(known[key], one)
    return tuple(known.values())


def _both(one: Subject, other: Subject) -> Subject:
    return replace(
        one,
        alternatives=tuple(dict.fromkeys((*one.alternatives, *other.alternatives))),
        suspected=tuple(dict.fromkeys((*one.suspected, *other.suspected))),
        open=tuple(dict.fromkeys((*one.open, *other.open))),
        inside=one.inside and other.inside,
        granted=(one.granted or one.inside) and (other.granted or other.inside) and not (one.inside and other.inside),
        expected=one.expected and other.expected,
        unclear=one.unclear or other.unclear,
        exact=one.exact or other.exact,
        too_much=one.too_much or other.too_much,
    )


def _texts(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one


def is_powershell(argv: Sequence[str]) -> bool:
    """Whether it is a PowerShell whose last word is its line."""
    name = PureWindowsPath(argv[0]).stem.lower()  # it takes `/` as well
    return len(argv) > 2 and name in POWERSHELLS and argv[-2].lower() in {"-c", "-command"}


def _is_a_line(argv: Sequence[str]) -> bool:
    """Whether it is a shell whose last word is the line that it reads."""
    if is_powershell(argv):
        return True
    texts = behind([Word(word, word) for word in argv]).texts if name_of(Word(argv[0])) in SHELLS else []
    return len(texts) == 1 and texts[0].word.text is argv[-1]


def _whole(argv: Sequence[str]) -> str:
    return argv[-1] if _is_a_line(argv) else " ".join(map(quoted, argv))


class _Unknown:
    """Reads a JSON value."""

    def __init__(self, reader: Reader, paths: PathReader, here: tuple[Folder, ...], own: OwnPlaces) -> None:
        self._reader = reader
        self._paths = paths
        self._here = here
        self._own = own
        self._left = MOST_TEXTS
        self._gave_up = False

    def read(self, value: object, *, name: str = "", depth: int = 0) -> Iterator[Subject]:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            if not self._gave_up:
                said = worded("Its arguments hold more than is looked at.")
                yield Subject(kind="tool", text=name[:200], too_much=said)
            self._gave_up = True
            return
        if isinstance(value, str):
            yield from self._text(name, value)
        elif isinstance(value, Mapping):
            yield from self._program(value)
            for key, inner in value.items():
                yield from self._paths.mentioned(str(key), None)
                yield from self.read(inner, name=str(key), depth=depth + 1)
        elif isinstance(value, list | tuple):
            if name.lower() in _COMMAND_ARGUMENTS and value and all(isinstance(one, str) for one in value):
                yield from self._reader.started([str(one) for one in value])
            for inner in value:
                yield from self.read(inner, name=name, depth=depth + 1)

    def _program(self, value: Mapping[str, object]) -> Iterator[Subject]:
        """`{"command": "rm", "args": ["-rf", "x"]}`."""
        named = {str(key).lower(): inner for key, inner in value.items()}
        program = next((one for key in _COMMAND_ARGUMENTS if isinstance(one := named.get(key), str)), "")
        for key in _MORE_WORDS:
            words = named.get(key)
            if program and isinstance(words, list) and words and all(isinstance(one, str) for one in words):
                yield from self._reader.started([program, *words])

    def _text(self, name: str, text: str) -> Iterator[Subject]:
        plain = name.lower()
        if plain in _COMMAND_ARGUMENTS:
            lines = LineReader(self._paths, whole=text, own_loopback=self._own.loopback)
            yield from lines.line(text, lines.start(self._here), language="native")
            return
        stripped = text.strip()
        if plain in _URL_ARGUMENTS:
            yield from self._reader.url(stripped)
        if stripped.lower().startswith("file:"):
            path = stripped[5:].replace("\\", "/")
            yield from self._paths.used("/" + path.lstrip("/") if path.startswith("/") else path, self._here)
        elif "://" in text:
            yield from urls_of(text, self._paths, self._here, own_loopback=self._own.loopback)
        elif plain in _PATH_ARGUMENTS or plain.endswith(_PATH_ENDINGS) or self._is_a_path(stripped):
            yield from self._paths.used(text, self._here)
            return
        yield from self._paths.mentioned(text, self._here)

    def _is_a_path(self, text: str) -> bool:
        """A value that is nothing else: from the home, out of the folder, or of a file or folder that there is."""
        if len(text) > LONGEST or "\n" in text:
            return False
        if text.startswith(("~/", "../")) or text in {"~", ".."}:
            return True
        if not text.startswith("/") or text.startswith("//"):
            return False
        try:
            return os.path.lexists(text) or (os.path.dirname(text) != "/" and os.path.isdir(os.path.dirname(text)))  # noqa: PTH112, PTH120
        except ValueError:
            return False
