"""Linux, a worker that runs as root: the kernel counts nobody's processes who is root, but a control group does.

Each call gets a group of its own with a ceiling of twice what is allowed: the watcher ends a call with a sentence at
what is allowed, and the ceiling keeps a fork bomb from taking the machine before the watcher had its turn (without it,
twelve thousand processes in half a minute were seen). See "pids" in the kernel's documents on cgroup-v1 and cgroup-v2.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Final, Self

import psutil

log = logging.getLogger(__name__)

MOUNT: Final = Path("/sys/fs/cgroup")
MARGIN: Final = 2
"""Times what is allowed."""

_ENTERED_SECONDS: Final = 30.0
"""A call has entered its group by then, or never will: an empty one may go."""

_PREFIX: Final = "kubiya-"
# Of this process, in which there may be several launchers.
_numbers = itertools.count(1)
_made: dict[Path, tuple[ProcessGroups, float]] = {}
"""Groups that are not removed yet: whose they are, and when they were made."""

_lock = threading.Lock()


def is_root() -> bool:
    """Whether this process is root of the machine."""
    return sys.platform != "win32" and os.getuid() == 0


class ProcessGroups:
    """Of one worker. Safe to use from any thread."""

    def __init__(self, base: Path) -> None:
        """`base`: the group that this process is in, of a hierarchy that counts processes."""
        self._base = base

    @classmethod
    def find(cls, *, mount: Path = MOUNT, own: Path = Path("/proc/self/cgroup")) -> Self | None:
        """None: this process is not root, or may make no groups here."""
        if not is_root():
            return None
        base = _base(mount, own)
        if base is None:
            return None
        found = cls(base)
        found._sweep_strangers()
        probe = found.new(limit=1)
        if probe is None:
            return None
        found.close()
        return found

    def new(self, *, limit: int) -> Path | None:
        """A group for a call that may have `limit` processes: writing `0` into the file puts the writer there.

        None: it cannot be made; the watcher is alone then.
        """
        group = self._base / f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
        with _lock:
            _sweep()
            try:
                group.mkdir()
                _made[group] = (self, time.monotonic())
                (group / "pids.max").write_text(str(MARGIN * limit))
            except OSError as error:
                log.debug("No control group for a call: %s", error)
                return None
        return group / "cgroup.procs"

    def close(self) -> None:
        """Remove what is empty. May be called again and again."""
        with _lock:
            _sweep(at_once=self)

    def _sweep_strangers(self) -> None:
        """What workers left that were killed."""
        with contextlib.suppress(OSError):
            for group in self._base.glob(f"{_PREFIX}*-*"):
                pid = group.name.removeprefix(_PREFIX).partition("-")[0]
                if pid.isdigit() and not psutil.pid_exists(int(pid)):
                    with contextlib.suppress(OSError):
                        group.rmdir()


def _sweep(*, at_once: ProcessGroups | None = None) -> None:
    """Remove empty groups: all of this one, and those in which nobody can be about to begin."""
    now = time.monotonic()
    for group, (owner, made_at) in list(_made.items()):
        if owner is at_once or now - made_at >= _ENTERED_SECONDS:
            try:
                group.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                continue  # the kernel keeps one that is in use
            del _made[group]


def _base(mount: Path, own: Path) -> Path | None:
    """This process's group in the hierarchy that counts processes, where groups below it can count as well."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return None
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if "pids" in controllers.split(","):
            base = mount / "pids" / path.lstrip("/")
            return base if base.is_dir() else None
    for number, controllers, path in (line for line in lines if len(line) == 3):
        if number == "0" and not controllers:
            base = mount / path.lstrip("/")
            with contextlib.suppress(OSError):
                if "pids" not in (base / "cgroup.subtree_control").read_text().split():
                    (base / "cgroup.subtree_control").write_text("+pids")  # refused where processes are in it
                if "pids" in (base / "cgroup.subtree_control").read_text().split():
                    return base
    return None
