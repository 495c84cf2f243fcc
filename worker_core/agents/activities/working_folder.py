"""The owner's folders that an execution may use, and the one that it asks to work in (`cwd` of its configuration)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from worker_core.agents.activities.participants import Cast
from worker_core.agents.activities.services import Services
from worker_core.agents.execution_input import ExecutionInput
from worker_core.agents.messages import Persona, RunTool
from worker_core.basics.plain import one_line
from worker_core.basics.quick_dataclass import dataclass
from worker_core.checkouts import granting
from worker_core.checkouts.granting import Given, given, start_in
from worker_core.checkouts.making import WorkingFolder, prepare
from worker_core.checkouts.record import CheckoutError, CheckoutRecords
from worker_core.sandbox.launcher import WORKSPACE_ALONE, GrantedFolder, Holds, WorkPlace
from worker_core.workspaces.workspace import safe_name


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingFolders:
    """What became of the owner's folders at the begin of an execution."""

    told: tuple[WorkingFolder, ...] = ()
    start: str = ""
    """Itself, in its own place: what it asked to work in. Empty: it works in its workspace."""

    ids: tuple[str, ...] = ()
    """Of its queue, and of its agent or team."""


async def working_folders(services: Services, execution: ExecutionInput, *, queue_id: str) -> WorkingFolders:
    """Before anything else comes into the workspace."""
    if not services.settings.folders and not _wanted(execution):  # nearly all: nothing to look at
        return WorkingFolders(ids=_ids(execution, queue_id))
    return await asyncio.to_thread(_working_folders, services, execution, queue_id)


async def with_folders(services: Services, execution_id: str, cast: Cast, folders: WorkingFolders) -> Cast:
    """Everybody is told where it works, and what it may use besides."""
    workspace = (services.workspaces / safe_name(execution_id)).resolve()

    def told(persona: Persona) -> Persona:
        granted_as = tuple(dict.fromkeys(filter(None, (*folders.ids[1:], persona.entity_id))))
        found = given(services.settings.folders, ids=(*folders.ids, *granted_as), reserved=services.reserved())
        notes = [one.note for one in folders.told if one.note]
        notes.append(_note(found.folders, start=folders.start, workspace=workspace))
        prompt = "\n\n".join(filter(None, (persona.system_prompt, *notes)))
        return replace(persona, system_prompt=prompt, folder=folders.start, granted_as=granted_as)

    if not services.settings.folders and not folders.told:
        return cast
    return await asyncio.to_thread(cast.each, told)


async def placed(services: Services, request: RunTool, *, queue_id: str) -> WorkPlace:
    """Where a call works, as the owner's settings and folders are now.

    Raises:
        CheckoutError: the folder that its execution works in is not given any more.
    """
    grants = services.settings.folders
    if request.mcp_server or not (grants or request.folder):
        return WORKSPACE_ALONE
    ids = (queue_id, request.entity_id, *request.granted_as)
    return await asyncio.to_thread(granting.placed, grants, ids=ids, reserved=services.reserved(), start=request.folder)


def _wanted(execution: ExecutionInput) -> str:
    cwd = execution.config.get("cwd")
    return cwd.strip() if isinstance(cwd, str) else ""


def _ids(execution: ExecutionInput, queue_id: str) -> tuple[str, ...]:
    return tuple(filter(None, (queue_id, execution.entity_id)))


def _working_folders(services: Services, execution: ExecutionInput, queue_id: str) -> WorkingFolders:
    wanted, ids = _wanted(execution), _ids(execution, queue_id)
    found = given(services.settings.folders, ids=ids, reserved=services.reserved())
    told = [WorkingFolder(sentence=sentence) for sentence in found.refused]
    start = ""
    if wanted:
        working, start = _asked(services, execution.execution_id, wanted, ids, found)
        told.append(working)
    told += [WorkingFolder(sentence=said) for said in (_weak(services, found),) if said]
    return WorkingFolders(told=tuple(told), start=start, ids=ids)


def _asked(
    services: Services, execution_id: str, wanted: str, ids: Sequence[str], found: Given
) -> tuple[WorkingFolder, str]:
    said = one_line(wanted, limit=200)
    try:
        start = start_in(wanted, found)
    except CheckoutError as error:
        return WorkingFolder(
            sentence=f"This execution asks to work in {said}: {error.sentence} It works in a workspace of its own."
        ), ""
    if start is not None:
        writable = any(one.writable and start.is_relative_to(one.path) for one in found.folders)
        how = "read and write" if writable else "read, but not write"
        return WorkingFolder(sentence=f"It works in {start} itself, which it may {how}.", is_honoured=True), str(start)
    copy = prepare(
        wanted,
        execution_id=execution_id,
        ids=ids,
        grants=found.copies,
        records=CheckoutRecords(services.checkouts),
        workspaces=services.workspaces,
    )
    return copy, ""


def _note(folders: Sequence[GrantedFolder], *, start: str, workspace: Path) -> str:
    """For the model; empty: it has none."""
    if not folders:
        return ""
    listed = "; ".join(f"{one.path} ({'read and write' if one.writable else 'read only'})" for one in folders)
    note = f"Besides your workspace you may use these folders of the machine's owner, by their whole paths: {listed}."
    if not start:
        return note
    return (
        f"{note} You work in {start}: relative paths and commands begin there, and what you change there is changed "
        f"for the owner at once. What is only yours goes into your workspace, {workspace}."
    )


def _weak(services: Services, found: Given) -> str:
    """What a sandbox would hold and this machine's does not, as far as it is known by now."""
    enforces = services.launcher.enforces
    if Holds.FILES in enforces or not enforces or all(one.writable for one in found.folders):
        return ""
    return (
        "Folders that its tools may only read are not kept from being written by commands: there is no sandbox here "
        "that holds files (`kubiya-worker doctor` says why)."
    )
