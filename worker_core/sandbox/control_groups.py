"""Linux, where the worker may make control groups: each call is in one of its own, and the kernel counts and bounds it.

* Memory: everything that a call makes the kernel keep, at most `memory_bytes`; pages of files make room.
* Processes: the kernel counts nobody's who is root, but a group does. The ceiling is twice what is allowed: the watcher
  ends a call with a sentence at what is allowed, and the ceiling keeps a fork bomb from taking the machine before the
  watcher had its turn (without it, twelve thousand processes in half a minute were seen).
* Processor time, also of children that nobody waited for.

A group is used again when nothing is left in it: making one costs little, but the kernel keeps a removed one for as
long as it keeps pages of files that were read in it. See cgroups(7) and the kernel's documents on both versions.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import sys
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import psutil

from worker_core.basics.quick_dataclass import dataclass
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.loans import OpenFile
from worker_core.sandbox.tree import read

log = logging.getLogger(__name__)

MOUNT: Final = Path("/sys/fs/cgroup")
MARGIN: Final = 2
"""Times the processes that are allowed."""

PROCESSES, MEMORY, TIME = "pids", "memory", "cpuacct"
CONTROLLERS: Final = (PROCESSES, MEMORY, TIME)
"""By the names of the first version."""

_PREFIX: Final = "kubiya-"
_LEAF: Final = "kubiya-worker"
"""Where the worker itself goes, where groups can be made only beside it (cgroups(7), "no internal processes")."""

# Of this process, in which there may be several launchers.
_numbers = itertools.count(1)
_lock = threading.RLock()
"""Taken anew where a call's group is let go of by the garbage collector."""

_left: set[Path] = set()
"""Groups that nobody uses any more, and that the kernel did not let go of yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where groups are made: the folder of each controller. In the second version it is one for all."""

    version: int
    folders: Mapping[str, Path]

    def files(self, limits: Limits) -> Mapping[str, Mapping[str, int]]:
        """What is written into a new group, by controller. The first of each must succeed."""
        memory = limits.memory_bytes
        of_memory = {"memory.max": memory, "memory.swap.max": 0, "memory.oom.group": 1}
        if self.version == 1:
            of_memory = {
                "memory.limit_in_bytes": memory,
                "memory.memsw.limit_in_bytes": memory,  # with swap
                "memory.kmem.tcp.limit_in_bytes": memory,
            }
        return {PROCESSES: {"pids.max": MARGIN * limits.processes}, MEMORY: of_memory, TIME: {}}


class ControlGroups:
    """Of one launcher. Safe to use from any thread.

    Args:
        place: where they are made.
        limits: of each.

    """

    def __init__(self, place: Place, limits: Limits) -> None:
        self.place = place
        self._limits = limits
        self._idle: list[_Group] = []
        self._closed = False
        # Also of a launcher that nobody closed, and at the end of the process.
        weakref.finalize(self, _remove_all, self._idle)

    @classmethod
    def find(cls, limits: Limits, *, mount: Path = MOUNT, own: Path = Path("/proc/self/cgroup")) -> Self | None:
        """None: this process may make no groups here."""
        place = find_place(mount, own)
        if place is None:
            return None
        for folder in set(place.folders.values()):
            _sweep_strangers(folder)
        usable = {}
        for name, folder in place.folders.items():
            alone = Place(version=place.version, folders={name: folder})
            if (made := _made(alone, limits)) is not None:
                usable[name] = folder
                _remove(made)
        return cls(Place(version=place.version, folders=usable), limits) if usable else None

    def take(self, limits: Limits | None = None) -> CallGroup | None:
        """A group for one call. None: it cannot be made; the watcher is alone then.

        Args:
            limits: of the call; None: those of each.
        """
        limits = limits or self._limits
        with _lock:
            for group in list(self._idle):
                if group.limits == limits and group.is_empty():
                    self._idle.remove(group)
                    break
            else:
                _sweep()
                made = _made(self.place, limits)
                if made is None:
                    return None
                group = made
        try:
            return CallGroup(group, self)
        except OSError as error:
            log.debug("No control group for a call: %s", error)
            self.give_back(group)
            return None

    def give_back(self, group: _Group) -> None:
        """Nobody will enter it any more."""
        with _lock:
            if self._closed:
                _remove(group)
            else:
                self._idle.append(group)

    def close(self) -> None:
        """Remove what is empty, and from now on what becomes empty. May be called again and again."""
        with _lock:
            self._closed = True
            _remove_all(self._idle)
            _sweep()


class _Group:
    """One folder for each controller; in the second version, one for all."""

    def __init__(self, version: int, folders: Mapping[str, Path], limits: Limits) -> None:
        self._second = version == 2
        # A thread of its own accord is moved at once. For a process the kernel waits until each processor has done
        # something else (`cgroup_procs_write_start`): 3 to 20 ms. In the second version memory knows no threads.
        self.entrance = "cgroup.procs" if self._second else "tasks"
        self.limits = limits
        self.folders = folders

    def is_empty(self) -> bool:
        return not any(self.process_ids(name) for name in self.folders)

    def process_ids(self, controller: str) -> list[int]:
        with contextlib.suppress(OSError):
            return [*map(int, read(f"{self.folders[controller]}/cgroup.procs").split())]
        return []

    def processes(self) -> int:
        return int(read(f"{self.folders[PROCESSES]}/pids.current"))

    def cpu_seconds(self) -> float:
        if self._second:
            return _named(read(f"{self.folders[TIME]}/cpu.stat"), b"usage_usec") / 1e6
        return int(read(f"{self.folders[TIME]}/cpuacct.usage")) / 1e9

    def killed_for_memory(self) -> int:
        """How many processes the kernel has ended since more memory was needed than there may be."""
        name = "memory.events" if self._second else "memory.oom_control"
        return _named(read(f"{self.folders[MEMORY]}/{name}"), b"oom_kill")


def _named(content: bytes, name: bytes) -> int:
    return next((int(line.split()[1]) for line in content.splitlines() if line.split()[:1] == [name]), 0)


class CallGroup:
    """The group of one call, from before it starts until it has ended.

    Raises:
        OSError: it cannot be entered.

    """

    def __init__(self, group: _Group, owner: ControlGroups) -> None:
        self._group = group
        self._entered: set[str] = set()
        self._seconds_before = group.cpu_seconds() if TIME in group.folders else 0.0
        self._killed_before = group.killed_for_memory() if MEMORY in group.folders else 0
        self.entrances = tuple(
            OpenFile(os.open(folder / group.entrance, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0)))
            for folder in dict.fromkeys(group.folders.values())
        )
        """Open files: who writes `0` into each, and has one thread, is in the group with all that it starts."""

        self._end = weakref.finalize(self, owner.give_back, group)

    def counts(self, controller: str) -> bool:
        """Whether the call is in it. Until it has entered, and where it could not, somebody else has to count."""
        if controller not in self._group.folders:
            return False
        if controller not in self._entered and self._group.process_ids(controller):
            self._entered.add(controller)
        return controller in self._entered

    def process_ids(self) -> list[int]:
        """Those that are in it now."""
        return self._group.process_ids(next(iter(self._entered)))

    def processes(self) -> int:
        return self._group.processes()

    def cpu_seconds(self) -> float:
        return self._group.cpu_seconds() - self._seconds_before

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel has ended one of its processes for want of memory; false where it does not count that."""
        return MEMORY in self._group.folders and self._group.killed_for_memory() > self._killed_before

    def end(self) -> None:
        """The call is over, or was never started."""
        self._end()


def find_place(mount: Path, own: Path) -> Place | None:
    """Where this process may make groups; None: nowhere.

    Args:
        mount: where control groups are shown, usually `/sys/fs/cgroup`.
        own: what says in which groups this process is (`/proc/self/cgroup`).

    """
    if sys.platform == "win32":
        return None
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return None
    paths = {
        name: mount / name / path.lstrip("/")
        for _, controllers, path in (line for line in lines if len(line) == 3)
        for name in controllers.split(",")
    }
    if MEMORY in paths or PROCESSES in paths:
        return _usable(1, {name: paths[name] for name in CONTROLLERS if name in paths})
    second = [line[2] for line in lines if len(line) == 3 and line[:2] == ["0", ""]]
    if not second:
        return None
    base = mount / second[0].lstrip("/")
    if base.name == _LEAF:
        base = base.parent
    enabled = _enabled(base)
    folders = {name: base for name in (PROCESSES, MEMORY) if name in enabled}
    return _usable(2, {**folders, TIME: base} if folders else {})


def _usable(version: int, folders: Mapping[str, Path]) -> Place | None:
    found = {name: folder for name, folder in folders.items() if folder.is_dir() and os.access(folder, os.W_OK)}
    return Place(version=version, folders=found) if found else None


def _enabled(base: Path) -> set[str]:
    """The controllers that groups below have. Where nobody has switched them on, that is done if it may be."""
    control = base / "cgroup.subtree_control"
    try:
        there = set((base / "cgroup.controllers").read_text().split()) & {PROCESSES, MEMORY}
        if missing := there - set(control.read_text().split()):
            wish = " ".join(f"+{name}" for name in sorted(missing))
            try:
                control.write_text(wish)
            except OSError as error:
                if error.errno != errno.EBUSY or not _is_delegated(base):
                    raise
                _go_below(base)
                control.write_text(wish)
        return set(control.read_text().split())
    except OSError:
        with contextlib.suppress(OSError):
            return set(control.read_text().split())
        return set()


def _is_delegated(base: Path) -> bool:
    """Whether systemd left it to us (`Delegate=` of a unit; "Control Group APIs and Delegation" in its documents)."""
    if sys.platform == "linux":
        for name in ("user.delegate", "trusted.delegate"):
            with contextlib.suppress(OSError):
                if os.getxattr(base, name) == b"1":
                    return True
    return False


def _go_below(base: Path) -> None:
    leaf = base / _LEAF
    leaf.mkdir(exist_ok=True)
    for process_id in (base / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            (leaf / "cgroup.procs").write_text(process_id)


def _made(place: Place, limits: Limits) -> _Group | None:
    name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
    group = _Group(place.version, {controller: folder / name for controller, folder in place.folders.items()}, limits)
    try:
        for folder in set(group.folders.values()):
            folder.mkdir()
        for controller, files in place.files(limits).items():
            if controller in group.folders:
                _write(group.folders[controller], files)
    except OSError as error:
        log.debug("No control group: %s", error)
        _remove(group)
        return None
    return group


def _write(folder: Path, files: Mapping[str, int]) -> None:
    for number, (name, value) in enumerate(files.items()):
        try:
            (folder / name).write_text(str(value))
        except OSError:
            if number == 0:
                raise


def _remove(group: _Group) -> None:
    _left.update(group.folders.values())
    _sweep()


def _remove_all(groups: list[_Group]) -> None:
    while groups:
        _remove(groups.pop())


def _sweep() -> None:
    for folder in list(_left):
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            continue  # the kernel keeps one that is in use
        _left.discard(folder)


def _sweep_strangers(folder: Path) -> None:
    """What workers left that were killed."""
    with contextlib.suppress(OSError):
        for group in folder.glob(f"{_PREFIX}*-*"):
            process_id = group.name.removeprefix(_PREFIX).partition("-")[0]
            if process_id.isdigit() and not psutil.pid_exists(int(process_id)):
                with contextlib.suppress(OSError):
                    group.rmdir()
