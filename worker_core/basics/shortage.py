"""What a system has run out of for now: nothing is wrong with whatever asked for it, and later it may get it."""

from __future__ import annotations

import errno
import sys
from typing import Final

from worker_core.basics.sentences import worded

_SHORT: Final = frozenset({
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC,
    getattr(errno, "EDQUOT", errno.ENOSPC),  # not on Windows
})  # fmt: skip


def is_shortage(error: OSError) -> bool:
    """Whether files, memory, processes or disk were short."""
    return error.errno in _SHORT


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
