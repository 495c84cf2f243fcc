"""What a command runs besides itself: behind `sudo`, in `bash -c`, in a `trap`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import field
from typing import Final, Literal

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.policy import patterns, windows_programs
from worker_core.policy.carried import (
    COMPUTED_OPTIONS,
    COMPUTED_SCRIPT,
    UNKNOWN_TEXT,
    Text,
    in_git,
    in_options,
    joined,
)
from worker_core.policy.patterns import FOLDED, slashed
from worker_core.policy.powershell_aliases import command_of
from worker_core.policy.programs import FINDS, RUNNERS, SHELL_VALUES, SHELLS, UNREAD, Runner
from worker_core.policy.shell_events import Language
from worker_core.policy.shell_lines import read_line
from worker_core.policy.words import ANY_WORDS, Word, unquoted

Words = Sequence[Word]

_PROGRAM_SUFFIX = re.compile(r"\.(?:exe|com|cmd|bat)$")
_INPUT = re.compile(r"/dev/(?:stdin|fd/0)|/proc/self/fd/0")
_OPEN_FILE = re.compile(r"/dev/(?:tty|fd/)|/proc/[^/]{1,20}/(?:fd/|task/[^/]{1,20}/fd/)")


@dataclass(slots=True, kw_only=True)
class Behind:
    """All of it. `runs`: its words, or some of them, are a command."""

    commands: list[tuple[Word, ...]] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    runs: bool = False
    assigns: bool = False
    folder: Word | None = None
    """Where the command runs."""

    replaced: str = ""
    """What stands for words that are added."""

    is_silent: bool = False
    """An option says that nothing is run."""

    same_shell: bool = False
    reads: Literal["", "input", "file"] = ""
    """Of a shell: where its commands come from if not from its words."""

    unclear: str = ""


def name_of(word: Word) -> str:
    name = word.text.rstrip("/").rpartition("/")[2] or word.text
    if patterns.WINDOWS:
        return _PROGRAM_SUFFIX.sub("", slashed(name).rpartition("/")[2].lower().rstrip(". ") or name)
    return name.lower().removesuffix(".exe") if FOLDED else name


def behind(words: Words) -> Behind:
    """Of a command whose name is known."""
    name = name_of(words[0])
    found = _read(name, words)
    found.texts += in_git(words) if name == "git" else in_options(name, words)
    return found


def _read(name: str, words: Words) -> Behind:
    if name in SHELLS:
        return _shell(words)
    if name in FINDS:
        return _find(words, FINDS[name])
    if (runner := RUNNERS.get(name)) is not None:
        if name == "runuser" and not any(word.text.startswith(("-u", "--user")) for word in words):
            runner = RUNNERS["su"]
        return _runner(name, runner, words)
    if name in UNREAD:
        return Behind(runs=True)
    reading = _READINGS.get(name) or _OF_POWERSHELL.get(command_of(name.lower()))
    return Behind() if reading is None else reading(words)


# --- shells ---------------------------------------------------------------------------------------------------


def _shell(words: Words) -> Behind:
    """`bash [options] -c TEXT`, `bash FILE`, or `bash` alone, which reads its input."""
    takes_text, takes_input, at = False, False, 1
    while at < len(words):
        word = words[at]
        text = word.text
        if text == "--":
            at += 1
            break
        if text.startswith("--"):
            takes_text = takes_text or text == "--command"
            if text[2:] in SHELL_VALUES:
                at += 1
                if at < len(words) and words[at].open:
                    return Behind(unclear=UNKNOWN_TEXT)
            at += 1
            continue
        if not text.startswith(("-", "+")) or text in {"-", "+"}:
            break
        if word.open:
            return Behind(unclear=COMPUTED_OPTIONS)
        takes_text = takes_text or (text[0] == "-" and "c" in text)
        takes_input = takes_input or (text[0] == "-" and "s" in text)
        at += 1 + text.lower().count("o")
    rest = words[at:]
    if takes_text:
        if not rest:
            return Behind()
        unclear = COMPUTED_SCRIPT if rest[0].open else ""
        return Behind(texts=[Text(word=rest[0])], unclear=unclear)
    if takes_input or not rest or rest[0].text == "-":
        return Behind(reads="input")
    found = _script(rest[0])
    if rest[0].computed and len(rest) > 1:  # it may be `-c`
        found.texts.append(Text(word=rest[1], tolerates=True))
    return found


def _script(word: Word) -> Behind:
    path = f"/{posixpath.normpath(word.text).lstrip('/')}" if word.text.startswith("/") else ""
    if _INPUT.fullmatch(path):
        return Behind(reads="input")
    if _OPEN_FILE.match(path):
        return Behind(unclear=UNKNOWN_TEXT)
    if word.open and not word.raw.startswith(('"', "'")):  # it may also be an option, or nothing
        return Behind(unclear=UNKNOWN_TEXT)
    return Behind(reads="file")


def _sourced(words: Words) -> Behind:
    if len(words) < 2:
        return Behind()
    if words[1].open:
        return Behind(unclear=worded("What it runs is computed when it runs."))
    return _script(words[1])


def _evaluated(words: Words) -> Behind:
    rest = words[2:] if len(words) > 1 and words[1].text == "--" else words[1:]
    computed = any(word.open for word in rest)
    text = Word(unquoted(rest))
    return Behind(
        texts=[Text(word=text, same_shell=True)],
        unclear=worded("What it runs is computed when it runs.") if computed else "",
    )


# --- Windows ------------------------------------------------------------------------------------------------------


def _cmd(words: Words) -> Behind:
    return _script_of(windows_programs.of_cmd(words), language="native")


def _powershell(words: Words) -> Behind:
    is_core = name_of(words[0]).lower().startswith("pwsh")
    return _script_of(windows_programs.of_powershell(words, is_core=is_core), language="powershell")


def _invoke_expression(words: Words) -> Behind:
    return _script_of(windows_programs.of_invoke_expression(words), language="powershell", same_shell=True)


def _script_of(script: windows_programs.ShellScript, *, language: Language, same_shell: bool = False) -> Behind:
    texts = [] if script.text is None else [Text(word=script.text, language=language, same_shell=same_shell)]
    return Behind(texts=texts, reads=script.reads, unclear=script.unclear)


def _alias_of_powershell(words: Words) -> Behind:
    command = windows_programs.of_alias(words)
    return Behind(commands=[] if command is None else [(command, ANY_WORDS)])


def _start_process(words: Words) -> Behind:
    command = windows_programs.of_start_process(words)
    return Behind(commands=[command] if command else [], runs=True)


# --- programs with a command behind them ----------------------------------------------------------------------


def _runner(name: str, runner: Runner, words: Words) -> Behind:
    found = Behind(runs=True, same_shell=name in {"command", "builtin", "noglob", "nocorrect", "-"})
    at = _past_options(found, runner, words, 1)
    if runner.before:
        at = _past_options(found, runner, words, at + runner.before)
    if found.is_silent:
        found.runs = False
        return found
    rest = tuple(words[at:])
    if runner.anywhere:
        found.runs = bool(found.texts)
    elif name == "parallel":
        _parallel(found, rest)
    elif runner.joins:
        found.texts += [Text(word=joined(rest), tolerates=True)] if rest else []
    elif rest and runner.adds:
        replaced = tuple(_with_any(word, found.replaced) if found.replaced else word for word in rest)
        found.commands.append(replaced if found.replaced else (*rest, ANY_WORDS))
    elif rest:
        found.commands.append(rest)
    return found


def _past_options(found: Behind, runner: Runner, words: Words, at: int) -> int:
    """Where what is no option begins."""
    while at < len(words):
        word = words[at]
        text = word.text
        if text == "--":
            return at + 1
        if text.startswith("--"):
            option, equals, value = text[2:].partition("=")
            if option not in runner.long:  # the beginning of a name will do
                option = next((one for one in sorted(runner.long) if option and one.startswith(option)), option)
            takes = option in runner.long and not equals
            given = Word(value) if equals else words[at + 1] if takes and at + 1 < len(words) else None
            at += 2 if takes else 1
            _option(found, runner, option, given, rest=words[at:])
        elif text.startswith("-") and len(text) > 1:
            at += _letters(found, runner, words, at)
        elif runner.assigns and "=" in text:
            found.assigns = True
            at += 1
        elif runner.anywhere:
            at += 1
        else:
            return at
    return at


def _letters(found: Behind, runner: Runner, words: Words, at: int) -> int:
    """An option such as `-xn 5`: how many words it takes."""
    text = words[at].text
    for place, letter in enumerate(text[1:], 1):
        if letter in runner.silent:
            found.is_silent = True
        if letter in runner.values:
            apart = place == len(text) - 1
            following = words[at + 1] if at + 1 < len(words) else None
            behind_it = at + (2 if apart else 1)
            _option(found, runner, letter, following if apart else Word(text[place + 1 :]), rest=words[behind_it:])
            return behind_it - at
        _option(found, runner, letter, None)
    return 1


def _option(found: Behind, runner: Runner, option: str, value: Word | None, *, rest: Words = ()) -> None:
    """An option's letter or name, with its value."""
    if option in {"i", "replace"} and runner.replaces:
        found.replaced = value.text if value is not None else "{}"
    if value is None:
        return
    if len(option) == 1 and option in runner.replaces:
        found.replaced = value.text
    elif (len(option) == 1 and option in runner.lines) or option in runner.long_lines:
        found.texts.append(Text(word=value))
        found.unclear = COMPUTED_SCRIPT if value.open else found.unclear
    elif runner.splits and option in {runner.splits, "split-string"}:
        first = [word for command in read_line(_split(value.text)).commands for word in command.words]
        found.commands.append((Word("env"), *first, *rest))  # options may stand in it, too
        is_known = not value.open and "\\" not in value.text and "$" not in value.text
        found.unclear = found.unclear if is_known else worded("What it runs is computed when it runs.")
    elif option in {runner.folder, runner.long_folder} - {""}:
        found.folder = value


def _split(text: str) -> str:
    r"""The text of `env -S`, as a shell would write it: `\_` parts words, and behind `\c` stands nothing."""
    return text.partition("\\c")[0].replace("\\_", " ")


def _parallel(found: Behind, rest: Words) -> None:
    """`parallel COMMAND ::: ARGUMENTS`; without a command the arguments are some."""
    end = next((at for at, word in enumerate(rest) if word.text.startswith(":::")), len(rest))
    if end:
        command = tuple(_with_any(word, "{}") for word in rest[:end])
        found.texts.append(Text(word=joined(command), grows=True, tolerates=True))
    else:
        found.texts += [Text(word=word) for word in rest[1:]]
        found.unclear = "" if rest else UNKNOWN_TEXT


def _with_any(word: Word, what: str) -> Word:
    """With any text in the place of what stands for it."""
    if what not in word.text:
        return word
    parts: list[str | None] = []
    for number, part in enumerate(word.text.split(what)):
        if number:
            parts.append(None)
        if part:
            parts.append(part)
    return Word(word.text, word.raw or word.text, tuple(parts), computed=True)


def _find(words: Words, actions: frozenset[str]) -> Behind:
    """`find ... -exec COMMAND ;`, with names of files in the place of `{}`."""
    found = Behind()
    at = 1
    while at < len(words):
        if words[at].text in actions:
            end = at + 1
            while end < len(words) and words[end].text not in {";", "+"}:
                end += 1
            command = tuple(_with_any(word, "{}") for word in words[at + 1 : end])
            if words[at].text in {"-x", "-X", "--exec", "--exec-batch"}:
                command = (*command, ANY_WORDS)
            if command:
                found.commands.append(command)
                found.runs = True
            at = end
        at += 1
    return found


# --- commands that keep a text, to run it later ---------------------------------------------------------------


def _trap(words: Words) -> Behind:
    rest = [word for word in words[1:] if word.text not in {"-l", "-p", "-P", "--"}]
    if len(rest) < 2 or rest[0].text in {"", "-"}:
        return Behind()
    return Behind(texts=[Text(word=rest[0], tolerates=True)])


def _alias(words: Words) -> Behind:
    texts = [_value(word) for word in words[1:] if "=" in word.text]
    return Behind(texts=[Text(word=one, grows=True, tolerates=True) for one in texts])


def _value(word: Word) -> Word:
    text = word.text.partition("=")[2]
    return Word(text, text, (None,), computed=word.computed) if word.open else Word(text)


def _hash(words: Words) -> Behind:
    """`hash -p PATH NAME`: from now on, NAME is another program."""
    for at, word in enumerate(words[1:], 1):
        if word.text.startswith("-p"):
            path = Word(word.text[2:]) if len(word.text) > 2 else words[at + 1] if at + 1 < len(words) else None
            if path is not None:
                return Behind(commands=[(path, ANY_WORDS)])
    return Behind()


def _callback(words: Words) -> Behind:
    """`mapfile -C TEXT`, `complete -C TEXT`."""
    for at, word in enumerate(words[1:], 1):
        if word.text.startswith("-C"):
            text = Word(word.text[2:]) if len(word.text) > 2 else words[at + 1] if at + 1 < len(words) else None
            if text is not None:
                return Behind(
                    texts=[Text(word=text, grows=True)],
                    unclear=worded("What it runs is computed.") if text.open else "",
                )
    return Behind()


def _compgen(words: Words) -> Behind:
    """As `complete`; what stands behind `-W` is expanded."""
    found = _callback(words)
    for at, word in enumerate(words[1:-1], 1):
        if word.text == "-W":
            found.texts.append(Text(word=Word(f": {words[at + 1].text}"), tolerates=True))
    return found


def _history(words: Words) -> Behind:
    """`history -s TEXT`, which `fc -s` runs."""
    if len(words) > 2 and words[1].text == "-s":
        return Behind(texts=[Text(word=joined(words[2:]), tolerates=True)])
    return Behind()


_READINGS: Final = {
    "eval": _evaluated, "source": _sourced, ".": _sourced, "trap": _trap, "alias": _alias, "hash": _hash,
    "mapfile": _callback, "readarray": _callback, "complete": _compgen, "compgen": _compgen, "history": _history,
}  # fmt: skip

_OF_POWERSHELL: Final = {
    "cmd": _cmd, "powershell": _powershell, "powershell.exe": _powershell, "pwsh": _powershell, "pwsh.exe": _powershell,
    "cmd.exe": _cmd, "powershell_ise": _powershell, "pwsh-preview": _powershell,
    "invoke-expression": _invoke_expression, "start-process": _start_process,
    "set-alias": _alias_of_powershell, "new-alias": _alias_of_powershell,
}  # fmt: skip
"""Whose names have no case."""
