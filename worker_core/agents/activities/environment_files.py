"""The files that an agent's environment brings (protocol, section 8.9), written into the execution's workspace."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from worker_core.control_plane.models import ResolvedFile
from worker_core.errors import KubiyaError
from worker_core.workspaces.anchored import parts_of
from worker_core.workspaces.workspace import OWN_FOLDER, Workspace

log = logging.getLogger(__name__)

LARGEST_BYTES = 20 * 1024 * 1024
"""Of all files of one environment together."""

DEFAULT_MODE = 0o600


def write_environment_files(root: Path, execution_id: str, files: Iterable[ResolvedFile]) -> tuple[str, ...]:
    """Write them; a file that is there is replaced. Returns a sentence for each that could not be written.

    Args:
        root: where all workspaces are.
        execution_id: whose workspace.
        files: paths are relative to the workspace; `mode` is octal text such as `0644`, 0600 where it is none.
    """
    unwritten: list[str] = []
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
        except KubiyaError as error:
            unwritten.append(f"A file of the environment was not written: {error.sentence}")
        except OSError as error:
            unwritten.append(
                f"The file {file.path[:200]!r} of the environment cannot be written: {error.strerror or error}."
            )
    return tuple(unwritten)


def _is_own(part: str) -> bool:
    """Whether the worker's own folder has this name: macOS and Windows know no capitals, Windows no dots at the end."""
    return part.rstrip(". ").casefold() == OWN_FOLDER


def _mode(text: str) -> int:
    """Owner's rights always with it: the agent is to read it."""
    try:
        return int(text, 8) & 0o777 | 0o600
    except ValueError:
        return DEFAULT_MODE
