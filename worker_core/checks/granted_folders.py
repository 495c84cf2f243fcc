"""What agents get of the folders that the settings grant, as a worker would decide it with its next call."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.checkouts.granting import FolderFinding, findings
from worker_core.checkouts.reserved import reserved_by
from worker_core.checks.check import Check, ok, warn
from worker_core.paths import Paths
from worker_core.policy.decision import policy_file
from worker_core.policy.patterns import slashed
from worker_core.policy.rules import Action, Policy
from worker_core.policy.subjects import Reader, subjects_of
from worker_core.sandbox.choice import choose
from worker_core.sandbox.launcher import GrantedFolder, Holds, WorkPlace
from worker_core.sandbox.mounts import listening_sockets
from worker_core.settings import Settings

NAME: Final = "folders"
_MEANT: Final = {
    "read-only": "agents may read it",
    "read-write": "agents may read and write it",
    "worktree": "executions may ask to work in a copy of it",
}


async def granted_folders(paths: Paths, settings: Settings) -> list[Check]:
    """One finding for each folder of the settings, in their order."""
    if not settings.folders:
        return [ok(NAME, "None of yours is granted: agents work in workspaces of their own.")]
    return await asyncio.to_thread(_granted_folders, paths, settings)


def _granted_folders(paths: Paths, settings: Settings) -> list[Check]:
    with tempfile.TemporaryDirectory(prefix="kubiya-doctor-") as folder:  # it changes nothing, not even the state
        choice = choose(settings, replace(paths, runtime=Path(folder)))
        choice.close()
    machine = _Machine(
        policy=policy_file(paths).current(),
        workspace=paths.workspaces / "example",
        enforces=frozenset(choice.view.enforces),
        refused_sockets=tuple(listening_sockets()) if choice.view.name == "bubblewrap" else (),
    )
    found = findings(settings.folders, among=settings.folders, reserved=reserved_by(settings, paths))
    return [_check(one, machine) for one in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    policy: Policy
    workspace: Path
    enforces: frozenset[str]
    refused_sockets: tuple[Path, ...]


def _check(found: FolderFinding, machine: _Machine) -> Check:
    grant = found.grant
    real = found.leads_to or grant.path
    exists = found.leads_to is not None and os.path.isdir(real)  # noqa: PTH112 -- Path's raises where it may not look
    readable = exists and os.access(real, os.R_OK | os.X_OK)
    writable = exists and os.access(real, os.W_OK)
    wrong, repair = _wrong(found, machine, exists=exists, readable=readable, writable=writable)
    for_whom = f", for {', '.join(grant.only_for)} alone" if grant.only_for else ""
    leads = f", which leads to {real}" if real != grant.path and found.leads_to else ""
    given = "" if found.refused or not exists else "read-only" if found.narrowed else grant.mode
    facts: Mapping[str, Any] = {
        "path": str(grant.path),
        "leads_to": str(real) if found.leads_to else None,
        "mode": grant.mode,
        "only_for": list(grant.only_for),
        "exists": exists,
        "readable": readable,
        "writable": writable,
        "given": given or None,
    }
    said = f"{grant.path}{leads} ({grant.mode}{for_whom})"
    if wrong:
        return replace(warn(NAME, f"{said} {wrong}", repair), facts=facts)
    return replace(ok(NAME, f"{said} is there, and {_MEANT[grant.mode]}."), facts=facts)


def _wrong(found: FolderFinding, machine: _Machine, *, exists: bool, readable: bool, writable: bool) -> tuple[str, str]:
    """What keeps agents from what was granted, behind its path, and what to do; empty: nothing does."""
    grant = found.grant
    if found.leads_to is not None and not exists:
        how = "is no folder" if os.path.lexists(found.leads_to) else "is not there"
        return f"{how}, so no execution gets it.", "Make it, or correct `folders`."
    if found.refused:
        return f"is not given: {found.refused}", "Grant another folder, or take the line out of `folders`."
    if not readable:
        return "cannot be read by the worker's user, nor by its tools.", f"Repair the rights of {grant.path}."
    if found.narrowed:
        return (
            f"may only be read: {found.narrowed}",
            f'Say `"{grant.path}" = "worktree"` for a copy of it, or `"read-only"`.',
        )
    if grant.mode == "worktree":
        if shutil.which("git") is None:
            return "is there, but no git is here to make a copy with.", "Install git."
        return "", ""
    if denied := _denied(found, machine):
        return (
            f"is there, but the policy denies what is in it: {denied}.",
            "Take the rule back, or the folder out of `folders`.",
        )
    if found.writable and not writable:
        return "can be read, but not be written by the worker's user.", f"Repair the rights of {grant.path}."
    if listening := next((one for one in machine.refused_sockets if one.is_relative_to(found.leads_to or "/")), None):
        return (
            f"is there, but a program listens in it, at {listening}: no command starts that would see it.",
            "End that program, or let it listen elsewhere.",
        )
    if not found.writable and Holds.FILES not in machine.enforces:
        return (
            "is there, and file tools only read it; commands ask, since no sandbox keeps them from writing it.",
            "See the check sandbox.",
        )
    return "", ""


def _denied(found: FolderFinding, machine: _Machine) -> str:
    """The rule that keeps even file tools from it; empty: none does."""
    folder = found.leads_to or found.grant.path
    place = WorkPlace(folders=(GrantedFolder(path=folder, writable=found.writable),))
    for path in (folder, folder / "file"):
        reader = Reader(machine.workspace, place=place)
        decision = machine.policy.decide(
            subjects_of("read_file", reader.file(str(path))),
            tool="read_file",
            workspace=slashed(str(machine.workspace)),
        )
        if decision.action is Action.DENY:
            return decision.sentence
    return ""
