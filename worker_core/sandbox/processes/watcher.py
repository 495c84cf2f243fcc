"""Looks at what the trees of running calls use up, and ends the one that goes too far. It sleeps while nothing runs."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import field, replace
from pathlib import Path

from worker_core.basics.quick_dataclass import dataclass
from worker_core.sandbox.control_groups import CallGroup
from worker_core.sandbox.disk_room import DiskRoom, rooms
from worker_core.sandbox.folder_use import FolderUse
from worker_core.sandbox.launcher import GrantedFolder
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.use import CallUse
from worker_core.sandbox.walls import TMP_BYTES

log = logging.getLogger(__name__)

PERIOD_SECONDS = 0.2
COUNT_SECONDS = 0.01
"""Of each period, for counting what workspaces hold: a twentieth, shared by all calls."""

LEAST_SECONDS = 0.001
_MEGABYTE = 1024 * 1024
OWN_FOLDER = "The folder that it keeps"
"""How a sentence begins that says that `Command.home` is too full."""

TEMPORARY_FOLDER = "Its temporary folder"


@dataclass(slots=True, kw_only=True, eq=False)
class Watched:
    """One running call."""

    root: int
    limits: Limits
    workspace: Path | None
    home: Path | None = None
    """A folder of its own that stays, and may hold as much as a workspace."""

    scratch: Path | None = None
    """A folder that ends with it, and holds as much as a `/tmp` of its own would."""

    folders: tuple[GrantedFolder, ...] = ()
    """Of the owner's."""

    kill: Callable[[], None]
    group: CallGroup | None = None
    exceeded: str = ""
    """Why it was ended, as a sentence for the model."""

    _use: CallUse = field(init=False)
    _folders: list[FolderUse] = field(init=False)
    _rooms: list[DiskRoom] = field(init=False)

    def __post_init__(self) -> None:
        self._use = CallUse(self.root, limits=self.limits, disk=self.workspace, group=self.group)
        self._folders = [] if self.workspace is None else [FolderUse(self.workspace, self.limits)]
        if self.home is not None:
            self._folders.append(FolderUse(self.home, self.limits, called=OWN_FOLDER))
        if self.scratch is not None:
            limits = replace(self.limits, workspace_bytes=min(self.limits.workspace_bytes, TMP_BYTES))
            self._folders.append(FolderUse(self.scratch, limits, called=TEMPORARY_FOLDER))
        self._rooms = rooms(self.folders, besides=self.workspace)

    def look(self, *, seconds: float) -> None:
        """`seconds` may go into the count of the workspace."""
        if self.exceeded:
            self.kill()  # once more: something was starting while it was ended
        elif reason := self._reason(seconds):
            self.exceeded = reason
            self.kill()

    def close(self) -> None:
        for folder in self._folders:
            folder.close()

    def note_end(self) -> None:
        """It ended: whether the kernel did that."""
        if not self.exceeded and self._use.ran_out_of_memory():
            self.exceeded = self._too_much_memory()

    def _too_much_memory(self) -> str:
        return f"It used more than {self.limits.memory_bytes // _MEGABYTE} MB of memory and was stopped."

    def _reason(self, seconds: float) -> str:
        limits, used = self.limits, self._use.now()
        if used is not None:
            if used.processes > limits.processes:
                return f"It started more than {limits.processes} processes and was stopped, with all of them."
            if used.memory_bytes > limits.memory_bytes or self._use.ran_out_of_memory():
                return self._too_much_memory()
            if used.cpu_seconds > limits.cpu_time.total_seconds():
                return f"It used more than {limits.cpu_time.total_seconds():g} s of processor time and was stopped."
        for folder in self._folders:
            # What has lost its name may be of any of them: it counts for each.
            nameless_bytes = 0 if used is None else used.deleted_bytes
            if reason := folder.reason(seconds / len(self._folders), nameless_bytes=nameless_bytes):
                return reason
        return next((reason for one in self._rooms if (reason := one.reason())), "")


class Watcher:
    """One per process."""

    def __init__(self) -> None:
        self._watched: list[Watched] = []
        self._over: list[Watched] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, watched: Watched) -> None:
        """Watch a call from now on."""
        with self._changed:
            self._watched.append(watched)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="tool limits", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, watched: Watched) -> None:
        """It ended, and is not looked at again."""
        watched.note_end()
        with self._changed:
            if watched in self._watched:
                self._watched.remove(watched)
                self._over.append(watched)

    def _run(self) -> None:
        beat = random.Random()  # noqa: S311 -- its own: tests set the one that all share, and expect it to stand still
        while True:
            with self._changed:
                while not self._watched and not self._over:
                    self._changed.wait()
            # Not to the same beat: a tool could keep out of sight.
            time.sleep(PERIOD_SECONDS * beat.uniform(0.8, 1.2))
            self._look()

    def _look(self) -> None:
        with self._changed:
            present, over = list(self._watched), list(self._over)
            self._over.clear()
        for one in over:
            one.close()
        for one in present:
            with self._changed:
                if one not in self._watched:
                    continue
            try:
                one.look(seconds=max(LEAST_SECONDS, COUNT_SECONDS / len(present)))
            except Exception:
                log.exception("The use of resources of a tool could not be looked at.")


WATCHER = Watcher()
"""The process's own."""
