"""Shells and commands of Windows: which of their words are a command, and which are options.

Of Microsoft's documentation of `cmd`, `about_PowerShell_exe`, `about_Pwsh`, `Start-Process` and `Invoke-Expression`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final, Literal

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.policy.carried import COMPUTED_OPTIONS, COMPUTED_SCRIPT, UNKNOWN_TEXT, joined
from worker_core.policy.powershell_aliases import command_of
from worker_core.policy.programs import listed
from worker_core.policy.words import Word

Words = Sequence[Word]

POWERSHELLS: Final = frozenset({"powershell", "pwsh"})
_SWITCH = re.compile(r"/{1,2}[A-Za-z?][\w?-]{0,30}(?::[^/]{0,200})?")
_LETTER = re.compile(r"/{1,2}[ckr]", re.IGNORECASE)
_SILENT = re.compile(r"(^|[&|(])\s*@+")
_COMPUTED = re.compile(r"%[^%\s]{1,100}%|![^!\s]{1,100}!|(?:^|[&|(])\s*(?:if|for)\b", re.IGNORECASE)
"""Variables, and commands that stand behind a condition."""

_OF_CMD: Final = str.maketrans({"^": "", "'": "\u2019", "#": "_", "$": "_", "`": "_", ",": " ", ";": " ", "=": " "})
"""What cmd reads otherwise than a POSIX shell: `^` makes the next character plain, `'` quotes nothing, `#` begins no
comment, `,`, `;` and `=` part words."""

_ALIASES: Final = {
    "c": "command", "e": "encodedcommand", "ec": "encodedcommand", "enc": "encodedcommand", "f": "file",
    "cwa": "commandwithargs", "ep": "executionpolicy", "ex": "executionpolicy", "exec": "executionpolicy",
    "w": "windowstyle", "wd": "workingdirectory", "wo": "workingdirectory", "v": "version", "o": "outputformat",
    "of": "outputformat", "if": "inputformat", "inp": "inputformat", "ea": "encodedarguments", "i": "interactive",
    "l": "login", "nop": "noprofile", "noni": "noninteractive", "noe": "noexit", "nol": "nologo", "s": "sta",
}  # fmt: skip
_SCRIPTS: Final = listed("command commandwithargs encodedcommand file")
_VALUES: Final = listed(
    """executionpolicy windowstyle workingdirectory outputformat inputformat encodedarguments psconsolefile
    configurationname configurationfile custompipename settingsfile"""
)
_SWITCHES: Final = listed("interactive login noprofile noninteractive noexit nologo sta mta noprofileloadtime help")
_START_VALUES: Final = (
    "-v",
    "-windowstyle",
    "-credential",
    "-redirectstandard",
    "-environment",
    "-workingdirectory",
)

PLAIN_THERE: Final = listed(
    """assoc attrib choco chkdsk clip cls comp compact copy cscript del dir doskey driverquery erase expand fc findstr
    ftype getmac hostname ipconfig md mklink move msbuild nbtstat netstat nuget path pathping qprocess query quser rd
    recover ren rename replace robocopy rmdir scoop sfc systeminfo taskkill tasklist title tracert tree ver verify vol
    where whoami winget xcopy sleep"""
)
"""They do not run their words."""

_PLAIN_VERBS = re.compile(
    r"(?:add|clear|compare|convert|convertfrom|convertto|copy|expand|compress|export|find|format|get|group|import|join|"
    r"measure|move|new|out|pop|push|read|remove|rename|resolve|select|set|sort|split|tee|test|wait|where|write)-\w{1,60}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellScript:
    """What a shell runs."""

    text: Word | None = None
    reads: Literal["", "input", "file"] = ""
    unclear: str = ""


def is_plain(name: str) -> bool:
    """Whether a command of Windows does not run its words."""
    return name in PLAIN_THERE or _PLAIN_VERBS.fullmatch(command_of(name)) is not None


def is_switch(text: str) -> bool:
    """`/s`, `/c:text`: an option, where no file of the drive's first folder has that name."""
    return _SWITCH.fullmatch(text) is not None


def of_cmd(words: Words) -> ShellScript:
    """`cmd [/s] /c LINE`, or `cmd` alone, which reads its input."""
    for at, word in enumerate(words[1:], 1):
        found = _LETTER.match(word.text)
        if found is None and word.open:
            return ShellScript(unclear=COMPUTED_OPTIONS)
        if found is not None:
            first = word.text[found.end() :]
            line = joined([*([Word(first)] if first else []), *words[at + 1 :]])
            text = _SILENT.sub(r"\1 ", line.text.translate(_OF_CMD))
            is_known = not line.open and _COMPUTED.search(text) is None
            return ShellScript(text=Word(text, text), unclear="" if is_known else COMPUTED_SCRIPT)
    return ShellScript(reads="input")


def of_powershell(words: Words, *, is_core: bool) -> ShellScript:
    """`powershell [options] -Command TEXT`, `-EncodedCommand BASE64`, `-File FILE`, or without any, which reads its
    input. What stands behind the options is a text for Windows PowerShell, and a file for PowerShell 7 (`is_core`).
    """
    at = 1
    while at < len(words):
        word = words[at]
        if word.text in {"-", "--"} or not word.text.startswith(("-", "/")) or (is_core and word.text.startswith("/")):
            break
        if word.open:
            return ShellScript(unclear=COMPUTED_OPTIONS)
        given, colon, _ = word.text.lstrip("-/").lower().partition(":")
        option = _option(given)
        if option in _SCRIPTS:
            return _script(option, words[at + 1 :])
        if option in _SWITCHES:
            at += 1
        elif option == "version" and is_core:
            return ShellScript()
        elif option in _VALUES or option == "version":
            at += 1 if colon else 2
        else:
            return ShellScript(unclear=worded("Its option {option} is not known here.", option=word.text[:50]))
    rest = words[at:]
    return _script("file" if is_core else "command", rest)


def _option(given: str) -> str:
    """The option that a beginning of its name means; empty where that is not certain."""
    if given in _ALIASES:
        return _ALIASES[given]
    found = [one for one in (*_SCRIPTS, *_VALUES, *_SWITCHES, "version") if given and one.startswith(given)]
    return given if given in found else found[0] if len(found) == 1 else ""


def _script(option: str, rest: Words) -> ShellScript:
    if not rest or rest[0].text == "-":
        return ShellScript(reads="input")
    if option == "file":
        return ShellScript(unclear=UNKNOWN_TEXT) if rest[0].open else ShellScript(reads="file")
    if option == "encodedcommand":
        try:
            text = base64.b64decode(rest[0].text, validate=True).decode("utf-16-le")
        except ValueError:
            return ShellScript(unclear=UNKNOWN_TEXT)
        return ShellScript(unclear=UNKNOWN_TEXT) if rest[0].open else ShellScript(text=Word(text, text))
    line = rest[0] if option == "commandwithargs" else joined(rest)
    return ShellScript(text=line, unclear=COMPUTED_SCRIPT if line.open else "")


def of_start_process(words: Words) -> tuple[Word, ...]:
    """`Start-Process PROGRAM [ARGUMENTS]`, and cmd's `start "title" PROGRAM`: the command that it starts."""
    found: list[Word] = []
    at = 1
    while at < len(words):
        text = words[at].text.lower()
        if text.startswith(_START_VALUES):
            at += 2
            continue
        if text and not text.startswith("-") and not is_switch(text):
            found += [words[at]] if words[at].open or not found else [Word(one) for one in words[at].text.split()]
        at += 1
    return tuple(found)


def of_alias(words: Words) -> Word | None:
    """`Set-Alias NAME COMMAND`: the command that the name is from now on."""
    operands: list[Word] = []
    at = 1
    while at < len(words):
        text = words[at].text.lower()
        if text.startswith("-v") and at + 1 < len(words):
            return words[at + 1]
        operands += [] if text.startswith("-") else [words[at]]
        at += 2 if text.startswith(("-d", "-o", "-s")) else 1
    return operands[1] if len(operands) > 1 else None


def of_invoke_expression(words: Words) -> ShellScript:
    """`Invoke-Expression TEXT`; without one it reads what a pipe brings."""
    rest = [word for word in words[1:] if word.open or word.text.lower() not in {"-command", "-c"}]
    if not rest or any(word.open for word in rest):
        return ShellScript(unclear=UNKNOWN_TEXT)
    return ShellScript(text=joined(rest))
