"""The seam where an operating-system sandbox fits: it rewrites the command that starts a tool process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A process to start. Never a shell string."""

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]


class Launcher(Protocol):
    """Wraps a command in whatever isolation is active, and says what it enforces."""

    @property
    def enforces(self) -> frozenset[str]:
        """What holds for every process started through it, e.g. `{"process-group"}`."""
        ...

    def wrap(self, command: Command, *, workspace: Path) -> Command: ...


@dataclass(frozen=True, slots=True)
class DirectLauncher:
    """No sandbox: only what the process runner itself gives (own process group, scrubbed environment)."""

    @property
    def enforces(self) -> frozenset[str]:
        return frozenset({"process-group", "environment"})

    def wrap(self, command: Command, *, workspace: Path) -> Command:  # noqa: ARG002
        return command
