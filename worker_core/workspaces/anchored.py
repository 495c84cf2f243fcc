"""Files below a folder, reached part by part and never through a link, whoever changes the folder meanwhile.

Where the system has directory descriptors (Linux, macOS), no link that is put there between a look and a step is
followed: every step begins at an open folder. Windows has none; there each part is looked at before it is used, which
leaves a moment between the look and the step.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from worker_core.basics.sentences import worded
from worker_core.errors import KubiyaError

HAS_DESCRIPTORS = {os.open, os.mkdir, os.unlink, os.stat, os.rename, os.rmdir} <= os.supports_dir_fd and (
    os.scandir in os.supports_fd
)
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_NEW_FILE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_APPEND = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_APPEND
    | os.O_NONBLOCK  # a pipe that stands there must not hold us
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    if hasattr(os, "O_NONBLOCK")
    else os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
)
_READ = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_REPARSE_POINT = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0x400)
_BLOCK_BYTES = 1 << 20
DEEPEST = 40
"""Folders below folders that a listing looks into."""


class OutsideWorkspace(KubiyaError):
    """A path leads out of the workspace."""


def parts_of(relative: str) -> tuple[str, ...]:
    """The parts of a path that stays below its folder.

    Raises:
        OutsideWorkspace: it is absolute, climbs, or names nothing.
    """
    text = relative.replace("\\", "/") if os.name == "nt" else relative
    parts = tuple(part for part in text.split("/") if part not in {"", "."})
    if text.startswith(("/", "~")) or ".." in parts or not parts or "\0" in text:
        raise OutsideWorkspace(
            worded("The path {path} leads out of the workspace; use one inside it.", path=short(relative))
        )
    if os.name == "nt":
        from worker_core.basics.windows_names import is_name_of_windows

        if not is_name_of_windows(text):
            raise OutsideWorkspace(
                worded(
                    "The path {path} holds a name that Windows keeps for itself; use another one.", path=short(relative)
                )
            )
    try:
        text.encode() if os.name == "nt" else os.fsencode(text)  # Windows' names may hold half a character
    except UnicodeEncodeError:
        raise OutsideWorkspace(
            worded("The path {path} is not one that files can have.", path=short(relative))
        ) from None
    return parts


def write(root: Path, relative: str, pieces: Iterable[bytes], *, mode: int = 0o600) -> str:
    """Write a file, whole or not at all, making folders that are missing. What stands in its place is replaced, never
    written through. Returns the path with forward slashes.

    Raises:
        OutsideWorkspace: the path leads out, or a part of it is a link.
        OSError: it cannot be written.
    """
    *folders, name = parts_of(relative)
    draft = f".{os.urandom(6).hex()}.draft"
    with _entered(root, folders, relative, make=True) as folder:
        try:
            with os.fdopen(folder.open(draft, _NEW_FILE, 0o600), "wb") as file:
                file.writelines(pieces)
                if hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), mode & 0o777)
            folder.replace(draft, name)
        except BaseException:
            with contextlib.suppress(OSError):
                folder.unlink(draft)
            raise
    return "/".join([*folders, name])


def append(root: Path, relative: str, content: bytes) -> None:
    """Add to the end of a file, which is made where it is missing.

    Raises:
        OutsideWorkspace: the path leads out, or a part of it is a link.
        OSError: it cannot be written; also where something that is no file stands there.
    """
    *folders, name = parts_of(relative)
    with _entered(root, folders, relative, make=True) as folder:
        try:
            descriptor = folder.open(name, _APPEND, 0o600)
        except OSError as error:
            raise _link(relative, error) from error
        with os.fdopen(descriptor, "ab") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is no ordinary file", relative)
            file.write(content)


def read_bounded(root: Path, relative: str, *, limit_bytes: int, at_end: bool = False) -> bytes:
    """The first bytes of a file, or its last ones: never more than `limit_bytes`, however long it is. Nothing where
    there is no such file, or something that is no ordinary one: a pipe there holds nobody up.

    Raises:
        OutsideWorkspace: the path leads out, or a part of it is a link.
        OSError: it cannot be read.
    """
    *folders, name = parts_of(relative)
    try:
        with _entered(root, folders, relative, make=False) as folder:
            descriptor = folder.open(name, _READ, 0)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _link(relative, error) from error
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            return b""
        if at_end:
            file.seek(max(0, facts.st_size - limit_bytes))
        return file.read(limit_bytes)


def pieces(root: Path, relative: str, *, limit_bytes: int) -> Iterator[bytes]:
    """A file in blocks, never more than `limit_bytes` of it.

    Raises:
        OutsideWorkspace: the path leads out, or a part of it is a link.
        OSError: it cannot be read, or is no ordinary file.
    """
    *folders, name = parts_of(relative)
    with _entered(root, folders, relative, make=False) as folder:
        try:
            descriptor = folder.open(name, _READ, 0)
        except OSError as error:
            raise _link(relative, error) from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", relative)
        while block := file.read(min(_BLOCK_BYTES, limit_bytes)):
            limit_bytes -= len(block)
            yield block


def files(root: Path, *, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, os.stat_result]]:
    """Ordinary files below a folder with their facts, folder by folder; links and what is deeper than 40 folders are
    left out. `skip` names folders at the top that are not looked into.
    """
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        parts = waiting.pop()
        below = []
        try:
            with _entered(root, list(parts), "/".join(parts), make=False) as folder:
                for name, facts in folder.entries():
                    if stat.S_ISDIR(facts.st_mode):
                        if len(parts) < DEEPEST and not (not parts and name in skip):
                            below.append((*parts, name))
                    elif stat.S_ISREG(facts.st_mode):
                        yield "/".join([*parts, name]), facts
        except (OSError, OutsideWorkspace):  # gone, or turned into a link, or not ours to read
            continue
        waiting.extend(sorted(below, reverse=True))


def remove(parent: Path, name: str) -> None:
    """Remove `parent/name` with everything in it; of links, only the links.

    Raises:
        OSError: something of it cannot be removed.
    """
    if not HAS_DESCRIPTORS:
        _remove_by_path(_of_any_length(parent / name))
        return
    root = os.open(parent, FOLDER & ~getattr(os, "O_NOFOLLOW", 0))
    try:
        try:
            os.unlink(name, dir_fd=root)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in {errno.EISDIR, errno.EPERM}:
                raise
        with _opened_for_removal(name, root) as top:
            _empty(top)
        os.rmdir(name, dir_fd=root)
    finally:
        os.close(root)


def _empty(top: int) -> None:
    """Folders below are lifted to the top instead of gone into: no depth uses up descriptors or the stack."""
    number = 0
    while names := os.listdir(top):
        for name in names:
            try:
                os.unlink(name, dir_fd=top)
                continue
            except OSError as error:
                if error.errno not in {errno.EISDIR, errno.EPERM}:
                    raise
            with _opened_for_removal(name, top) as folder:
                for inner in os.listdir(folder):
                    try:
                        os.unlink(inner, dir_fd=folder)
                    except OSError as error:
                        if error.errno not in {errno.EISDIR, errno.EPERM}:
                            raise
                        with _opened_for_removal(inner, folder):
                            number += 1
                            os.rename(inner, f".{os.urandom(6).hex()}-{number}", src_dir_fd=folder, dst_dir_fd=top)
            os.rmdir(name, dir_fd=top)


@contextlib.contextmanager
def _opened_for_removal(name: str, parent: int) -> Iterator[int]:
    """A folder, open and writable: tools such as Go's leave read-only ones behind."""
    if sys.platform == "win32":
        raise NotImplementedError("Windows has no descriptors of folders")
    try:
        descriptor = os.open(name, FOLDER, dir_fd=parent)
    except PermissionError:
        allow(name, parent)
        descriptor = os.open(name, FOLDER, dir_fd=parent)
    try:
        if os.fstat(descriptor).st_mode & 0o700 != 0o700:
            os.fchmod(descriptor, 0o700)
        yield descriptor
    finally:
        os.close(descriptor)


def allow(name: str, parent: int) -> None:
    """Give a folder's owner every right on it.

    Raises:
        OSError: it is gone, or somebody else's.
    """
    if os.chmod in os.supports_follow_symlinks and os.chmod in os.supports_dir_fd and sys.platform != "linux":
        os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
        return
    # Linux got a chmod that follows no link late; a descriptor that only points has one by way of /proc.
    pointer = os.open(name, getattr(os, "O_PATH", 0) | FOLDER, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{pointer}", 0o700)
    finally:
        os.close(pointer)


def _of_any_length(path: Path) -> Path:
    from worker_core.basics.windows_names import at_any_length

    return Path(at_any_length(str(path)))


def _remove_by_path(path: Path) -> None:
    def again(function: Callable[..., Any], where: str, _: object) -> None:
        os.chmod(where, stat.S_IWRITE)  # read-only files cannot be removed on Windows
        function(where)

    if _is_link(path):
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path, onerror=again)  # goes into neither links nor junctions
    elif path.exists():
        try:
            path.unlink()
        except PermissionError:
            again(os.unlink, str(path), None)


class _ByDescriptor:
    """One open folder."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def open(self, name: str, flags: int, mode: int) -> int:
        return os.open(name, flags, mode, dir_fd=self._descriptor)

    def replace(self, name: str, new: str) -> None:
        os.replace(name, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def unlink(self, name: str) -> None:
        os.unlink(name, dir_fd=self._descriptor)

    def entries(self) -> Iterator[tuple[str, os.stat_result]]:
        for name in sorted(os.listdir(self._descriptor)):
            with contextlib.suppress(FileNotFoundError):
                yield name, os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)


class _ByPath:
    """One folder by its name, where there are no descriptors."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str, flags: int, mode: int) -> int:
        if _is_link(self._path / name):
            raise OSError(errno.ELOOP, "it is a link", name)
        return os.open(self._path / name, flags, mode)

    def replace(self, name: str, new: str) -> None:
        (self._path / name).replace(self._path / new)

    def unlink(self, name: str) -> None:
        (self._path / name).unlink()

    def entries(self) -> Iterator[tuple[str, os.stat_result]]:
        for name in sorted(os.listdir(self._path)):
            if not _is_link(self._path / name):
                with contextlib.suppress(FileNotFoundError):
                    yield name, (self._path / name).lstat()


@contextlib.contextmanager
def _entered(root: Path, folders: list[str], relative: str, *, make: bool) -> Iterator[_ByDescriptor | _ByPath]:
    if not HAS_DESCRIPTORS:
        path = _of_any_length(root)
        for part in folders:
            path = path / part
            if make:
                path.mkdir(mode=0o700, exist_ok=True)
            if _is_link(path):
                raise _link(relative, OSError(errno.ELOOP, "it is a link"))
        yield _ByPath(path)
        return
    descriptor = os.open(root, FOLDER)
    try:
        for part in folders:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=descriptor)
            try:
                below = os.open(part, FOLDER, dir_fd=descriptor)
            except OSError as error:
                raise _link(relative, error) from error
            os.close(descriptor)
            descriptor = below
        yield _ByDescriptor(descriptor)
    finally:
        os.close(descriptor)


def _link(relative: str, error: OSError) -> Exception:
    """What a refused step means: Linux says ENOTDIR of a link where a folder is wanted, others ELOOP."""
    if error.errno in {errno.ELOOP, errno.ENOTDIR, getattr(errno, "EMLINK", None)}:
        return OutsideWorkspace(
            worded(
                "The path {path} passes through a link or a file, which is not followed here; use another one.",
                path=short(relative),
            )
        )
    return error


def _is_link(path: Path) -> bool:
    try:
        facts = path.lstat()
    except OSError:
        return False
    return stat.S_ISLNK(facts.st_mode) or bool(getattr(facts, "st_file_attributes", 0) & _REPARSE_POINT)


def short(path: str) -> str:
    return repr(path if len(path) <= 200 else f"{path[:200]}...")
