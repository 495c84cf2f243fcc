"""A folder of one call's own, for its home and what is temporary: where its mechanism has no `/tmp` for it alone."""

from __future__ import annotations

import contextlib
import tempfile
import weakref
from pathlib import Path

from worker_core.workspaces import anchored


class Scratch:
    """Made with the call, and removed when nothing of it lives any more, or when it is never started.

    Args:
        parent: a private folder.

    Raises:
        OSError: it cannot be made.

    """

    def __init__(self, parent: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="call-", dir=parent))
        self.home.mkdir()
        self.tmp.mkdir()
        self.remove = weakref.finalize(self, _remove, self.folder)
        """May be called again."""

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def tmp(self) -> Path:
        return self.folder / "tmp"


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):  # nearly always nothing is left in it
        for path in (folder / "home", folder / "tmp", folder):
            path.rmdir()
        return
    with contextlib.suppress(OSError):  # what cannot be removed goes with the folder above it
        anchored.remove(folder.parent, folder.name)
