"""`shell`: one command line, in the execution's workspace."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import timedelta
from pathlib import PurePath
from typing import Annotated, Any

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.policy.names import command_names
from worker_core.policy.rules import Subject
from worker_core.policy.shell_events import Language
from worker_core.policy.subjects import Reader, is_powershell
from worker_core.policy.windows_programs import POWERSHELLS
from worker_core.tools import arguments
from worker_core.tools.base import Tool, ToolContext, ToolResult, ToolSpec
from worker_core.tools.configuration import Configuration
from worker_core.tools.powershell import default_powershell, framed
from worker_core.tools.report import run_and_report

DEFAULT_TIMEOUT = timedelta(seconds=30)
LONGEST_TIMEOUT = timedelta(seconds=600)

LONGEST_COMMAND_BYTES = 128 * 1024 - 1
"""Linux takes no longer argument (MAX_ARG_STRLEN, execve(2))."""

LONGEST_LINE_OF_WINDOWS = 32_767 - 2_048
"""Characters of a whole command line, quotes and all (Microsoft's documentation of `CreateProcess`), less what stands
in front of it: the Python that starts it with fewer rights, with paths of its own."""

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash"})
_SYSTEM_FOLDERS = frozenset({"./", "/bin/", "/usr/bin/", "/usr/local/bin/", "/opt/homebrew/bin/"})
"""`./` stands for a name alone, which is looked for on the PATH."""

_LINE_OPTION = re.compile(r"-[efluvx]{0,6}c")
_OPTIONS = frozenset(
    {"-e", "-f", "-l", "-u", "-v", "-x", "-eu", "-o", "errexit", "nounset", "pipefail", "--login", "--noprofile",
     "--norc", "--posix"}
)  # fmt: skip
_POWERSHELL_OPTIONS = (
    ["-command"], ["-c"], ["-noprofile", "-command"], ["-noprofile", "-noninteractive", "-command"],
    ["-noprofile", "-noninteractive", "-c"],
)  # fmt: skip


class ShellArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    command: Annotated[str, msgspec.Meta(description="The command line to run.", min_length=1)]
    timeout_seconds: Annotated[
        float | None, msgspec.Meta(description="Stop it after so many seconds; 600 at most, if nothing else is said.")
    ] = None
    working_directory: Annotated[
        str, msgspec.Meta(description="Folder to run it in, inside the workspace; it must exist.")
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellTool:
    """Runs a command line through the system's shell.

    `allowed_commands` and `blocked_commands` are a guard rail, not a wall: the programs that the command line names
    are looked up. What a permitted program starts is not seen.
    """

    timeout: timedelta = DEFAULT_TIMEOUT
    allowed_commands: frozenset[str] | None = None
    """None: every command. Only an explicitly configured list restricts."""

    blocked_commands: frozenset[str] = frozenset()
    working_directory: str = ""
    shell: tuple[str, ...] = field(default_factory=lambda: default_shell())
    guidelines: str = ""

    @property
    def spec(self) -> ToolSpec:
        description = (
            f"Run a command line with {PurePath(self.shell[0]).stem} in the workspace and read its output (standard "
            f"output and error together). Files in the workspace stay for later calls; what is put into /tmp "
            f"or ~ may not, and `cd` and variables do not. It gets no input, and its background processes end with the "
            f"call. It is stopped after {self.timeout.total_seconds():g} s "
            f"unless timeout_seconds says otherwise."
        )
        if self.allowed_commands is not None:
            description += f" Allowed commands: {', '.join(sorted(self.allowed_commands))}."
        if self.blocked_commands:
            description += f" Blocked commands: {', '.join(sorted(self.blocked_commands))}."
        return ToolSpec(
            name="shell",
            description=f"{description} {self.guidelines}".strip(),
            parameters=arguments.schema(ShellArguments),
        )

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        asked = arguments.read(ShellArguments, arguments_)
        return reader.started(self._argv(asked), folder=asked.working_directory, configured=self.working_directory)

    def _argv(self, asked: ShellArguments) -> list[str]:
        return [*self.shell, asked.command]

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        try:
            asked = arguments.read(ShellArguments, arguments_)
            timeout = bounded(
                asked.timeout_seconds,
                default=self.timeout,
                longest=context.at_most(LONGEST_TIMEOUT),
            )
        except arguments.WrongArguments as error:
            return arguments.failed(str(error))
        if "\0" in asked.command:
            return arguments.failed("The command holds a NUL character.")
        if too_long := _too_long(self._argv(asked)):
            return arguments.failed(
                f"The command is longer than {too_long}, which the system does not take; nothing was run. Write the "
                "long part to a file first."
            )
        if (refused := self._refused(asked.command)) is not None:
            return arguments.failed(refused)
        return await run_and_report(
            self._argv(asked),
            context,
            timeout=timeout,
            asked_folder=asked.working_directory,
            configured_folder=self.working_directory,
        )

    def details(self, arguments_: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The shell, and the folder, where the skill's configuration names its own."""
        found = []
        if self.shell != default_shell():
            found.append(("runs with", shlex.join(self.shell)))
        if self.working_directory and not arguments_.get("working_directory"):
            found.append(("configured folder", self.working_directory))
        return found

    def _refused(self, command: str) -> str | None:
        if self.allowed_commands is None and not self.blocked_commands:
            return None
        language: Language = "powershell" if is_powershell((*self.shell, command)) else "posix"
        for name in command_names(command, language=language):
            if name in self.blocked_commands:
                return f"The command {name!r} is blocked by the skill's configuration."
            if self.allowed_commands is not None and name not in self.allowed_commands:
                allowed = ", ".join(sorted(self.allowed_commands))
                return f"The command {name!r} is not among those that the skill allows: {allowed}."
        return None


def make(configuration: Configuration) -> dict[str, Tool]:
    allowed = configuration.names("allowed_commands")
    return {
        "shell": ShellTool(
            timeout=configuration.seconds("timeout", default=DEFAULT_TIMEOUT, longest=LONGEST_TIMEOUT),
            allowed_commands=None if allowed is None else frozenset(allowed),
            blocked_commands=frozenset(configuration.names("blocked_commands") or ()),
            working_directory=configuration.folder("working_directory"),
            shell=_shell(configuration),
            guidelines=" ".join(
                filter(None, (configuration.text("usage_guidelines"), configuration.text("environment_context")))
            ),
        )
    }


def _shell(configuration: Configuration) -> tuple[str, ...]:
    """The configured one where rules can read what it is given, so that nothing runs but the line that was decided
    about; else the default.
    """
    binary = configuration.text("shell_binary")
    if not binary:
        configuration.not_honoured("shell_args", "they need a shell_binary")
        return default_shell()
    name = PurePath(binary).stem.lower() if os.name == "nt" else PurePath(binary).name
    folder = f"{PurePath(binary).parent}/"
    options = configuration.names("shell_args") or (("-c",) if name not in POWERSHELLS else ("-Command",))
    if folder in _SYSTEM_FOLDERS and (
        (name in _SHELLS and _LINE_OPTION.fullmatch(options[-1]) and all(one in _OPTIONS for one in options[:-1]))
        or (name in POWERSHELLS and [one.lower() for one in options] in _POWERSHELL_OPTIONS)
    ):
        return (binary, *options)
    configuration.unknown.append(
        f"The shell {' '.join((binary, *options))[:100]!r} of a skill is none whose lines this worker can read; "
        f"{default_shell()[0]} is used."
    )
    return default_shell()


def default_shell() -> tuple[str, ...]:
    """Bash where it is, else sh; PowerShell on Windows."""
    if os.name == "nt":
        return default_powershell()
    return (shutil.which("bash") or "/bin/sh", "-c")


def _too_long(argv: Sequence[str], *, platform: str = sys.platform) -> str:
    """What the system takes at most, where this is more; else empty."""
    if platform == "win32":
        line = subprocess.list2cmdline(framed(argv))
        longest = LONGEST_LINE_OF_WINDOWS
        return f"{longest} characters" if len(line.encode("utf-16-le", "surrogatepass")) > 2 * longest else ""
    return f"{LONGEST_COMMAND_BYTES} bytes" if len(argv[-1].encode()) > LONGEST_COMMAND_BYTES else ""


def bounded(seconds: float | None, *, default: timedelta, longest: timedelta) -> timedelta:
    """A wished time limit, kept within bounds.

    Raises:
        WrongArguments: it is not more than 0.

    """
    if seconds is None:
        return default
    if not seconds > 0:
        raise arguments.WrongArguments(f"timeout_seconds is {seconds:g}; it must be more than 0.")
    return min(timedelta(seconds=min(seconds, 1e6)), longest)
