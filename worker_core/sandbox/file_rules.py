"""What of the machine's files a tool in Landlock may use: every rule allows, and none takes away.

So what is the worker's own is never allowed: where it lies below something readable, what lies beside it is allowed
instead, one by one, as it is when the call begins. The folders on the way to it cannot be listed then.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.sandbox import landlock
from worker_core.sandbox.interpreter import files_child, interpreter_folders
from worker_core.sandbox.limits import is_root
from worker_core.sandbox.mounts import CONFIGURATION_FOR_ROOT, ETC, LINKED_SYSTEM, SYSTEM
from worker_core.sandbox.walls import Walls, lies_in, outermost, real

if TYPE_CHECKING:
    from worker_core.machine.gpus import GpuGrant

_DEVICES = tuple(map(Path, ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")))
_PROCESSES = Path("/proc")
"""Of others it shows their arguments and what they use; not what takes the right to trace them: environments, memory,
open files."""


class FileRules:
    """Of one launcher."""

    def __init__(self, walls: Walls) -> None:
        self._walls = walls
        etc = [ETC / name for name in CONFIGURATION_FOR_ROOT] if is_root() else [ETC]
        named = [*map(Path, (*SYSTEM, *LINKED_SYSTEM)), *etc, *interpreter_folders(), files_child()]
        named += [path for path in walls.readable if walls.may_show(path)]
        self._readable = outermost(path for path in map(real, named) if path.exists())

    def rules(
        self, *, writable: Sequence[Path], readable: Sequence[Path] = (), gpus: GpuGrant | None = None
    ) -> Iterator[tuple[Path, int]]:
        """For `landlock.walls`.

        Args:
            writable: all may be done there.
            readable: what this call alone may read.
            gpus: what of GPUs it is given.

        """
        hidden = outermost(map(real, self._walls.hidden))
        for path in (*self._readable, *map(real, filter(self._walls.may_show, readable))):
            for shown in _beside(path, [one for one in hidden if lies_in(one, path)]):
                yield shown, landlock.READ
        yield _PROCESSES, landlock.LOOK
        for device in _DEVICES:
            yield device, landlock.USE
        for path in writable:
            yield path, landlock.WRITE
        if gpus is not None and gpus.nodes:
            yield _PROCESSES, landlock.USE  # CUDA writes to files of its own process while it starts
            for node, _ in gpus.nodes:
                yield node, landlock.OPERATE
            for folder, _ in gpus.readable:
                yield folder, landlock.LOOK

    def search_path(self, given: str, *, readable: Sequence[Path] = ()) -> str:
        """What of a PATH is in reach: shells do not look further where they find a program and may not run it."""
        seen = [*self._readable, *map(real, filter(self._walls.may_show, readable))]
        hidden = outermost(map(real, self._walls.hidden))

        def is_seen(entry: str) -> bool:
            path = real(Path(entry))
            return any(lies_in(path, one) for one in seen) and not any(lies_in(path, one) for one in hidden)

        return os.pathsep.join(one for one in given.split(os.pathsep) if not one.startswith("/") or is_seen(one))


def _beside(path: Path, hidden: Sequence[Path]) -> Iterator[Path]:
    """A path, or what is in it and not hidden."""
    if not hidden:
        yield path
    elif path not in hidden:
        with contextlib.suppress(OSError), os.scandir(path) as entries:
            inside = [Path(entry.path) for entry in entries if not entry.is_symlink()]
        for inner in inside:
            yield from _beside(inner, [one for one in hidden if lies_in(one, inner)])
