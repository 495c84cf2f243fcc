"""When workspaces go: some time after their executions ended, and never one that may still be needed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path

from worker_core.basics.clocks import last_used, steady
from worker_core.paths import private_directory
from worker_core.workspaces import anchored
from worker_core.workspaces.workspace import safe_name

log = logging.getLogger(__name__)

SWEEP_EVERY = timedelta(days=1)
LONGEST_WAIT = timedelta(hours=25)
"""An execution waits for its user for 24 hours (protocol, section 9.5). One whose end this machine has not seen is not
taken for dead before that."""

_ENDED = ".ended"


def mark_ended(root: Path, execution_id: str, status: str) -> None:
    """Write down beside the workspace, where its agent has no business, how its execution ended.

    Raises:
        OSError: it cannot be written.
    """
    if (root / safe_name(execution_id)).is_dir():
        (private_directory(root) / f"{safe_name(execution_id)}{_ENDED}").write_text(status, encoding="utf-8")


class WorkspaceSweep:
    """The workspaces of one machine. Several workers may share them.

    Args:
        root: where they are.
        kept: how long after an execution's end, or after its last use where no end is known.
        keep_failed: workspaces of failed executions stay until somebody removes them.
        in_use: ids of executions that are known to go on.
        now: what time it is at the least, in seconds since the epoch; None: nobody knows, and nothing goes.
        steady: seconds that nobody sets: a machine that slept is late, not young.

    """

    def __init__(
        self,
        root: Path,
        *,
        kept: timedelta,
        keep_failed: bool,
        in_use: Callable[[], Collection[str]],
        now: Callable[[], float | None],
        steady: Callable[[], float] = steady,
    ) -> None:
        self._root = root
        self.kept = kept
        self.keep_failed = keep_failed
        self._in_use = in_use
        self._now = now
        self._steady = steady
        self._next = float("-inf")

    @property
    def due(self) -> bool:
        """At the start, and a day after each run. Whoever looks at the machine now and then asks this."""
        return self._steady() >= self._next and self._now() is not None

    def run(self) -> int:
        """Remove what is due; returns how many. What cannot be removed is logged and tried again the next day."""
        if (now := self._now()) is None:
            return 0
        self._next = self._steady() + SWEEP_EVERY.total_seconds()
        spared = {safe_name(execution_id) for execution_id in self._in_use()}
        swept = 0
        try:
            names = [entry.name for entry in self._root.iterdir()]
        except OSError:
            return 0
        for name in names:
            if name.endswith(_ENDED):
                if not (self._root / name.removesuffix(_ENDED)).is_dir():
                    self._forget(name)
                continue
            if name in spared or not self._is_over(name, now):
                continue
            try:
                anchored.remove(self._root, name)
                self._forget(name + _ENDED)
                swept += 1
            except OSError as error:
                log.warning("The workspace %s cannot be removed: %s.", name, error.strerror or error)
        if swept:
            log.info("%d workspaces of executions that are over were removed.", swept)
        return swept

    def _is_over(self, name: str, now: float) -> bool:
        try:
            used = last_used(self._root / name, now)
        except OSError:
            return False
        marker = self._root / f"{name}{_ENDED}"
        status: str | None = None
        with contextlib.suppress(OSError, UnicodeDecodeError):
            # A later use than the end: the execution was begun again.
            ended = last_used(marker, now)
            if ended >= used:
                status, used = marker.read_text(encoding="utf-8"), ended
        if status == "failed" and self.keep_failed:
            return False
        kept = self.kept if status is not None else max(self.kept, LONGEST_WAIT)
        return now - used > kept.total_seconds()

    def _forget(self, marker: str) -> None:
        with contextlib.suppress(OSError):
            (self._root / marker).unlink()
