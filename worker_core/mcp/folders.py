"""A folder for each configuration of a server: what it fetches and remembers is there when it is started again.

It is the home of that server alone: no tool sees it, and no other server. Two servers share one where their
configurations are the same to the letter, secrets included.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from worker_core.basics.clocks import last_used
from worker_core.basics.quick_dataclass import dataclass
from worker_core.paths import private_directory
from worker_core.workspaces import anchored

if TYPE_CHECKING:
    from worker_core.mcp.configuration import ServerConfig

log = logging.getLogger(__name__)

KEPT: Final = timedelta(days=30)
"""After the last start."""

_READY: Final = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFolder:
    """Of one configuration. It need not be there yet."""

    path: Path
    """The worker's own; what the server may write is below."""

    @property
    def home(self) -> Path:
        return self.path / "home"

    @property
    def is_ready(self) -> bool:
        """It has answered once: what it needs is here."""
        return (self.path / _READY).exists()

    def use(self) -> Path:
        """Make it, or find it; it is swept some time after this. Its home.

        Raises:
            OSError: it cannot be made.
        """
        private_directory(self.home)
        os.utime(self.path)
        return self.home

    def discard(self) -> None:
        """It is too full to be used, and begins anew."""
        try:
            anchored.remove(self.path.parent, self.path.name)
        except OSError as error:
            log.warning("The folder %s of an MCP server cannot be removed: %s.", self.path, error.strerror or error)

    def mark(self, *, ready: bool) -> None:
        """Write down whether the next start finds what it needs."""
        with contextlib.suppress(OSError):
            (self.path / _READY).touch() if ready else (self.path / _READY).unlink()


class ServerFolders:
    """Those of one machine. Several workers may share them.

    Args:
        root: where they are.
        kept: after the last start.
    """

    def __init__(self, root: Path, *, kept: timedelta = KEPT) -> None:
        self._root = root
        self._kept = kept

    def of(self, config: ServerConfig) -> ServerFolder | None:
        """Where it keeps what it keeps; None for a remote one."""
        if config.transport != "stdio":
            return None
        return ServerFolder(path=self._root / name_of(config))

    def sweep(self, *, now: float) -> int:
        """Remove those that nobody has used for long; returns how many. `now`: what time it is at the least."""
        swept = 0
        with contextlib.suppress(OSError):
            for entry in list(self._root.iterdir()):
                try:
                    if now - last_used(entry, now) > self._kept.total_seconds():
                        anchored.remove(self._root, entry.name)
                        swept += 1
                except OSError as error:
                    log.warning("The folder %s of an MCP server cannot be removed: %s.", entry, error.strerror or error)
        return swept


def name_of(config: ServerConfig) -> str:
    """The same for what starts the same server; says nothing about what is in it. Its time limits do not count."""
    content = msgspec.json.encode([config.alias, config.command, sorted(config.environment.items())])
    return hashlib.sha256(content).hexdigest()[:32]
