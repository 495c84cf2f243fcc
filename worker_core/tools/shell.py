"""`shell`: one command line, in the execution's workspace."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePath
from typing import Annotated, Any

import msgspec

from worker_core.tools import arguments
from worker_core.tools.base import ToolContext, ToolResult, ToolSpec
from worker_core.tools.report import run_and_report

DEFAULT_TIMEOUT = timedelta(seconds=30)
LONGEST_TIMEOUT = timedelta(seconds=600)


class ShellArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    command: Annotated[str, msgspec.Meta(description="The command line to run.", min_length=1)]
    timeout_seconds: Annotated[
        float | None, msgspec.Meta(description="Stop it after so many seconds; 30 by default, 600 at most.")
    ] = None
    working_directory: Annotated[
        str, msgspec.Meta(description="Folder inside the workspace; the workspace itself by default.")
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellTool:
    """Runs a command line through the system's shell.

    `allowed_commands` and `blocked_commands` are a guard rail, not a wall: the command line is split at the shell's
    separators and the first word of each part is looked up. What a permitted program starts is not seen.
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
            "Run a shell command in the workspace and read its output (standard output and error together). "
            "Its processes end with the call."
        )
        if self.allowed_commands is not None:
            description += f" Allowed commands: {', '.join(sorted(self.allowed_commands))}."
        return ToolSpec(
            name="shell",
            description=f"{description} {self.guidelines}".strip(),
            parameters=arguments.schema(ShellArguments),
        )

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        try:
            asked = arguments.read(ShellArguments, arguments_)
            timeout = bounded(asked.timeout_seconds, default=self.timeout, longest=LONGEST_TIMEOUT)
        except arguments.WrongArguments as error:
            return arguments.failed(str(error))
        if "\0" in asked.command:
            return arguments.failed("The command holds a NUL character.")
        if (refused := self._refused(asked.command)) is not None:
            return arguments.failed(refused)
        return await run_and_report(
            [*self.shell, asked.command],
            context,
            timeout=timeout,
            working_directory=asked.working_directory or self.working_directory,
        )

    def _refused(self, command: str) -> str | None:
        for name in command_names(command):
            if name in self.blocked_commands:
                return f"The command {name!r} is blocked by the skill's configuration."
            if self.allowed_commands is not None and name not in self.allowed_commands:
                allowed = ", ".join(sorted(self.allowed_commands))
                return f"The command {name!r} is not among those that the skill allows: {allowed}."
        return None


def default_shell() -> tuple[str, ...]:
    """Bash where it is, else sh; PowerShell on Windows."""
    if os.name == "nt":
        return ("powershell.exe", "-NoProfile", "-NonInteractive", "-Command")
    return (shutil.which("bash") or "/bin/sh", "-c")


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


_SEPARATORS = re.compile(r"\|\||&&|[|;&\n(){}`]|\$\(")
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\$`])*\"")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=\S*\Z")
_KEYWORDS = frozenset({"if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "!"})
_RUNNERS = frozenset({"env", "command", "exec", "nohup", "time", "builtin"})


def command_names(command: str) -> list[str]:
    """The programs that a command line names, as well as this can be told without being the shell."""
    # Quoted separators do not separate; a quoted command name loses its quotes.
    flat = _QUOTED.sub(lambda match: re.sub(r"[\s|;&(){}`]", "_", match[0][1:-1]), command)
    names = []
    for part in _SEPARATORS.split(flat):
        for word in part.split():
            if word in _KEYWORDS or word in _RUNNERS or _ASSIGNMENT.match(word) or word.startswith(("-", "<", ">")):
                continue
            names.append(PurePath(word).name)
            break
    return names
