"""What would become of a call, as a worker with these settings would decide. Nothing is run, asked or recorded."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from worker_core.basics.quick_dataclass import dataclass
from worker_core.checkouts.granted import Granted, granted_to
from worker_core.paths import Paths
from worker_core.policy.patterns import slashed
from worker_core.policy.rules import Decision, Policy
from worker_core.policy.subjects import OwnPlaces, Reader, subjects_of
from worker_core.sandbox.choice import choose
from worker_core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedCall:
    """A call that nobody makes. At least one of the first four."""

    line: str = ""
    """A command."""

    path: str = ""
    host: str = ""
    """With a port, or a whole URL."""

    tool: str = ""
    """Its name; empty: the usual one for what the call names (`usual_tool`)."""

    ids: tuple[str, ...] = ()
    """The execution's queue, agent or team; none: the queue of the settings, where there is one alone."""

    cwd: str = ""
    """The granted folder that the execution works in; empty: its workspace."""

    workspace: Path | None = None
    """Absolute; None: an empty example."""

    @property
    def tool_name(self) -> str:
        return self.tool or usual_tool(line=self.line, path=self.path, host=self.host)

    @property
    def arguments(self) -> dict[str, Any]:
        """As a model would give them."""
        found = {"command": self.line, "path": self.path, "url": _url(self.host) if self.host else ""}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was decided, and what its execution would get of the owner's folders."""

    decision: Decision
    granted: Granted
    touched: tuple[str, ...] = ()
    """Paths that the call names."""

    @property
    def notes(self) -> list[str]:
        """What an owner may wonder at, as sentences."""
        return self.granted.notes(self.touched)

    @property
    def is_for_others(self) -> bool:
        """Somebody else's call might be decided otherwise: a folder is granted to others alone."""
        return self.granted.is_for_others(self.touched)


def usual_tool(*, line: str, path: str, host: str) -> str:
    """The tool that is tried where none is named."""
    return "shell" if line else "read_file" if path else "web_fetch" if host else ""


def enforced(settings: Settings, paths: Paths) -> Collection[str]:
    """What the sandbox of these settings would enforce, as `SandboxView.enforces`. It takes a program's start."""
    sandbox = choose(settings, paths)
    sandbox.close()
    return sandbox.view.enforces


def try_call(call: TriedCall, *, policy: Policy, settings: Settings, paths: Paths, enforces: Collection[str]) -> Trial:
    """Decide about a call. Blocks: paths are looked at.

    Args:
        call: what is to be decided about.
        policy: the rules.
        settings: of this machine.
        paths: of this installation.
        enforces: of the sandbox (`enforced`).

    Raises:
        ConfigurationError: no execution could work in `cwd`.
        OSError: a path cannot be looked at.
    """
    name = call.tool_name
    folder = call.workspace or (paths.workspaces / "example").resolve()
    granted = granted_to(call.ids, settings=settings, paths=paths, cwd=call.cwd, tool=name)
    reader = Reader(folder, own=OwnPlaces.held(enforces), place=granted.place)
    subjects = subjects_of(name, reader.arguments(call.arguments, is_started=bool(call.line)))
    decision = policy.decide(subjects, tool=name, workspace=slashed(str(folder)))
    return Trial(decision=decision, granted=granted, touched=tuple(one.text for one in subjects if one.kind == "path"))


def _url(host: str) -> str:
    if "://" in host:
        return host
    return f"https://{host if host.count(':') < 2 else f'[{host}]'}/"
