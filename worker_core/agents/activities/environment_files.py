"""The files that an agent's environment brings (protocol, section 8.9), written into the execution's workspace."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from worker_core.control_plane.models import ResolvedFile
from worker_core.errors import KubiyaError
from worker_core.workspaces import anchored
from worker_core.workspaces.anchored import parts_of
from worker_core.workspaces.workspace import OWN_FOLDER, Workspace

log = logging.getLogger(__name__)

LARGEST_BYTES = 20 * 1024 * 1024
"""Of all files of one environment together."""

DEFAULT_MODE = 0o600
_EXCLUDE = ".git/info/exclude"
_SPECIAL = re.compile(rb"[\\*?\[\]!# ]")
_ENDS_A_LINE = re.compile(rb"[\r\n]")


def write_environment_files(root: Path, execution_id: str, files: Iterable[ResolvedFile]) -> tuple[str, ...]:
    """Write them; a file that is there is replaced. Returns a sentence for each that could not be written.

    Args:
        root: where all workspaces are.
        execution_id: whose workspace.
        files: paths are relative to the workspace; `mode` is octal text such as `0644`, 0600 where it is none.
    """
    unwritten: list[str] = []
    written: list[str] = []
    room = LARGEST_BYTES
    try:
        workspace = Workspace.open(root, execution_id)
    except OSError as error:
        return (f"The workspace cannot be made ({error.strerror or error}); the environment's files are missing.",)
    for file in files:
        content = file.content.encode("utf-8", "replace")
        room -= len(content)
        if room < 0:
            unwritten.append("The files of the environment take more than 20 MB; the rest of them was not written.")
            break
        try:
            if _is_own(parts_of(file.path)[0]):
                raise KubiyaError(f"The folder {OWN_FOLDER} is the worker's own.")
            workspace.write(file.path, [content], mode=_mode(file.mode))
            written.append(file.path)
        except KubiyaError as error:
            unwritten.append(f"A file of the environment was not written: {error.sentence}")
        except OSError as error:
            unwritten.append(
                f"The file {file.path[:200]!r} of the environment cannot be written: {error.strerror or error}."
            )
    try:
        _leave_out_of_git(workspace, written)
    except (KubiyaError, OSError) as error:
        why = error.sentence if isinstance(error, KubiyaError) else f"{error.strerror or error}."
        unwritten.append(f"The files of the environment stand among the changes of its working copy: {why}")
    return tuple(unwritten)


def _leave_out_of_git(workspace: Workspace, paths: Collection[str]) -> None:
    """Where the workspace is a working copy, what the environment brings is no change of it: it may be a secret."""
    if not paths or not (workspace.path / ".git" / "info").is_dir():
        return
    known = anchored.read_bounded(workspace.path, _EXCLUDE, limit_bytes=LARGEST_BYTES)
    there = set(known.split(b"\n"))
    lines = [line for line in dict.fromkeys(map(_ignored, paths)) if line not in there]
    if lines:
        before = b"" if not known or known.endswith(b"\n") else b"\n"
        added = before + b"".join(line + b"\n" for line in lines)
        anchored.append(workspace.path, _EXCLUDE, added)  # others of a team do the same beside it


def _ignored(path: str) -> bytes:
    """The line by which git ignores this file alone. `?` stands for what would end it."""
    name = os.fsencode("/".join(parts_of(path)))
    return b"/" + _ENDS_A_LINE.sub(b"?", _SPECIAL.sub(rb"\\\g<0>", name))


def _is_own(part: str) -> bool:
    """Whether the worker's own folder has this name: macOS and Windows know no capitals, Windows no dots at the end."""
    return part.rstrip(". ").casefold() == OWN_FOLDER


def _mode(text: str) -> int:
    """Owner's rights always with it: the agent is to read it."""
    try:
        return int(text, 8) & 0o777 | 0o600
    except ValueError:
        return DEFAULT_MODE
