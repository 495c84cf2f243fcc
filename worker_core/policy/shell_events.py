"""What a command line consists of: simple commands, and the brackets around them, in the order of the line."""

from __future__ import annotations

from dataclasses import field
from typing import Final, Literal

from worker_core.basics.quick_dataclass import dataclass
from worker_core.policy.words import Word

Follows = Literal["", "&&", "||"]
"""Whether a command runs only after the one before succeeded, or failed."""

Language = Literal["posix", "powershell", "native"]
"""Of a shell: how it reads its lines. `native`: a shell of the system, whichever; on Windows a backslash stands between
folders there, where a POSIX shell, which Windows may have as well, takes it for a quotation mark."""

INPUT: Final = frozenset({"<", "<>", "<&", "<<", "<<-", "<<<"})
"""Operators of redirections that give something to read."""


@dataclass(slots=True)
class Redirection:
    """`target` is a file, or the text of a here-string; `body` the text of a here-document."""

    operator: str
    target: Word
    descriptor: str = ""
    """Which of its files is meant, where it stands in front of the operator."""

    body: str | None = None
    is_computed: bool = False
    """Of a here-document: the shell puts something into it."""

    @property
    def is_input(self) -> bool:
        """It is what the command reads."""
        return self.operator in INPUT and self.descriptor in {"", "0"}


@dataclass(slots=True)
class Simple:
    """A simple command, or only assignments and redirections."""

    words: tuple[Word, ...] = ()
    assignments: list[Word] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)
    follows: Follows = ""
    apart: bool = False
    """It runs in a shell of its own, as the parts of a pipeline do."""

    fed: bool = False
    """It reads what a pipe brings."""

    around: bool = False
    """What stands around it is given something to read, which may be left to it."""

    source: Simple | None = None
    """The simple command that the pipe comes from; None where that is more than one."""


@dataclass(slots=True)
class Open:
    """What follows, up to its `Close`, runs together."""

    apart: bool
    """In a shell of its own."""

    sure: bool
    """It runs once and for certain; else perhaps, or several times."""

    follows: Follows = ""
    fed: bool = False
    """It is given something to read: by a pipe, a redirection behind it, or whoever calls the function."""


@dataclass(frozen=True, slots=True)
class Close:
    pass


@dataclass(frozen=True, slots=True)
class Data:
    """Words that are neither a command nor an argument: the lists of `for` and `case`."""

    words: tuple[Word, ...]


Event = Simple | Open | Close | Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    events: tuple[Event, ...]
    whole: bool
    """False where a quote or bracket is not closed."""

    too_much: bool
    """It holds more commands, or deeper ones, than are looked at; some are missing here."""

    defines: bool
    """It gives names another meaning: variables, functions."""

    @property
    def commands(self) -> tuple[Simple, ...]:
        return tuple(one for one in self.events if isinstance(one, Simple) and one.words)
