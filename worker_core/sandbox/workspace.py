"""One private folder per execution; what a tool may name in it never leads out of it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from worker_core.errors import KubiyaError
from worker_core.paths import private_directory

_PLAIN_ID = re.compile(r"(?!(?:con|prn|aux|nul|com\d|lpt\d)\Z)[a-z0-9_-]{1,64}")
"""No capitals: macOS and Windows would give `A` and `a` one folder. Not the devices of Windows either."""

OUTPUTS = Path(".kubiya") / "outputs"


class OutsideWorkspace(KubiyaError):
    """A path leads out of the workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A folder that belongs to one execution."""

    path: Path
    existed_before: bool

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
        existed = path.is_dir()
        return cls(path=private_directory(path).resolve(), existed_before=existed)

    def resolve(self, relative: str) -> Path:
        """The path inside the workspace, links followed.

        Raises:
            OutsideWorkspace: it leads out.

        """
        try:
            found = (self.path / relative).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
            raise OutsideWorkspace(f"The path {_short(relative)} cannot be used: {error}.") from error
        if not found.is_relative_to(self.path):
            raise OutsideWorkspace(f"The path {_short(relative)} leads out of the workspace; use one inside it.")
        return found

    def make_folder(self, relative: str) -> Path:
        """A folder inside the workspace, made where it is missing.

        Raises:
            OSError: it cannot be made.
            OutsideWorkspace: it leads out.

        """
        folder = self.resolve(relative)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def save_output(self, call_id: str, pieces: Iterable[bytes]) -> str:
        """Keep the whole output of a call. Returns its path relative to the workspace.

        Raises:
            OSError: it cannot be written.
            OutsideWorkspace: the agent replaced the folder by a link that leads out.

        """
        relative = OUTPUTS / f"{safe_name(call_id)}.txt"
        folder = self.make_folder(str(OUTPUTS))
        target = folder / relative.name
        target.unlink(missing_ok=True)  # never write through a link that stands there
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
        return relative.as_posix()


def _short(path: str) -> str:
    return repr(path if len(path) <= 200 else f"{path[:200]}...")


def safe_name(identifier: str) -> str:
    """A file name for an id that comes from outside."""
    if _PLAIN_ID.fullmatch(identifier):
        return identifier
    return f"x{hashlib.sha256(identifier.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"
