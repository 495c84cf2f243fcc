"""How much memory there is for this process: the machine's, or its control group's where that is less.

In a container or a systemd unit with a limit the machine's own numbers mislead: the kernel ends what passes the limit,
however much the machine has. Both versions of control groups are read, and every group above this process's
(cgroups(7); the kernel's documents `admin-guide/cgroup-v2.rst` and `admin-guide/cgroup-v1/memory.rst`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from worker_core.basics.quick_dataclass import dataclass

MOUNT: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineMemory:
    """Of the machine, or of what this process may have of it."""

    total_bytes: int
    available_bytes: int
    used_bytes: int

    @property
    def percent(self) -> float:
        """In use: what new work cannot have."""
        return round(100.0 * (1 - self.available_bytes / self.total_bytes), 1) if self.total_bytes else 0.0


class _Version(NamedTuple):
    limit: str
    used: str
    reclaimable: str
    """In `memory.stat`: pages of files that nobody used lately, which make room. Kubernetes leaves them out, too."""


_FIRST: Final = _Version("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_SECOND: Final = _Version("memory.max", "memory.current", "inactive_file")


def memory(*, mount: Path = MOUNT, own: Path = OWN) -> MachineMemory:
    """What there is now.

    Args:
        mount: where the control groups are.
        own: the file that says in which of them this process is.

    Raises:
        OSError, psutil.Error: the system does not tell.
    """
    machine = psutil.virtual_memory()
    total, available, used = machine.total, machine.available, machine.used
    for group, version in _groups(mount, own):
        with contextlib.suppress(OSError, ValueError):  # without a limit, or without this controller
            limit = int(_text(group / version.limit))
            in_use = max(0, int(_text(group / version.used)) - _reclaimable(group, version))
            available = max(0, min(available, limit - in_use))
            if limit < total:
                total, used = limit, in_use
    return MachineMemory(total_bytes=total, available_bytes=available, used_bytes=used)


def _groups(mount: Path, own: Path) -> Iterator[tuple[Path, _Version]]:
    """This process's group and those above it.

    A container without a namespace for groups is told a name that is not in it: the top of what it sees is its own.
    """
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = own.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines:
        _, _, named = line.partition(":")
        controllers, _, name = named.partition(":")
        if not controllers:
            yield from _upwards(mount, name, _SECOND)
            yield from _upwards(mount / "unified", name, _SECOND)
        elif "memory" in controllers.split(","):
            yield from _upwards(mount / "memory", name, _FIRST)


def _upwards(top: Path, name: str, version: _Version) -> Iterator[tuple[Path, _Version]]:
    parts = [part for part in name.split("/") if part not in {"", "..", "."}]
    for count in range(len(parts), -1, -1):
        group = top.joinpath(*parts[:count])
        if group.is_dir():
            yield group, version


def _reclaimable(group: Path, version: _Version) -> int:
    with contextlib.suppress(OSError):
        for line in _text(group / "memory.stat").splitlines():
            name, _, value = line.partition(" ")
            if name == version.reclaimable:
                return int(value)
    return 0


def _text(file: Path) -> str:
    return file.read_text(encoding="ascii")
