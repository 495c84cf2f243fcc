"""What of the machine's files a tool in bubblewrap sees.

Every mount point is a path without links, what lies deeper is mounted later, and what covers a folder of the worker's
becomes read-only last of all: the workspace lies below it. So any combination of readable folders, and any place of the
worker's own, makes walls. Nothing is mounted below the workspace, nor below a folder of the owner's that some tool may
write: it could have put a link where the mount point is to be (bubblewrap's advisory GHSA-pxhw-h44j-8pfx).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from worker_core.basics.quick_dataclass import dataclass
from worker_core.paths import private_directory
from worker_core.sandbox.gate import files as gate_files
from worker_core.sandbox.interpreter import files_child, interpreter_folders
from worker_core.sandbox.launcher import GrantedFolder
from worker_core.sandbox.limits import is_root
from worker_core.sandbox.walls import HOME, TMP, TMP_BYTES, Walls, lies_in, outermost, real

if TYPE_CHECKING:
    from worker_core.machine.gpus import GpuGrant

SYSTEM = ("/usr", "/opt", "/nix/store", "/gnu/store", "/snap")
LINKED_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links into /usr on most systems, folders on some."""

CONFIGURATION_FOR_ROOT = (
    "alternatives", "fonts", "group", "hosts", "ld.so.cache", "localtime", "mime.types", "nsswitch.conf", "os-release",
    "passwd", "pki/ca-trust", "pki/tls/certs", "resolv.conf", "services", "ssl/cert.pem", "ssl/certs",
    "ssl/openssl.cnf", "terminfo",
)  # fmt: skip
"""Of /etc, where the worker runs as root and could read its secrets. An ordinary user's tools see all of it, as their
user does."""

ETC = Path("/etc")
_RESOLV_CONF = ETC / "resolv.conf"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108
SHARED_MEMORY_BYTES = 256 * 1024**2

_SOCKETS_SECONDS = 5.0
"""Between two looks at which sockets this machine has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A part of the machine's files, read-only."""

    where: Path
    """In the sandbox."""

    source: Path
    """What is seen there."""

    taken_from: Path
    """What is mounted: `source`, or a copy of a part of it."""

    @property
    def option(self) -> tuple[str, ...]:
        return ("--ro-bind-try", str(self.taken_from), str(self.where))

    def within(self, path: Path) -> Path | None:
        """Where a real path is seen through it."""
        return self.where / path.relative_to(self.source) if lies_in(path, self.source) else None


_OWN = tuple(_Shown(where=path, source=path, taken_from=Path()) for path in map(Path, ("/dev", "/proc", TMP)))
"""Made anew for each call."""


class Mounts:
    """Of one launcher."""

    def __init__(self, walls: Walls) -> None:
        self._walls = walls
        self._named = [*interpreter_folders(), *gate_files(), files_child()]
        self._named += [path for path in walls.readable if walls.may_show(path)]
        self._shown = _with(self._named, list(_system(walls)))
        self._links = _linked(self._named, self._shown)
        if walls.egress is not None:
            from worker_core.sandbox.egress.named import RESOLV_CONF

            (private_directory(walls.runtime) / "resolv.conf").write_text(RESOLV_CONF)
        self._bound: tuple[Path, ...] = ()
        self._bound_seen = -_SOCKETS_SECONDS

    def options(
        self,
        *,
        workspace: Path,
        readable: Sequence[Path] = (),
        folders: Sequence[GrantedFolder] = (),
        home: Path | None = None,
        asks_worker: bool = False,
        gpus: GpuGrant | None = None,
        shared_memory_bytes: int = SHARED_MEMORY_BYTES,
    ) -> list[str]:
        """For bubblewrap, in their order.

        Args:
            workspace: the one folder that may be written, besides `home` and what of `folders` is writable.
            readable: what this call alone may read.
            folders: of the owner's.
            home: what is there as the home; None: an empty folder.
            asks_worker: its name server is the worker.
            gpus: what of GPUs it is given; None, or without nodes: nothing.
            shared_memory_bytes: what its /dev/shm holds.

        Raises:
            OSError: a program of this machine listens at a socket in one of the folders, or what is in /proc is not
                known.

        """
        place = real(workspace)
        named = [*self._named, *filter(self._walls.may_show, readable)]
        shown = _with(named, list(self._shown)) if readable else self._shown
        links = self._links if place == workspace and not readable else _linked([*named, workspace], shown)
        hidden = outermost(path for path in map(real, self._walls.hidden) if path.exists())
        covers = _cover([path for path in hidden if path.is_dir()], shown)
        empty = [*_cover([path for path in hidden if not path.is_dir()], shown)]
        empty += self._reachable_sockets(shown, covers)
        points: list[tuple[Path, int, tuple[str, ...]]] = [(one.where, 0, one.option) for one in shown]
        devices = ("--dev", "/dev", "--size", str(shared_memory_bytes), "--tmpfs", _SHARED_MEMORY)
        points += [(Path("/dev"), 1, devices), (Path("/proc"), 1, ("--proc", "/proc")), (Path(TMP), 1, _TEMPORARY)]
        points += [(cover, 2, ("--tmpfs", str(cover))) for cover in covers]
        points += [(path, 2, ("--ro-bind", "/dev/null", str(path))) for path in empty]
        read_only = [Path("/dev"), Path("/proc"), *covers, Path("/")]
        if gpus is not None and gpus.nodes:
            points += [(where, 2, ("--dev-bind", str(node), str(where))) for node, where in gpus.nodes]
            points += [(where, 2, ("--ro-bind", str(path), str(where))) for path, where in gpus.readable]
            points += [(path, 2, ("--ro-bind", str(path), str(path))) for path in _of_the_kernel()]
            points.append((_FIRST_PROCESS, 2, ("--tmpfs", str(_FIRST_PROCESS))))
            read_only[1] = _FIRST_PROCESS
        if asks_worker and (conf := self._resolv_conf(shown, covers)):
            points.append((conf, 2, ("--ro-bind", str(self._walls.runtime / "resolv.conf"), str(conf))))
        points = [point for point in points if not lies_in(point[0], place)]
        points.sort(key=lambda point: (len(point[0].parts), point[1]))
        options = [word for _, _, words in points for word in words]
        for path, target in links.items():
            options += ["--symlink", str(target), str(path)]
        options += ["--dir", str(HOME)] if home is None else ["--bind", str(real(home)), str(HOME)]
        options += ["--bind", str(place), str(place)]
        for folder in sorted(folders, key=lambda one: len(one.path.parts)):
            options += ["--bind" if folder.writable else "--ro-bind", str(folder.path), str(folder.path)]
        self._refuse_sockets(folders)
        # Root of the machine may write to /proc/sys from any namespace.
        for path in read_only:
            options += ["--remount-ro", str(path)]
        return options

    def _resolv_conf(self, shown: Sequence[_Shown], covers: Sequence[Path]) -> Path | None:
        """Where that file is mounted. None: nowhere, as there is none; then programs ask 127.0.0.1 by themselves."""
        place = real(_RESOLV_CONF)
        if any(lies_in(place, folder) for folder in (*covers, *(one.where for one in _OWN))):
            return None
        above = [one for one in shown if lies_in(place, one.where)]
        if above:
            nearest = max(above, key=lambda one: len(one.where.parts))
            if not (nearest.taken_from / place.relative_to(nearest.where)).is_file():
                return None
        return place

    def _reachable_sockets(self, shown: Sequence[_Shown], covers: Sequence[Path]) -> Iterator[Path]:
        """A socket that a tool can see answers it, however it is mounted."""
        seen = dict.fromkeys(one.within(path) for path in self._sockets_now() for one in shown)
        yield from (path for path in seen if path and not any(lies_in(path, cover) for cover in covers))

    def _refuse_sockets(self, folders: Sequence[GrantedFolder]) -> None:
        """Covering one would be a mount below a folder that a tool may write, now or in another call."""
        for path in self._sockets_now() if folders else ():
            if any(path.is_relative_to(one.path) for one in folders):
                raise OSError(errno.EACCES, "a program of this machine listens in a granted folder", str(path))

    def _sockets_now(self) -> tuple[Path, ...]:
        if time.monotonic() - self._bound_seen >= _SOCKETS_SECONDS:
            self._bound_seen = time.monotonic()
            self._bound = tuple(listening_sockets())
        return self._bound


_FIRST_PROCESS = Path("/proc/1")
"""Bubblewrap's own. Who could write to its memory there would run without the call's limits."""


def _of_the_kernel(folder: Path = Path("/proc")) -> list[Path]:
    """What is below /proc and no process's: sysctls, /proc/irq, /proc/driver, every file and folder of it.

    CUDA writes below /proc/self while it starts, so there a call with a GPU may write. All else becomes read-only one
    by one: root of the machine could write there from any namespace, and change for good who may read it.

    Raises:
        OSError: it cannot be listed, or shows less than what is there.

    """
    with os.scandir(folder) as entries:
        found = [Path(one.path) for one in entries if not one.name.isdecimal() and not one.is_symlink()]
    if folder / "sys" not in found:
        raise OSError(errno.EACCES, "no call is given a GPU where /proc does not show everything", str(folder))
    return sorted(found)


def _with(paths: Iterable[Path], shown: list[_Shown]) -> list[_Shown]:
    """What is shown, and these as well."""
    for path in map(real, paths):
        if path.exists() and not _sees(path, shown):
            shown.append(_Shown(where=path, source=path, taken_from=path))
    return shown


def _linked(paths: Iterable[Path], shown: Sequence[_Shown]) -> dict[Path, Path]:
    """Names that lead to what is shown, by links that are not."""
    found = {path: real(path) for path in paths if path != real(path)}
    found |= {path: path.readlink() for path in map(Path, LINKED_SYSTEM) if path.is_symlink()}
    return {path: found[path] for path in outermost(found) if not _sees(path, shown)}


def _sees(path: Path, shown: Sequence[_Shown]) -> bool:
    """Whether a path leads to where it leads on the machine."""
    above = [one for one in (*shown, *_OWN) if lies_in(path, one.where)]
    nearest = max(above, key=lambda one: len(one.where.parts), default=_OWN[0])
    return nearest.taken_from == nearest.source


def _cover(hidden: Sequence[Path], shown: Sequence[_Shown]) -> list[Path]:
    """Where what is the worker's would be seen."""
    seen = [one.within(folder) for folder in hidden for one in shown]
    return outermost(path for path in seen if path is not None)


_TEMPORARY = ("--size", str(TMP_BYTES), "--tmpfs", TMP)


def _system(walls: Walls) -> Iterator[_Shown]:
    for path in map(Path, (*SYSTEM, *LINKED_SYSTEM)):
        if path.is_dir() and not (path.is_symlink() and str(path) in LINKED_SYSTEM):
            yield _Shown(where=path, source=real(path), taken_from=real(path))
    copied = _configuration_for_root(walls) if is_root() else ETC
    yield _Shown(where=ETC, source=ETC, taken_from=copied)


def _configuration_for_root(walls: Walls) -> Path:
    """A copy of what tools need of /etc: one mount instead of many."""
    target = private_directory(walls.runtime) / "etc"
    if target.exists():
        return target
    for name in CONFIGURATION_FOR_ROOT:
        source, copy = Path(ETC, name), target / name
        with contextlib.suppress(OSError, shutil.Error):
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, symlinks=True)
            else:
                shutil.copy2(source, copy, follow_symlinks=not source.is_symlink())
    # Where something else is mounted, there must be something to mount it on.
    for path in (*map(real, walls.readable), *map(real, walls.hidden)):
        if path != ETC and path.is_relative_to(ETC):
            point = target / path.relative_to(ETC)
            with contextlib.suppress(OSError):
                (point.parent if path.is_file() else point).mkdir(parents=True, exist_ok=True)
                if path.is_file():
                    point.touch()
    return target


_BOUND = re.compile(rb" (/[^\n]+)$", re.MULTILINE)


def listening_sockets() -> Iterator[Path]:
    """Those that have a path, of this machine's network namespace (proc_net(5), `unix`)."""
    if sys.platform != "linux":
        return
    try:
        listed = Path("/proc/net/unix").read_bytes()
    except OSError:
        return
    for found in set(_BOUND.findall(listed)):
        path = real(Path(os.fsdecode(found)))
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                yield path
