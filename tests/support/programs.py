"""Search paths for programs: the machine's own, less what a test needs to be absent."""

from __future__ import annotations

import os
from pathlib import Path


def path_without(*names: str, folder: Path) -> str:
    """A PATH that has this machine's programs, save those named. It is made of links in `folder`, which is made."""
    folder.mkdir()
    for place in os.get_exec_path():
        if Path(place).is_dir():
            for program in os.scandir(place):
                link = folder / program.name
                if program.name not in names and not link.is_symlink():
                    link.symlink_to(program.path)
    return str(folder)
