"""The files that executions left in their workspaces on this machine, as the window lists and saves them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

from worker_core.basics.plain import plain
from worker_core.basics.windows_names import is_name_of_windows
from worker_core.workspaces import artefacts
from worker_core.workspaces.artefacts import LeftFiles
from worker_core.workspaces.workspace import Artefact, Workspace

_NOT_IN_NAMES: Final = re.compile(r'[<>:"/\\|?*\n\t]')
"""What some system takes in no name, or takes for something else."""

_LONGEST: Final = 120


class FilesLeft:
    """Nothing is looked for before somebody asks."""

    def __init__(self, *, workspaces: Path) -> None:
        self._workspaces = workspaces

    def has_place(self, execution_id: str) -> bool:
        """Whether an execution has a workspace here."""
        return Workspace.find(self._workspaces, execution_id) is not None

    async def of(self, execution_id: str) -> LeftFiles:
        """What it left. Raises ArtefactError."""
        return await asyncio.to_thread(artefacts.left_in, self._workspaces, execution_id)

    async def save(self, left: LeftFiles, file: Artefact, *, to: Path) -> None:
        """Copy one to where the person chose, over what is there. Raises ArtefactError."""
        await asyncio.to_thread(artefacts.save, left, file, to=to)


def name_for(path: str) -> str:
    """What a file is called where it is saved, unless the person calls it otherwise: an agent chose the path."""
    name = _NOT_IN_NAMES.sub("_", plain(path.rpartition("/")[2])).strip(" .")
    stem, dot, ending = name.rpartition(".")
    if len(name) > _LONGEST:
        name = f"{(stem or ending)[:100]}{dot}{ending[:19]}" if dot else name[:_LONGEST]
    return name if name and is_name_of_windows(name) else f"file_{name}".rstrip("_")
