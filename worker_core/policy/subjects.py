"""What a tool call touches: its commands, paths and hosts, as far as its arguments tell.

A guard rail, not a wall: what a permitted program does by itself is for the sandbox to limit.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Final
from urllib.parse import urlsplit

from worker_core.policy.patterns import slashed
from worker_core.policy.rules import Subject
from worker_core.tools.command_names import Word, parse_line

_PATH_ARGUMENTS: Final = frozenset(
    {"path", "paths", "file", "files", "file_path", "filepath", "filename", "directory", "folder", "dir", "cwd",
     "working_directory", "source", "destination", "target", "root"}
)  # fmt: skip
_COMMAND_ARGUMENTS: Final = frozenset({"command", "cmd", "shell_command"})
_SHELLS: Final = frozenset({"sh", "bash", "zsh", "dash", "ksh", "fish", "ash"})
_WRAPPERS: Final = frozenset(
    {"sudo", "doas", "su", "xargs", "timeout", "nice", "ionice", "stdbuf", "setsid", "watch", "env", "time", "nohup",
     "find", "parallel", "strace", "ltrace", "ssh", "chroot", "unshare", "nsenter", "busybox", "script", "flock",
     "runuser", "pkexec", "command", "exec", "builtin", "caffeinate", "arch", "chpst", "uv", "npx"}
)  # fmt: skip
"""They run what stands behind them."""

_INTERPRETERS_OF_TEXT: Final = frozenset({"eval", "source", "."})
_SYSTEM_PROGRAMS: Final = ("/bin/", "/usr/bin/", "/usr/local/bin/", "/opt/homebrew/bin/", "/sbin/", "/usr/sbin/")
_URL = re.compile(r"(?<![a-zA-Z0-9+.])[a-zA-Z0-9+.]++://[^\s'\"<>`]++")
_MENTIONED = re.compile(
    r"(?<![\w.@%+~-])(?:~|\$HOME|\$\{HOME\}|[A-Za-z]:)?+[\w.@%+~-]*+(?:/(?:[\w.@%+~-]++(?: ++(?=[\w.@%+~-]))?+)++)++"
)
_HOST_WORD = re.compile(
    r"(?:[\w.-]+@)?((?:\d{1,3}\.){3}\d{1,3}|localhost|metadata\.[\w.-]+|\[[0-9a-fA-F:.]+\])(?::|/|$)"
)
_MENTIONS_LIMIT = 500
_DEEPEST = 5


def subjects_of(tool: str, arguments: Mapping[str, Any], *, workspace: Path) -> tuple[Subject, ...]:
    """The tool itself, and everything its arguments name, each once.

    Args:
        tool: its name.
        arguments: as the model gave them.
        workspace: existing, absolute.
    """
    found: dict[tuple[str, str, bool], Subject] = {}
    for one in (Subject(kind="tool", text=tool), *_Reader(workspace).arguments(arguments)):
        found.setdefault((one.kind, one.text, one.only_deny), one)
    return tuple(found.values())


class _Reader:
    def __init__(self, workspace: Path) -> None:
        self._workspace = Path(os.path.realpath(workspace))

    def arguments(self, arguments: Mapping[str, Any]) -> Iterator[Subject]:
        for name, value in arguments.items():
            for text in _texts(value):
                yield from self._argument(name.lower(), text)

    def _argument(self, name: str, text: str) -> Iterator[Subject]:
        if name in _COMMAND_ARGUMENTS:
            yield from self.line(text)
        elif name in _PATH_ARGUMENTS and "://" not in text:
            yield from self.path(text)
        else:
            yield from _urls(text)
            yield from self._mentioned(text)

    # --- command lines ------------------------------------------------------------------------------------

    def line(self, line: str, *, depth: int = 0) -> Iterator[Subject]:
        parsed = parse_line(slashed(line))
        whole = parsed.whole and depth < _DEEPEST
        if not whole:
            yield Subject(kind="command", text=line, unclear="A quote or a bracket in it is not closed.")
        for words in parsed.commands:
            yield from self._command(words, depth=depth)
        for word in parsed.others:
            yield from self._word(word)
        yield from self._mentioned(line)

    def _command(self, words: Sequence[Word], *, depth: int) -> Iterator[Subject]:
        name = PurePath(words[0].text).name or words[0].text
        text = " ".join([name, *(word.text for word in words[1:])])
        unclear = ""
        if words[0].computed:
            unclear = "Its name is computed when it runs."
        elif name in _INTERPRETERS_OF_TEXT and any(word.computed for word in words[1:]):
            unclear = "What it runs is computed when it runs."
        yield Subject(kind="command", text=text, alternatives=_behind_wrappers(name, words), unclear=unclear)
        if "/" in words[0].text and not words[0].text.startswith(_SYSTEM_PROGRAMS):
            yield from self._word(words[0])
        for word in words[1:]:
            yield from self._word(word)
        if name in {"cd", "pushd"} and len(words) == 1:
            yield from self.path("~")
        script = _script(name, words)
        if script is not None:
            if script.computed:
                yield Subject(kind="command", text=text, unclear="The script that it runs is computed when it runs.")
            yield from self.line(script.text, depth=depth + 1)
        elif name == "eval":
            yield from self.line(" ".join(word.text for word in words[1:]), depth=depth + 1)

    def _word(self, word: Word) -> Iterator[Subject]:
        text = word.text
        yield from _urls(text)
        if "://" in text:
            return
        if (host := _HOST_WORD.match(text)) is not None:
            yield _host(host[1])
        if text.startswith("-"):
            _, equals, text = text.partition("=")
            if not equals:
                if "/" not in word.text:
                    return
                text = word.text[word.text.index("/") :]  # such as -I/usr/include
        for variable in ("$HOME", "${HOME}"):
            if text == variable or text.startswith(f"{variable}/"):
                text = "~" + text[len(variable) :]
        for variable in ("$PWD", "${PWD}"):
            if text == variable or text.startswith(f"{variable}/"):
                text = "." + text[len(variable) :]
        if "$" in text or (word.computed and text.startswith("_")):
            if "/" in text:
                yield Subject(kind="path", text=text, unclear="", only_deny=True)
            return
        if self._is_a_path(text):
            yield from self.path(text)

    def _is_a_path(self, text: str) -> bool:
        if text.startswith(("~", "/", "../")) or text == ".." or "/../" in text or re.match(r"[A-Za-z]:/", text):
            return True
        if not text or len(text) > 4096 or "\0" in text:
            return False
        try:  # a link in the workspace may lead out of it
            return os.path.lexists(self._workspace / text)
        except (OSError, ValueError):
            return False

    # --- paths and hosts ----------------------------------------------------------------------------------

    def path(self, text: str) -> Iterator[Subject]:
        try:
            named = Path(text).expanduser() if text.startswith("~") else Path(text)
            plain = os.path.normpath(self._workspace / named)
            real = os.path.realpath(plain)
        except (OSError, ValueError, RuntimeError):
            yield Subject(kind="path", text=text[:4096])
            return
        # `a/../b` is not `b` where `a` is a link: both readings count.
        literal = os.path.realpath(self._workspace / named)
        outside = next((one for one in (literal, real) if not self._holds(one)), None)
        yield Subject(
            kind="path",
            text=slashed(outside or real),
            alternatives=() if outside is None else tuple({slashed(plain), slashed(real), slashed(literal)}),
            inside=outside is None,
        )

    def _holds(self, path: str) -> bool:
        return Path(path).is_relative_to(self._workspace)

    def _mentioned(self, text: str) -> Iterator[Subject]:
        """Paths that a text names. Only a `deny` looks at them: most are no access at all."""
        for number, found in enumerate(_MENTIONED.finditer(text[:200_000])):
            if number >= _MENTIONS_LIMIT:
                return
            said = slashed(found[0])
            for variable in ("$HOME", "${HOME}"):
                said = said.replace(variable, "~", 1)
            said = str(Path(said).expanduser()) if said.startswith("~/") else said
            if not said.startswith("/"):
                said = f"{slashed(str(self._workspace))}/{said.removeprefix('./')}"
            if self._holds(os.path.normpath(said)):
                try:
                    real = os.path.realpath(said)
                except (OSError, ValueError):
                    continue
                if self._holds(real):
                    continue  # most texts with a `/` in them
                said = slashed(real)  # by a link out of the workspace
            yield Subject(kind="path", text=said, only_deny=True)


def _script(name: str, words: Sequence[Word]) -> Word | None:
    """The text that a shell is given to run: `bash -c TEXT`."""
    if name not in _SHELLS:
        return None
    for at, word in enumerate(words[1:], start=1):
        if "c" in word.text and re.fullmatch(r"-[a-zA-Z]++", word.text):
            return words[at + 1] if at + 1 < len(words) else None
    return None


def _behind_wrappers(name: str, words: Sequence[Word]) -> tuple[str, ...]:
    if name not in _WRAPPERS:
        return ()
    texts = [word.text for word in words[:64]]
    return tuple(" ".join([PurePath(texts[at]).name or texts[at], *texts[at + 1 :]]) for at in range(1, len(texts)))


def _urls(text: str) -> Iterator[Subject]:
    for number, found in enumerate(_URL.finditer(text[:200_000])):
        if number >= _MENTIONS_LIMIT:
            return
        try:
            host = urlsplit(found[0]).hostname
        except ValueError:
            host = None
        if host:
            yield _host(host)


def _host(name: str) -> Subject:
    """With every number form of an address as it is usually written: `http://2852039166/` is the metadata service."""
    plain = name.strip("[]").rstrip(".").lower()
    with contextlib.suppress(ValueError):
        plain = str(ipaddress.ip_address(int(plain, 0) if re.fullmatch(r"0x[0-9a-f]+|\d+", plain) else plain))
    return Subject(kind="host", text=plain)


def _texts(value: object, *, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < _DEEPEST and isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one, depth=depth + 1)
    elif depth < _DEEPEST and isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one, depth=depth + 1)
