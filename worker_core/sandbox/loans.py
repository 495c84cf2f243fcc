"""What a process inherits from the worker: open descriptors, and files without a name."""

from __future__ import annotations

import os
import sys
import tempfile
import weakref
from typing import Final, Protocol

_FIRST_DESCRIPTOR: Final = 3
"""Those below are the process's standard ones, which a worker may have been started without."""


class Loan(Protocol):
    """Something of the worker's that a process inherits as an open descriptor, and that is over when the process is."""

    @property
    def descriptor(self) -> int:
        """The number, here and there."""
        ...

    def given(self) -> None:
        """The process has its copy."""
        ...

    def end(self) -> None:
        """The process has ended, is being ended, or was never started. May be called again, from any thread."""
        ...


class OpenFile:
    """A descriptor that one process inherits.

    Args:
        descriptor: an open one; it belongs to this object from now on.

    """

    def __init__(self, descriptor: int) -> None:
        if descriptor < _FIRST_DESCRIPTOR:
            descriptor = _moved(descriptor)
        self.descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)

    def given(self) -> None:
        """The process has its copy."""
        self._close()

    def end(self) -> None:
        """May be called again."""
        self._close()


class KeptFile(OpenFile):
    """A descriptor that a process inherits and the worker keeps."""

    def given(self) -> None:
        """It stays open here until `end`."""

    def fill(self, content: bytes) -> None:
        """Write it; who inherited the descriptor reads from the beginning.

        Raises:
            OSError: there is no room.

        """
        _fill(self.descriptor, content)


def _moved(descriptor: int) -> int:
    if sys.platform == "win32":
        raise OSError("Windows hands over no descriptors")
    import fcntl

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
    finally:
        os.close(descriptor)


def data(content: bytes) -> OpenFile:
    """A file without a name.

    Raises:
        OSError: it cannot be made, or not be filled.

    """
    file = OpenFile(nameless())
    _fill(file.descriptor, content)
    return file


def empty() -> KeptFile:
    """A file without a name, to be filled later.

    Raises:
        OSError: it cannot be made.

    """
    return KeptFile(nameless())


def nameless() -> int:
    """The descriptor of a new file without a name; on Linux it takes no room in any folder.

    Raises:
        OSError: it cannot be made.

    """
    if sys.platform == "linux":
        made = os.memfd_create("kubiya")
    else:
        with tempfile.TemporaryFile() as file:
            made = os.dup(file.fileno())
    return made


def _fill(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
