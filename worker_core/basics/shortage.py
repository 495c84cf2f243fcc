"""What a system has run out of for now: nothing is wrong with whatever asked for it, and later it may get it."""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

from worker_core.basics.sentences import worded

_SHORT: Final = frozenset({
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC,
    getattr(errno, "EDQUOT", errno.ENOSPC),  # not on Windows
})  # fmt: skip


_FILES_OF_A_START: Final = 16
"""More than `subprocess.Popen` opens: three pipes, one for errors, the null device."""

_LEAVES_PIPES_OPEN: Final = sys.version_info < (3, 11, 4)


def before_a_start() -> None:
    """Raise what the start of a program would raise that finds too few files left to open.

    Until Python 3.11.4 `subprocess.Popen` leaves the pipes open that it has made by then (python/cpython#87474), so
    that each try would make the shortage worse. Debian 12 has 3.11.2.

    Raises:
        OSError: there are too few.
    """
    if not _LEAVES_PIPES_OPEN:
        return
    held: list[int] = []
    try:
        for _ in range(_FILES_OF_A_START // 2):
            held += os.pipe()
    finally:
        for one in held:
            os.close(one)


def is_shortage(error: Exception) -> bool:
    """Whether files, memory, processes or disk were short."""
    return isinstance(error, OSError) and error.errno in _SHORT


def more_files(error: OSError) -> str:
    """What gives a process more open files, as a sentence; empty where it was refused something else.

    See RLIMIT_NOFILE in getrlimit(2), and `file-max` in proc_sys_fs(5).
    """
    if error.errno == errno.ENFILE:
        return worded("This machine has all the files open that it may: raise its limit (`sysctl fs.file-max`).")
    if error.errno != errno.EMFILE:
        return ""
    if sys.platform == "win32":
        return worded("This program has all the files open that it may.")
    import resource

    return worded(
        "This program has all the {n} files open that it may: raise its limit (`ulimit -n`, or LimitNOFILE= of its "
        "service) and start it again.",
        n=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )
