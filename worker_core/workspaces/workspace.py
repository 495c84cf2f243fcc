"""One private folder per execution; what a tool may name in it never leads out of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.basics.windows_names import as_people_write_it, at_any_length, is_name_of_windows
from worker_core.paths import private_directory
from worker_core.workspaces import anchored
from worker_core.workspaces.anchored import OutsideWorkspace as OutsideWorkspace
from worker_core.workspaces.anchored import short

_PLAIN_ID = re.compile(r"(?!(?:con|prn|aux|nul|com\d|lpt\d)\Z)[a-z0-9_-]{1,64}")
"""No capitals: macOS and Windows would give `A` and `a` one folder. Not the devices of Windows either."""

OWN_FOLDER = ".kubiya"
"""What the worker keeps in a workspace for the agent: whole outputs and the transcript. No artefacts."""

OUTPUTS = f"{OWN_FOLDER}/outputs"
MOST_ARTEFACTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A file that an execution left in its workspace."""

    path: str
    """Relative to the workspace, with forward slashes."""

    size_bytes: int
    modified_at: datetime

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "size_bytes": self.size_bytes, "modified_at": self.modified_at.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A folder that belongs to one execution."""

    path: Path

    @classmethod
    def open(cls, root: Path, execution_id: str) -> Workspace:
        """Create the folder (mode 0700) or find it.

        Args:
            root: where all workspaces are.
            execution_id: as the server gave it; anything but small letters, digits, `_` and `-` is hashed.

        Raises:
            OSError: the folder cannot be made.

        """
        path = root / safe_name(execution_id)
        private_directory(path)
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise NotADirectoryError(f"The workspace {path} is a link; remove it.")
        with contextlib.suppress(OSError):
            os.utime(path)  # the sweep counts from the last use
        return cls(path=path.resolve())

    @classmethod
    def find(cls, root: Path, execution_id: str) -> Workspace | None:
        """The folder of an execution where this machine has it; nothing is made or touched."""
        path = root / safe_name(execution_id)
        if path.is_symlink() or not path.is_dir():
            return None
        return cls(path=path.resolve())

    def resolve(self, relative: str) -> Path:
        """The path inside the workspace, links followed.

        Raises:
            OutsideWorkspace: it leads out.

        """
        try:
            # Without that form, what lies beyond 260 characters would be taken as it stands, links and all.
            found = Path(as_people_write_it(str(Path(at_any_length(str(self.path / relative))).resolve())))
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
            raise OutsideWorkspace(
                worded("The path {path} cannot be used: {why}.", path=short(relative), why=str(error))
            ) from error
        if not found.is_relative_to(self.path):
            raise OutsideWorkspace(
                worded("The path {path} leads out of the workspace; use one inside it.", path=short(relative))
            )
        if os.name == "nt" and not is_name_of_windows(str(found.relative_to(self.path))):
            raise OutsideWorkspace(
                worded(
                    "The path {path} holds a name that Windows keeps for itself; use another one.", path=short(relative)
                )
            )
        return found

    def make_folder(self, relative: str) -> Path:
        """A folder inside the workspace, made where it is missing.

        Raises:
            OSError: it cannot be made.
            OutsideWorkspace: it leads out.

        """
        folder = self.resolve(relative)
        Path(at_any_length(str(folder))).mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def write(self, relative: str, pieces: Iterable[bytes], *, mode: int = 0o600) -> str:
        """Write a file, whole or not at all, through no link. Returns its path relative to the workspace.

        Raises:
            OSError: it cannot be written.
            OutsideWorkspace: the path leads out, or passes through a link.

        """
        return anchored.write(self.path, relative, pieces, mode=mode)

    def save_output(self, call_id: str, pieces: Iterable[bytes]) -> str:
        """Keep the whole output of a call. Returns its path relative to the workspace.

        Raises:
            OSError: it cannot be written.
            OutsideWorkspace: the agent replaced the folder by a link.

        """
        return self.write(f"{OUTPUTS}/{safe_name(call_id)}.txt", pieces)

    def artefacts(self, *, limit: int = MOST_ARTEFACTS) -> tuple[Artefact, ...]:
        """The files in it, links left out, and what the worker itself and git keep there; `limit` of them at most."""
        found = anchored.files(self.path, skip=frozenset({OWN_FOLDER, ".git"}))
        return tuple(
            Artefact(
                path=path, size_bytes=facts.st_size, modified_at=datetime.fromtimestamp(int(facts.st_mtime), tz=UTC)
            )
            for path, facts in islice(found, limit)
        )


def safe_name(identifier: str) -> str:
    """A file name for an id that comes from outside."""
    if _PLAIN_ID.fullmatch(identifier):
        return identifier
    return f"x{hashlib.sha256(identifier.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"
