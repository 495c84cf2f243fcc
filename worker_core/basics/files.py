"""Files that appear whole or not at all, locks between processes, and the nearest folder that is there."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
"""For `os.open`: a file that nobody made before, bytes as they are."""

_RETRY_SECONDS: Final = 0.01


def write_private(path: Path, content: bytes, *, durable: bool, mode: int = 0o600) -> None:
    """Put `content` in the place of what stands at `path`; whoever reads sees the old or the new, whole.

    Args:
        path: its folder is there. A link is replaced, not followed.
        content: all of it.
        durable: it outlives a power cut once this returns. Costs two waits for the disk.
        mode: rights of the file, less the umask: by default for its owner alone.

    Raises:
        OSError: it cannot be written, or not so that it surely outlives a power cut. No half of it is left.
    """
    draft = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        with os.fdopen(os.open(draft, NEW, mode), "wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in it are on disk.

    Raises:
        OSError: they could not be written.
    """
    if os.name == "nt":
        return  # a folder cannot be opened there; NTFS journals the rename itself
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network drives know no such thing
            raise
    finally:
        os.close(descriptor)


def nearest_existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


@contextlib.contextmanager
def locked(path: Path, *, limit_seconds: float = 10.0) -> Iterator[None]:
    """Alone among the processes, and threads, that use this file as their lock. It is made, and stays.

    Raises:
        TimeoutError: another one has held it for `limit_seconds`.
        OSError: the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + limit_seconds
        while not try_lock(descriptor):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process has held its lock for too long", str(path))
            time.sleep(_RETRY_SECONDS)
        yield
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Take an exclusive lock that ends with the descriptor; False where another holds it."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Take an exclusive lock that ends with the descriptor; False where another holds it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
