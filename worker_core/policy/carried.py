"""Commands that stand in a program's options, settings and variables: `tar -I`, `git -c alias.x=!...`, `PAGER=...`.

Of the manual pages of the programs themselves. What stands in texts of other languages (`awk`, `vim -c`, `gdb -ex`) is
not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.policy.shell_events import Language
from worker_core.policy.words import Word, unquoted

UNKNOWN_TEXT: Final = worded("It runs a text that is not known here.")
COMPUTED_SCRIPT: Final = worded("The script that it runs is computed when it runs.")
COMPUTED_OPTIONS: Final = worded("Its options are computed when it runs.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What a shell reads as a line."""

    word: Word
    language: Language = "posix"
    grows: bool = False
    """More words are added when it runs."""

    same_shell: bool = False
    """In the shell that reads the line itself, so that its `cd` counts behind it."""

    tolerates: bool = False
    """Words that are computed in it are arguments, as far as that can be told."""


_SSH: Final = r"(?i:proxycommand|localcommand|knownhostscommand)[ =]+(?!none$)"
_TAR: Final = dict.fromkeys(
    ("-I", "-F", "--use-compress-program", "--to-command", "--info-script", "--new-volume-script", "--rsh-command",
     "--rmt-command"),
    "",
) | {"--checkpoint-action": "exec="}  # fmt: skip
_NCAT: Final = dict.fromkeys(("-e", "-c", "--exec", "--sh-exec"), "")
_APT: Final = {"-o": r"(?i)[\w:-]*(?:invoke|hooks?|proxy-auto-detect)[\w:-]*=", "--option": r"[\w:-]*invoke[\w:-]*="}

OPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "apt": _APT, "apt-get": _APT, "bsdtar": _TAR, "gtar": _TAR, "man": {"-P": "", "--pager": "", "-H": ""},
    "nc": _NCAT, "ncat": _NCAT, "npm": {"-c": "", "--call": ""}, "rg": {"--pre": ""},
    "rsync": {"-e": "", "--rsh": "", "--rsync-path": ""}, "scp": {"-S": "", "-o": _SSH, "-D": ""},
    "sftp": {"-S": "", "-o": _SSH, "-D": ""}, "sort": {"--compress-program": ""}, "split": {"--filter": ""},
    "ssh": {"-o": _SSH}, "sshfs": {"-o": f"(?:.*,)?(?:{_SSH}|ssh_command=)"}, "tar": _TAR,
    "tcpdump": {"-z": ""}, "wget": {"--use-askpass": ""}, "xterm": {"-e": ""},
    "zip": {"-TT": "", "--unzip-command": ""},
}  # fmt: skip
"""By program, its options whose value is run, each with an expression of what stands in front of the command."""

_GIT_OPTIONS: Final = frozenset(
    {"-x", "--exec", "--extcmd", "--tree-filter", "--index-filter", "--env-filter", "--msg-filter", "--commit-filter",
     "--parent-filter", "--tag-name-filter", "--setup", "--upload-pack", "--receive-pack", "--open-files-in-pager"}
)  # fmt: skip
_GIT_KEYS: Final = (
    "command", "pager", "editor", "helper", ".cmd", "external", "fsmonitor", "gitproxy", "textconv", ".clean",
    ".smudge", ".process", ".driver", "program", "askpass", "packobjectshook", "hook",
)  # fmt: skip
_GIT_SETTING: Final = re.compile(r"[A-Za-z][\w-]*\.\S+")

_VARIABLE: Final = re.compile(
    r"(?:\w+_)?(?:EDITOR|VISUAL|PAGER|BROWSER|ASKPASS|RSH|COMMAND|FCEDIT)|GIT_SSH|GIT_EXTERNAL_DIFF|LESSOPEN|LESSCLOSE"
    r"|GIT_CONFIG_VALUE_\d+|GIT_CONFIG_PARAMETERS|BASH_ALIASES|BASH_CMDS|BASH_FUNC_.+|BASH_ENV|ENV",
    re.ASCII,
)
_GOES: Final = re.compile(r"\b(?:cd|pushd|chdir)\b")
MOVES: Final = {
    "HOME": re.compile(r"~|\bHOME\b(?!=)|\bcd\s*(?:$|[;&|)])"),
    "CDPATH": _GOES,
    "OLDPWD": _GOES,
    "PWD": re.compile(r"PWD\b(?!=)"),
}
"""Variables that say where paths are, and where on a line that tells."""

PROMPTS: Final = frozenset({"PS0", "PS1", "PS2", "PS4"})
"""Variables whose substitutions Bash runs."""


def in_options(program: str, words: Sequence[Word]) -> Iterator[Text]:
    """What the options of a command run: `--option=COMMAND`, `--option COMMAND`, `-oCOMMAND`, and a beginning of a long
    option's name.
    """
    if (known := OPTIONS.get(program)) is None:
        return
    for at, word in enumerate(words[1:], 1):
        name, equals, value = word.text.partition("=")
        for option, before in known.items():
            if word.text == option or (not equals and len(name) > 4 and option.startswith(name)):
                given = words[at + 1] if at + 1 < len(words) else None
            elif option.startswith("--"):
                given = _cut(word, value) if equals and len(name) > 4 and option.startswith(name) else None
            else:
                given = _cut(word, word.text[2:]) if len(option) == 2 and word.text.startswith(option) else None
            if given is not None and (found := re.match(before, given.text)) is not None:
                yield Text(word=_cut(given, given.text[found.end() :]), grows=True, tolerates=True)


def in_variable(name: str, value: str) -> str:
    """The command in a variable's value, where some program runs it; empty for others."""
    if value.startswith("!"):
        return value[1:]
    if _VARIABLE.fullmatch(name.partition("[")[0].removesuffix("+")) is None:
        return ""
    if name.startswith("GIT_CONFIG_P"):
        return value.rpartition("!")[2].strip("'\"") if "!" in value else ""
    return value.removeprefix("()").lstrip("|-! ")


def in_git(words: Sequence[Word]) -> Iterator[Text]:
    """Of a `git`, its few commands, options and settings that run others."""
    texts = [word.text for word in words]
    for at, text in enumerate(texts):
        following = words[at + 1] if at + 1 < len(words) else None
        option, equals, value = text.partition("=")
        if text == "foreach" and "submodule" in texts[:at]:
            rest = [word for word in words[at + 1 :] if word.text not in {"--recursive", "--quiet", "-q"}]
            if rest:
                yield Text(word=joined(rest), tolerates=True)
        elif text == "run" and "bisect" in texts[:at] and following is not None:
            yield Text(word=joined(words[at + 1 :]), tolerates=True)
        elif option in _GIT_OPTIONS and (equals or following is not None):
            yield Text(word=_cut(words[at], value) if equals or following is None else following, tolerates=True)
        elif (text == "-u" and "clone" in texts[:at]) and following is not None:
            yield Text(word=following, tolerates=True)
        elif text.startswith("-O") and len(text) > 2 and "grep" in texts[:at]:
            yield Text(word=_cut(words[at], text[2:]), grows=True, tolerates=True)
        elif text.startswith("ext::"):
            yield Text(word=_cut(words[at], text[5:]), tolerates=True)
        elif text == "-c" and following is not None:
            yield from _setting(following.text.partition("=")[0], _cut(following, following.text.partition("=")[2]))
        elif "config" in texts[:at] and _GIT_SETTING.fullmatch(text) and following is not None:
            yield from _setting(text, following)


def _setting(key: str, value: Word) -> Iterator[Text]:
    if value.text.startswith("!") or key.lower().endswith(_GIT_KEYS):
        yield Text(word=_cut(value, value.text.removeprefix("!")), grows=True, tolerates=True)


def joined(words: Sequence[Word]) -> Word:
    """Words that a program joins with blanks."""
    if len(words) == 1:
        return words[0]
    return Word(unquoted(words), computed=any(word.computed for word in words), pieces=(None,), raw=unquoted(words))


def _cut(word: Word, text: str) -> Word:
    """A part of a word."""
    return Word(text, text, (None,), computed=word.computed) if word.open else Word(text, text)
